"""The checks of aiokafka."""

import asyncio
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors as ke
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

import harness as h

admin = None


async def told(area, name, fn):
    if not h.wanted(area):
        return
    try:
        h.say("ok", area, name, await asyncio.wait_for(fn(), 120))
    except Exception as e:  # whatever the client throws is what came of the check
        h.say("FAIL", area, name, f"{type(e).__name__}: {e}")


async def until(what, fn, seconds=30):
    end = time.monotonic() + seconds
    while not await fn():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.02)


def raised(answer):
    """aiokafka hands out errors of topics as part of the answer."""
    for error in answer.topic_errors if hasattr(answer, "topic_errors") else answer.topic_error_codes:
        if error[1]:
            raise ke.for_code(error[1])(str(error))


async def topic(name, partitions, config=None):
    t = f"{h.PREFIX}-{name}"
    raised(await admin.create_topics([NewTopic(t, partitions, h.FACTOR, topic_configs=config)]))
    return t


async def consumer(*topics, **more):
    c = AIOKafkaConsumer(*topics, bootstrap_servers=h.BROKERS, **{"enable_auto_commit": False, "auto_offset_reset": "earliest", **more})
    await c.start()
    return c


async def produce(records, **more):
    p = AIOKafkaProducer(bootstrap_servers=h.BROKERS, **{"acks": "all", **more})
    await p.start()
    try:
        sent = [await p.send(t, value=v, key=k, partition=n, timestamp_ms=ts, headers=hs) for t, n, k, v, ts, hs in records]
        await p.flush()
        return [await f for f in sent]
    finally:
        await p.stop()


async def take(c, n, seconds=30):
    end = time.monotonic() + seconds
    all = []
    while len(all) < n:
        if time.monotonic() > end:
            raise AssertionError(f"only {len(all)} of {n} records in {seconds} s")
        for rs in (await c.getmany(timeout_ms=100)).values():
            all += rs
    return all


async def assigned(t, partitions, **more):
    c = await consumer(**more)
    c.assign([TopicPartition(t, p) for p in range(partitions)])
    await c.seek_to_beginning()
    return c


async def read_rule(t):
    c = await assigned(t, h.PARTITIONS)
    following = list(range(h.PARTITIONS))
    for r in await take(c, h.COUNT):
        i = following[r.partition]
        following[r.partition] += h.PARTITIONS
        h.compare(i, r.partition, r.offset, r.key, r.value, r.timestamp, r.headers)
    await c.stop()
    return f"{h.COUNT} records"


