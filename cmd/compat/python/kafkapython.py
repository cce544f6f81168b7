"""The checks of kafka-python."""

import threading
import time

import kafka
import kafka.coordinator.assignors.cooperative_sticky
import kafka.coordinator.assignors.range
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as ke
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

import harness as h

SERVERS = h.BROKERS.split(",")
admin = KafkaAdminClient(bootstrap_servers=SERVERS)


def topic(name, partitions, config=None):
    t = f"{h.PREFIX}-{name}"
    admin.create_topics([NewTopic(t, partitions, h.FACTOR, topic_configs=config)])
    return t


def consumer(**more):
    return KafkaConsumer(bootstrap_servers=SERVERS, **{"enable_auto_commit": False, "auto_offset_reset": "earliest", **more})


def produce(records, **more):
    p = KafkaProducer(bootstrap_servers=SERVERS, **{"acks": "all", **more})
    sent = [p.send(t, value=v, key=k, partition=n, timestamp_ms=ts, headers=hs) for t, n, k, v, ts, hs in records]
    p.flush(30)
    done = [f.get(1) for f in sent]
    p.close()
    return done


def take(c, n, seconds=30):
    end = time.monotonic() + seconds
    all = []
    while len(all) < n:
        if time.monotonic() > end:
            raise AssertionError(f"only {len(all)} of {n} records in {seconds} s")
        for rs in c.poll(100).values():
            all += rs
    return all


def assigned(t, partitions, **more):
    c = consumer(**more)
    tps = [TopicPartition(t, p) for p in range(partitions)]
    c.assign(tps)
    c.seek_to_beginning(*tps)
    return c


def read_rule(t, null=True):
    c = assigned(t, h.PARTITIONS)
    following = list(range(h.PARTITIONS))
    for r in take(c, h.COUNT):
        i = following[r.partition]
        following[r.partition] += h.PARTITIONS
        h.compare(i, r.partition, r.offset, r.key, r.value, r.timestamp, r.headers, null)
    c.close()
    return f"{h.COUNT} records"


