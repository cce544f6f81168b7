"""What the harnesses of Python's clients share: the rule of the records (see rule.go), and how results are told."""

import os
import sys
import time

COUNT = 300
PARTITIONS = 3
EPOCH = 1_700_000_000_000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
GROUP_PARTITIONS = 6

BROKERS, PREFIX, REFERENCE, FACTOR, AREAS = sys.argv[1:6]
FACTOR = int(FACTOR)
AREAS = AREAS.split(",")


def key(i):
    return None if i % 7 == 0 else b"" if i % 11 == 0 else b"k%d" % i


def value(i):
    if i % 13 == 0 and i % 7 != 0:  # not every client sends a record with neither
        return None
    return b"" if i % 17 == 0 else b"v%d-" % i + b"x" * (i * 37 % 500)


def headers(i, null=True):
    all = [("h", b"w%d-%d" % (i, j)) for j in range(i % 3)]
    return all + [("null", None)] if null and i % 5 == 0 else all


def compare(i, partition, offset, k, v, timestamp, h, null=True):
    """Raises unless this is record i."""
    got = (partition, offset, k, v, timestamp, [(n, x) for n, x in h or []])
    want = (i % PARTITIONS, i // PARTITIONS, key(i), value(i), EPOCH + i * 1000, headers(i, null))
    if got != want:
        raise AssertionError(f"record {i} is {got}, not {want}"[:400])


def say(*fields):
    print("\t".join(str(f).replace("\n", " ").replace("\t", " ") for f in fields), flush=True)


def same(want, got, what):
    if want != got:
        raise AssertionError(f"{what} is {got!r}, not {want!r}")


def wanted(area):
    return area in AREAS


def told(area, name, fn):
    """Runs a check, if its area is wanted."""
    if not wanted(area):
        return
    try:
        say("ok", area, name, fn())
    except Exception as e:  # whatever the client throws is what came of the check
        say("FAIL", area, name, f"{type(e).__name__}: {e}")


def until(what, fn, seconds=30):
    end = time.monotonic() + seconds
    while not fn():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def settled(members, partitions):
    """Whether the members, each with its set of owned partition numbers, own all partitions evenly, none twice."""
    owned = [set(m.owned) for m in members]
    for m in members:
        if m.died:
            raise AssertionError(f"{m.name} died: {m.died}")
    sizes = [len(o) for o in owned]
    return sum(sizes) == partitions and set().union(*owned) == set(range(partitions)) and max(sizes) - min(sizes) <= 1


def settle(members, partitions=GROUP_PARTITIONS):
    try:
        until("", lambda: settled(members, partitions))
    except AssertionError:
        raise AssertionError("not settled in 30 s: " + " ".join(f"{m.name}{sorted(m.owned)} {m.died or ''}" for m in members)) from None


def read(want, members):
    """Waits until the members have seen the records, and demands that each was seen once, by its owner, in order."""
    until(f"the members read {len(want)} records", lambda: any(m.died for m in members) or sum(len(m.seen) for m in members) >= len(want))
    time.sleep(0.1)  # for what comes twice
    everything = []
    for m in members:
        if m.died:
            raise AssertionError(f"{m.name} died: {m.died}")
        last = {}
        for partition, offset, v in m.seen:
            if partition not in m.owned:
                raise AssertionError(f"{m.name} read of partition {partition} and owns {sorted(m.owned)}")
            if last.get(partition, -1) >= offset:
                raise AssertionError(f"{m.name} read offset {offset} of partition {partition} out of order")
            last[partition] = offset
        everything += m.seen
        m.seen = []
    same(sorted(want), sorted(everything), "what the members read")


def done():
    """Ends the program, also when members that have failed are still there."""
    sys.stdout.flush()
    os._exit(0)