async def write_rule(codec):
    t = await topic("write-" + codec, h.PARTITIONS)
    done = await produce([(t, i % h.PARTITIONS, h.key(i), h.value(i), h.EPOCH + i * 1000, h.headers(i)) for i in range(h.COUNT)],
                         compression_type=None if codec == "none" else codec, linger_ms=20)
    for i, m in enumerate(done):
        h.same(i // h.PARTITIONS, m.offset, f"the acknowledged offset of record {i}")
    h.say("wrote", t, codec, "nullheaders")
    return await read_rule(t)


async def large():
    t = await topic("large", 1)
    big = [bytes([n]) * 1_000_000 for n in range(3)]
    await produce([(t, 0, None, b, None, []) for b in big], max_request_size=4_000_000)
    try:
        await produce([(t, 0, None, b"x" * 2_000_000, None, [])], max_request_size=4_000_000)
        raise AssertionError("a record over max.message.bytes was taken")
    except ke.MessageSizeTooLargeError:
        pass
    await produce([(t, 0, b"k%d" % i, b"small%d" % i, None, []) for i in range(5000)])
    c = await assigned(t, 1)
    for n, m in enumerate(await take(c, 5003)):
        h.same(n, m.offset, "offset")
        h.same(True, m.value == (big[n] if n < 3 else b"small%d" % (n - 3)), f"that value {n} is the same")
    await c.stop()
    return "3 records of 1,000,000 bytes, 5,000 small ones, MessageSizeTooLarge above"


async def idempotent():
    t = await topic("idempotent", 3)
    done = await produce([(t, i % 3, None, b"%d" % i, None, []) for i in range(3000)], enable_idempotence=True, max_batch_size=500)
    for i, m in enumerate(done):
        h.same(i // 3, m.offset, f"the acknowledged offset of {i}")
    c = await assigned(t, 3)
    following = [0, 1, 2]
    for m in await take(c, 3000):
        h.same(b"%d" % following[m.partition], m.value, "the next value")
        following[m.partition] += 3
    await c.stop()
    return "3,000 records in small batches"


async def transactions():
    began = time.monotonic()
    p = AIOKafkaProducer(bootstrap_servers=h.BROKERS, transactional_id=h.PREFIX + "-tx")
    try:
        await asyncio.wait_for(p.start(), 5)
    except ke.KafkaError as e:
        if time.monotonic() - began > 4:
            raise AssertionError(f"only after {time.monotonic() - began:.1f} s: {e!r}")
        return f"told at once: {type(e).__name__}"
    finally:
        await p.stop()
    raise AssertionError("the producer started, although there are no transactions")


class Member(ConsumerRebalanceListener):
    """A member of a group: it commits what it reads, and notes what it owns."""

    def __init__(self, name):
        self.name, self.owned, self.seen, self.died, self.stopped = name, set(), [], None, False

    @classmethod
    async def of(cls, name, group, t, **config):
        m = cls(name)
        m.consumer = await consumer(**{"group_id": group, "client_id": name, "metadata_max_age_ms": 1000, **config})
        m.consumer.subscribe([t], listener=m)
        m.task = asyncio.create_task(m.run())
        return m

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, gained):
        pass

    async def run(self):
        try:
            while not self.stopped:
                for rs in (await self.consumer.getmany(timeout_ms=50)).values():
                    self.seen += [(r.partition, r.offset, r.value) for r in rs]
                    await self.consumer.commit()
                self.owned = {p.partition for p in self.consumer.assignment()}
        except Exception as e:
            self.died = e
        self.owned = set()
        await self.consumer.stop()

    async def end(self):
        self.stopped = True
        await self.task
        if self.died:
            raise AssertionError(f"{self.name} died: {self.died!r}")


async def settle(members):
    async def there():
        return h.settled(members, h.GROUP_PARTITIONS)
    try:
        await until("", there)
    except AssertionError as e:
        raise AssertionError(f"{e}: " + " ".join(f"{m.name}{sorted(m.owned)} {m.died or ''}" for m in members)) from None


async def read(want, members):
    await asyncio.to_thread(h.read, want, members)


async def feed(t, k, mark, partitions=h.GROUP_PARTITIONS):
    values = [f"{mark}{i}".encode() for i in range(k * partitions)]
    done = await produce([(t, i % partitions, None, v, None, []) for i, v in enumerate(values)])
    return [(m.partition, m.offset, values[i]) for i, m in enumerate(done)]


CLASSIC = {"session_timeout_ms": 10000, "heartbeat_interval_ms": 300}


async def come_and_go(what, assignor):
    t = await topic(what, h.GROUP_PARTITIONS)
    group = t + "-group"
    config = {"partition_assignment_strategy": [assignor], **CLASSIC}
    a = await Member.of("a", group, t, **config)
    await settle([a])
    await read(await feed(t, 5, "alone"), [a])
    b = await Member.of("b", group, t, **config)
    await settle([a, b])
    await read(await feed(t, 5, "both"), [a, b])
    await a.end()
    await settle([b])
    await read(await feed(t, 5, "left"), [b])
    await b.end()
    offsets = await admin.list_consumer_group_offsets(group)
    for p in range(h.GROUP_PARTITIONS):
        h.same(15, offsets[TopicPartition(t, p)].offset, f"the committed offset of partition {p}")
    return "6 partitions: 6, then 3 and 3, then 6; each record once, by its owner; 15 committed"


async def static():
    t = await topic("static", h.GROUP_PARTITIONS)
    group = t + "-group"
    a = await Member.of("a", group, t, group_instance_id="one", **CLASSIC)
    b = await Member.of("b", group, t, group_instance_id="two", **CLASSIC)
    await settle([a, b])
    await read(await feed(t, 5, "first"), [a, b])
    before = set(a.owned)
    await a.end()
    away = await feed(t, 5, "away")
    again = await Member.of("a", group, t, group_instance_id="one", **CLASSIC)
    await settle([again, b])
    h.same(before, again.owned, "what the static member owns again")
    await read(away, [again, b])
    await again.end()
    await b.end()
    return "back with the same partitions"


async def commit():
    tp, group, note = TopicPartition(h.REFERENCE + "-none", 1), h.PREFIX + "-commits", "noted: \u03c0 \u2248 3.14"
    c = await consumer(group_id=group)
    c.assign([tp])
    h.same(None, await c.committed(tp), "the first committed offset")
    await c.commit({tp: (42, note)})
    await c.stop()
    h.same((42, note), tuple((await admin.list_consumer_group_offsets(group))[tp][:2]), "what is committed")
    c = await consumer(group_id=group)
    c.assign([tp])
    h.same(42, (await take(c, 1))[0].offset, "the first offset read")
    c.seek(tp, 7)
    h.same(7, (await take(c, 1))[0].offset, "the offset after a seek")
    await c.stop()
    return "committed with metadata, read on from there, sought"


async def by_time():
    tp = TopicPartition(h.REFERENCE + "-none", 2)
    c = await consumer()
    for at, want in [(0, 0), (2000, 0), (2001, 1), (299_000, 99), (299_001, None)]:
        got = (await c.offsets_for_times({tp: h.EPOCH + at}))[tp]
        h.same(want, got and got.offset, f"the offset at {at}")
    h.same(({tp: 0}, {tp: 100}), (await c.beginning_offsets([tp]), await c.end_offsets([tp])), "the ends")
    await c.stop()
    return "4 times found, none after the end; beginning and end"


async def reset():
    tp = TopicPartition(h.REFERENCE + "-none", 0)
    c = await consumer()
    c.assign([tp])
    c.seek(tp, 5000)
    h.same(0, (await take(c, 1))[0].offset, "the offset after a reset to the earliest")
    await c.stop()
    c = await consumer(auto_offset_reset="none")
    c.assign([tp])
    c.seek(tp, 5000)
    try:
        await take(c, 1)
        raise AssertionError("an offset after the end was read")
    except ke.OffsetOutOfRangeError:
        pass
    await c.stop()
    return "earliest, none"


async def administer():
    t = await topic("topics", 3)
    h.same([0, 1, 2], sorted(p["partition"] for p in (await admin.describe_topics([t]))[0]["partitions"]), "the partitions")
    await admin.create_partitions({t: NewPartitions(5)})

    async def five():
        return len((await admin.describe_topics([t]))[0]["partitions"]) == 5
    await until("five partitions", five)
    await feed(t, 20, "d", 5)
    tp = TopicPartition(t, 4)
    h.same({tp: 12}, await admin.delete_records({tp: RecordsToDelete(before_offset=12)}), "the low watermark")
    group = h.PREFIX + "-administered"
    c = await consumer(group_id=group)
    c.assign([tp])
    await c.commit({tp: 15})
    await c.stop()
    h.same(True, group in [g[0] for g in await admin.list_consumer_groups()], "that the group is listed")
    raised(await admin.delete_topics([t]))

    async def gone():
        return t not in await admin.list_topics()
    await until("the topic is gone", gone)
    return "topic created, described, grown, deleted; records deleted; group listed"


async def errors():
    t = await topic("errors", 1)
    for want, fn in [
        (ke.TopicAlreadyExistsError, lambda: topic("errors", 1)),
        (ke.InvalidReplicationFactorError, lambda: admin.create_topics([NewTopic(t + "-9", 1, 9)])),
        (ke.UnknownTopicOrPartitionError, lambda: admin.delete_topics([t + "-none"])),
    ]:
        try:
            answer = await fn()
            raised(answer)
        except want:
            pass
        else:
            raise AssertionError(f"no {want.__name__}")
    return "3 refusals with Kafka's errors"


async def fill():
    """What is written first is looked at last."""
    t = await topic("compacted", 1, {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "100"})
    for n in range(10):
        await produce([(t, 0, b"k%d" % (i % 10), None if i == 199 else b"v%d" % i, None, []) for i in range(n * 20, n * 20 + 20)])
    await end_segment()
    return "200 records with 10 keys"


async def end_segment():
    """The newest segment is never cleaned: one more record closes it."""
    await asyncio.sleep(0.3)
    await produce([(f"{h.PREFIX}-compacted", 0, b"end", b"end", None, [])])


async def compacted():
    t = f"{h.PREFIX}-compacted"
    left = {}

    async def cleaned():
        await end_segment()
        left.clear()
        c = await assigned(t, 1)
        while True:
            for m in await take(c, 1):
                if m.offset >= 200:
                    await c.stop()
                    return len(left) <= 10
                left[m.offset] = (m.key, m.value)

    await until("only the last value of each key is left", cleaned, 90)
    h.same({o: (b"k%d" % (o % 10), None if o == 199 else b"v%d" % o) for o in range(190, 200)}, left, "what is left")
    return "10 of 200 records left, at their offsets, one a tombstone"


async def main():
    global admin
    h.say("version", aiokafka.__version__)
    admin = AIOKafkaAdminClient(bootstrap_servers=h.BROKERS)
    await admin.start()
    await told("compacted", "write", fill)
    for codec in h.CODECS:
        await told("records", "write " + codec, lambda: write_rule(codec))
        await told("records", "read " + codec, lambda: read_rule(f"{h.REFERENCE}-{codec}"))
    await told("records", "large", large)
    await told("idempotent", "order", idempotent)
    await told("transactions", "refused", transactions)
    await told("groups", "eager", lambda: come_and_go("eager", RangePartitionAssignor))
    await told("groups", "sticky", lambda: come_and_go("sticky", StickyPartitionAssignor))
    await told("groups", "static", static)
    await told("offsets", "commit and fetch", commit)
    await told("offsets", "by time", by_time)
    await told("offsets", "reset", reset)
    await told("admin", "topics, records, groups", administer)
    await told("admin", "errors", errors)
    await told("compacted", "latest values", compacted)
    await admin.close()


asyncio.run(main())
h.done()