def write_rule(codec):
    t = topic("write-" + codec, h.PARTITIONS)
    done = produce([(t, i % h.PARTITIONS, h.key(i), h.value(i), h.EPOCH + i * 1000, h.headers(i, False)) for i in range(h.COUNT)],
                   compression_type=None if codec == "none" else codec, linger_ms=20)
    for i, m in enumerate(done):
        h.same(i // h.PARTITIONS, m.offset, f"the acknowledged offset of record {i}")
    h.say("wrote", t, codec, "-")  # it sends no headers without a value
    return read_rule(t, False)


def large():
    t = topic("large", 1)
    big = [bytes([n]) * 1_000_000 for n in range(3)]
    produce([(t, 0, None, b, None, []) for b in big], max_request_size=4_000_000)
    try:
        produce([(t, 0, None, b"x" * 2_000_000, None, [])], max_request_size=4_000_000)
        raise AssertionError("a record over max.message.bytes was taken")
    except ke.MessageSizeTooLargeError:
        pass
    produce([(t, 0, b"k%d" % i, b"small%d" % i, None, []) for i in range(5000)])
    c = assigned(t, 1)
    for n, m in enumerate(take(c, 5003)):
        h.same(n, m.offset, "offset")
        h.same(True, m.value == (big[n] if n < 3 else b"small%d" % (n - 3)), f"that value {n} is the same")
    c.close()
    return "3 records of 1,000,000 bytes, 5,000 small ones, MessageSizeTooLarge above"


def idempotent():
    t = topic("idempotent", 3)
    done = produce([(t, i % 3, None, b"%d" % i, None, []) for i in range(3000)], enable_idempotence=True, batch_size=500, linger_ms=1,
                   max_in_flight_requests_per_connection=5)
    for i, m in enumerate(done):
        h.same(i // 3, m.offset, f"the acknowledged offset of {i}")
    c = assigned(t, 3)
    following = [0, 1, 2]
    for m in take(c, 3000):
        h.same(b"%d" % following[m.partition], m.value, "the next value")
        following[m.partition] += 3
    c.close()
    return "3,000 records in small batches, five in flight"


def transactions():
    began = time.monotonic()
    p = KafkaProducer(bootstrap_servers=SERVERS, transactional_id=h.PREFIX + "-tx", max_block_ms=5000)
    try:
        p.init_transactions()
    except ke.KafkaError as e:
        took = time.monotonic() - began
        if took > 4:
            raise AssertionError(f"after {took:.1f} s: {type(e).__name__}: {e}")
        return f"told at once: {type(e).__name__}"
    finally:
        p.close(0)
    raise AssertionError("init_transactions succeeded, although there are no transactions")


class Member(threading.Thread, kafka.ConsumerRebalanceListener):
    """A member of a group: it commits what it reads, and notes what it owns and loses."""

    def __init__(self, name, group, t, **config):
        super().__init__(name=name, daemon=True)
        self.owned, self.lost, self.seen, self.died, self.stopped = set(), set(), [], None, False
        self.consumer = consumer(**{"group_id": group, "client_id": name, "metadata_max_age_ms": 1000, **config})
        self.consumer.subscribe([t], listener=self)
        self.start()

    def on_partitions_revoked(self, revoked):
        self.lost |= {p.partition for p in revoked}

    def on_partitions_assigned(self, gained):
        self.lost -= {p.partition for p in gained}

    def run(self):
        try:
            while not self.stopped:
                # The client loses an assignment that arrives when the time of a poll is just over: a long poll.
                for rs in self.consumer.poll(1000).values():
                    self.seen += [(r.partition, r.offset, r.value) for r in rs]
                    self.consumer.commit()
                self.owned = {p.partition for p in self.consumer.assignment()}
        except Exception as e:
            self.died = e
        self.owned = set()
        self.consumer.close()

    def end(self):
        self.stopped = True
        self.join()
        if self.died:
            raise AssertionError(f"{self.name} died: {self.died!r}")


def feed(t, k, mark, partitions=h.GROUP_PARTITIONS):
    values = [f"{mark}{i}".encode() for i in range(k * partitions)]
    done = produce([(t, i % partitions, None, v, None, []) for i, v in enumerate(values)])
    return [(m.partition, m.offset, values[i]) for i, m in enumerate(done)]


def committed(group, t, want, partitions=h.GROUP_PARTITIONS):
    c = consumer(group_id=group)
    for p in range(partitions):
        h.same(want, c.committed(TopicPartition(t, p)), f"the committed offset of partition {p}")
    c.close()


CLASSIC = {"session_timeout_ms": 10000, "heartbeat_interval_ms": 300}


def come_and_go(what, moves_only, **config):
    t = topic(what, h.GROUP_PARTITIONS)
    group = t + "-group"
    a = Member("a", group, t, **config)
    h.settle([a])
    h.read(feed(t, 5, "alone"), [a])
    b = Member("b", group, t, **config)
    h.settle([a, b])
    if moves_only:
        h.same(b.owned, a.lost, "what the first member had to give up")
    h.read(feed(t, 5, "both"), [a, b])
    a.end()
    h.settle([b])
    h.read(feed(t, 5, "left"), [b])
    b.end()
    committed(group, t, 15)
    return "6 partitions: 6, then 3 and 3, then 6; each record once, by its owner; 15 committed"


def static():
    t = topic("static", h.GROUP_PARTITIONS)
    group = t + "-group"
    a = Member("a", group, t, group_instance_id="one", **CLASSIC)
    b = Member("b", group, t, group_instance_id="two", **CLASSIC)
    h.settle([a, b])
    h.read(feed(t, 5, "first"), [a, b])
    before = set(a.owned)
    b.lost.clear()
    a.end()
    away = feed(t, 5, "away")
    again = Member("a", group, t, group_instance_id="one", **CLASSIC)
    h.settle([again, b])
    h.same(before, again.owned, "what the static member owns again")
    h.same(set(), b.lost, "what the other one lost")
    h.read(away, [again, b])
    again.end()
    b.end()
    return "back with the same partitions, the other undisturbed"


def commit():
    tp, group, note = TopicPartition(h.REFERENCE + "-none", 1), h.PREFIX + "-commits", "noted: \u03c0 \u2248 3.14"
    c = consumer(group_id=group)
    c.assign([tp])
    h.same(None, c.committed(tp), "the first committed offset")
    c.commit({tp: OffsetAndMetadata(42, note, -1)})
    c.close()
    c = consumer(group_id=group)
    c.assign([tp])
    got = c.committed(tp, metadata=True)
    h.same((42, note), (got.offset, got.metadata), "what is committed")
    h.same(42, take(c, 1)[0].offset, "the first offset read")
    c.seek(tp, 7)
    h.same(7, take(c, 1)[0].offset, "the offset after a seek")
    c.close()
    return "committed with metadata, read on from there, sought"


def by_time():
    tp = TopicPartition(h.REFERENCE + "-none", 2)
    c = consumer()
    for at, want in [(0, 0), (2000, 0), (2001, 1), (299_000, 99), (299_001, None)]:
        got = c.offsets_for_times({tp: h.EPOCH + at})[tp]
        h.same(want, got and got.offset, f"the offset at {at}")
    h.same(({tp: 0}, {tp: 100}), (c.beginning_offsets([tp]), c.end_offsets([tp])), "the ends")
    c.close()
    return "4 times found, none after the end; beginning and end"


def reset():
    tp = TopicPartition(h.REFERENCE + "-none", 0)
    c = consumer()
    c.assign([tp])
    c.seek(tp, 5000)
    h.same(0, take(c, 1)[0].offset, "the offset after a reset to the earliest")
    c.close()
    c = consumer(auto_offset_reset="none")
    c.assign([tp])
    c.seek(tp, 5000)
    try:
        take(c, 1)
        raise AssertionError("an offset after the end was read")
    except ke.OffsetOutOfRangeError:
        pass
    c.close()
    return "earliest, none"


def topics():
    t = topic("topics", 3)
    h.same([0, 1, 2], sorted(p["partition_index"] for p in admin.describe_topics([t])[0]["partitions"]), "the partitions")
    admin.create_partitions({t: NewPartitions(5)})
    h.until("five partitions", lambda: len(admin.describe_topics([t])[0]["partitions"]) == 5)
    admin.delete_topics([t])
    h.until("the topic is gone", lambda: t not in admin.list_topics())
    return "created, described, grown, deleted"


def delete_records():
    t = topic("deleted", 1)
    feed(t, 20, "d", 1)
    tp = TopicPartition(t, 0)
    admin.delete_records({tp: 12})
    c = assigned(t, 1)
    h.same({tp: 12}, c.beginning_offsets([tp]), "the beginning")
    h.same(12, take(c, 1)[0].offset, "the first offset read")
    c.close()
    return "before offset 12 of 20: beginning, first record"


def groups():
    t, group = topic("of-group", 1), h.PREFIX + "-administered"
    tp = TopicPartition(t, 0)
    c = consumer(group_id=group)
    c.assign([tp])
    c.commit({tp: OffsetAndMetadata(9, "", -1)})
    c.close()
    h.until("the group is listed", lambda: group in str(admin.list_groups()))
    h.same(9, admin.list_group_offsets([group])[group][tp].offset, "the listed offset")
    admin.delete_groups([group])
    h.until("the group is gone", lambda: group not in str(admin.list_groups()))
    return "listed, offsets listed, deleted"


def errors():
    t = topic("errors", 1)
    for want, fn in [
        (ke.TopicAlreadyExistsError, lambda: topic("errors", 1)),
        (ke.InvalidTopicError, lambda: admin.create_topics([NewTopic("no/slash", 1, h.FACTOR)])),
        (ke.InvalidReplicationFactorError, lambda: admin.create_topics([NewTopic(t + "-9", 1, 9)])),
        (ke.UnknownTopicOrPartitionError, lambda: admin.delete_topics([t + "-none"])),
    ]:
        try:
            fn()
        except want:
            pass
        else:
            raise AssertionError(f"no {want.__name__}")
    return "4 refusals with Kafka's errors"


def fill():
    """What is written first is looked at last."""
    t = topic("compacted", 1, {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "100"})
    for n in range(10):
        produce([(t, 0, b"k%d" % (i % 10), None if i == 199 else b"v%d" % i, None, []) for i in range(n * 20, n * 20 + 20)])
    end_segment()
    return "200 records with 10 keys"


def end_segment():
    """The newest segment is never cleaned: one more record closes it."""
    time.sleep(0.3)
    produce([(f"{h.PREFIX}-compacted", 0, b"end", b"end", None, [])])


def compacted():
    t = f"{h.PREFIX}-compacted"
    left = {}

    def cleaned():
        end_segment()
        left.clear()
        c = assigned(t, 1)
        while True:
            for m in take(c, 1):
                if m.offset >= 200:
                    c.close()
                    return len(left) <= 10
                left[m.offset] = (m.key, m.value)

    h.until("only the last value of each key is left", cleaned, 90)
    h.same({o: (b"k%d" % (o % 10), None if o == 199 else b"v%d" % o) for o in range(190, 200)}, left, "what is left")
    return "10 of 200 records left, at their offsets, one a tombstone"


h.say("version", kafka.__version__)
h.told("compacted", "write", fill)
for codec in h.CODECS:
    h.told("records", "write " + codec, lambda: write_rule(codec))
    h.told("records", "read " + codec, lambda: read_rule(f"{h.REFERENCE}-{codec}"))
h.told("records", "large", large)
h.told("idempotent", "order", idempotent)
h.told("transactions", "refused", transactions)
h.told("groups", "eager", lambda: come_and_go("eager", False, partition_assignment_strategy=[kafka.coordinator.assignors.range.RangePartitionAssignor], **CLASSIC))
h.told("groups", "cooperative", lambda: come_and_go("cooperative", True, partition_assignment_strategy=[
    kafka.coordinator.assignors.cooperative_sticky.CooperativeStickyAssignor], **CLASSIC))
h.told("groups", "static", static)
h.told("offsets", "commit and fetch", commit)
h.told("offsets", "by time", by_time)
h.told("offsets", "reset", reset)
h.told("admin", "topics", topics)
h.told("admin", "delete records", delete_records)
h.told("admin", "groups", groups)
h.told("admin", "errors", errors)
h.told("compacted", "latest values", compacted)
h.done()
