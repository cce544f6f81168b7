"""The checks of confluent-kafka-python, and by that of librdkafka."""

import re
import threading
import time

import confluent_kafka as ck
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec

import harness as h

BASE = {"bootstrap.servers": h.BROKERS}
admin = AdminClient(BASE)


def topic(name, partitions, config=None):
    t = f"{h.PREFIX}-{name}"
    admin.create_topics([NewTopic(t, partitions, h.FACTOR, config=config or {})])[t].result(30)
    return t


def consumer(**more):
    return Consumer({**BASE, "group.id": h.PREFIX + "-none", "enable.auto.commit": False, "auto.offset.reset": "earliest",
                     **{k.replace("_", "."): v for k, v in more.items()}})


def produce(records, **more):
    """Sends (topic, partition, key, value, timestamp, headers), and returns the messages as they were acknowledged."""
    p = Producer({**BASE, **{k.replace("_", "."): v for k, v in more.items()}})
    done = [None] * len(records)

    def ack(i):
        def fn(err, m):
            done[i] = err or m
        return fn

    for i, (t, partition, key, value, timestamp, headers) in enumerate(records):
        p.produce(t, value, key, partition, on_delivery=ack(i), timestamp=timestamp, headers=headers)
        p.poll(0)
    h.same(0, p.flush(30), "records that were not acknowledged")
    for d in done:
        if isinstance(d, KafkaError):
            raise KafkaException(d)
    return done


def take(c, n, seconds=30):
    end = time.monotonic() + seconds
    all = []
    while len(all) < n:
        if time.monotonic() > end:
            raise AssertionError(f"only {len(all)} of {n} records in {seconds} s")
        for m in c.consume(500, 0.1):
            if m.error():
                raise KafkaException(m.error())
            all.append(m)
    return all


def assigned(t, partitions, **more):
    c = consumer(**more)
    c.assign([TopicPartition(t, p, ck.OFFSET_BEGINNING) for p in range(partitions)])
    return c


def read_rule(t):
    c = assigned(t, h.PARTITIONS)
    following = list(range(h.PARTITIONS))
    for m in take(c, h.COUNT):
        i = following[m.partition()]
        following[m.partition()] += h.PARTITIONS
        h.compare(i, m.partition(), m.offset(), m.key(), m.value(), m.timestamp()[1], m.headers())
    c.close()
    return f"{h.COUNT} records"


def write_rule(codec):
    t = topic("write-" + codec, h.PARTITIONS)
    done = produce([(t, i % h.PARTITIONS, h.key(i), h.value(i), h.EPOCH + i * 1000, h.headers(i)) for i in range(h.COUNT)],
                   compression_type=codec, linger_ms=20)
    for i, m in enumerate(done):
        h.same(i // h.PARTITIONS, m.offset(), f"the acknowledged offset of record {i}")
    h.say("wrote", t, codec, "nullheaders")
    return read_rule(t)


def large():
    t = topic("large", 1)
    big = [bytes([n]) * 990_000 for n in range(5)]
    produce([(t, 0, None, b, 0, None) for b in big], message_max_bytes=4_000_000)
    try:
        produce([(t, 0, None, b"x" * 2_000_000, 0, None)], message_max_bytes=4_000_000)
        raise AssertionError("a record over max.message.bytes was taken")
    except KafkaException as e:
        h.same(KafkaError.MSG_SIZE_TOO_LARGE, e.args[0].code(), "the error")
    produce([(t, 0, b"k%d" % i, b"small%d" % i, 0, None) for i in range(20_000)])
    c = assigned(t, 1)
    for n, m in enumerate(take(c, 20_005)):
        h.same(n, m.offset(), "offset")
        h.same(big[n] if n < 5 else b"small%d" % (n - 5), m.value(), f"value {n}"[:100])
    c.close()
    return "5 records of 990,000 bytes, 20,000 small ones, MSG_SIZE_TOO_LARGE above"


def idempotent():
    t = topic("idempotent", 3)
    done = produce([(t, i % 3, None, b"%d" % i, 0, None) for i in range(6000)], enable_idempotence=True, batch_num_messages=50, linger_ms=1)
    for i, m in enumerate(done):
        h.same(i // 3, m.offset(), f"the acknowledged offset of {i}")
    c = assigned(t, 3)
    following = [0, 1, 2]
    for m in take(c, 6000):
        h.same(b"%d" % following[m.partition()], m.value(), "the next value")
        following[m.partition()] += 3
    c.close()
    return "6,000 records in batches of 50, five in flight"


def transactions():
    began = time.monotonic()
    try:
        Producer({**BASE, "transactional.id": h.PREFIX + "-tx"}).init_transactions(3)
    except KafkaException as e:
        took = time.monotonic() - began
        if took > 2 or not re.search("(?i)not supported|unsupported", e.args[0].str() + e.args[0].name()):
            raise AssertionError(f"after {took:.1f} s: {e}")
        return f"told at once: {e.args[0].name()}"
    raise AssertionError("init_transactions succeeded, although there are no transactions")


class Member(threading.Thread):
    """A member of a group: it commits what it reads, and notes what it owns and loses."""

    def __init__(self, name, group, t, **config):
        super().__init__(name=name, daemon=True)
        self.owned, self.lost, self.seen, self.died, self.stopped = set(), set(), [], None, False
        self.consumer = consumer(**{"group.id": group, "client.id": name, "topic.metadata.refresh.interval.ms": 1000, **config})
        self.cooperative = config.get("partition_assignment_strategy") == "cooperative-sticky" or config.get("group_protocol") == "consumer"
        self.consumer.subscribe([t], on_assign=self.gained, on_revoke=self.revoked)
        self.start()

    def gained(self, c, ps):
        if self.cooperative:
            c.incremental_assign(ps)
        else:
            c.assign(ps)
        self.lost -= {p.partition for p in ps}
        self.owned = self.owned | {p.partition for p in ps}

    def revoked(self, c, ps):
        self.lost |= {p.partition for p in ps}
        self.owned = self.owned - {p.partition for p in ps}
        if self.cooperative:
            c.incremental_unassign(ps)
        else:
            c.unassign()

    def run(self):
        try:
            while not self.stopped:
                ms = self.consumer.consume(100, 0.05)
                for m in ms:
                    if m.error():
                        raise KafkaException(m.error())
                    self.seen.append((m.partition(), m.offset(), m.value()))
                if ms:
                    self.consumer.commit(asynchronous=False)
        except Exception as e:
            self.died = e
        self.consumer.close()

    def end(self):
        self.stopped = True
        self.join()
        if self.died:
            raise AssertionError(f"{self.name} died: {self.died}")


def feed(t, k, mark, partitions=h.GROUP_PARTITIONS):
    values = [f"{mark}{i}".encode() for i in range(k * partitions)]
    done = produce([(t, i % partitions, None, v, 0, None) for i, v in enumerate(values)])
    return [(m.partition(), m.offset(), values[i]) for i, m in enumerate(done)]


def committed(group, t, want, partitions=h.GROUP_PARTITIONS):
    c = consumer(group_id=group)
    for tp in c.committed([TopicPartition(t, p) for p in range(partitions)], 20):
        h.same(want, tp.offset, f"the committed offset of partition {tp.partition}")
    c.close()


def described(group, members):
    def stable():
        d = admin.describe_consumer_groups([group])[group].result(20)
        return d if d.state == ck.ConsumerGroupState.STABLE else None

    h.until("the group is stable", stable)
    d = stable()
    got = {m.client_id: {tp.partition for tp in m.assignment.topic_partitions} for m in d.members}
    h.same({m.name: m.owned for m in members}, got, "the described assignment")
    return d


CLASSIC = {"session.timeout.ms": 10000, "heartbeat.interval.ms": 300}


def come_and_go(what, gives_up_least, **config):
    t = topic(what, h.GROUP_PARTITIONS)
    group = t + "-group"
    a = Member("a", group, t, **config)
    h.settle([a])
    h.read(feed(t, 5, "alone"), [a])
    b = Member("b", group, t, **config)
    h.settle([a, b])
    if gives_up_least:
        h.same(b.owned, a.lost, "what the first member had to give up")
    described(group, [a, b])
    h.read(feed(t, 5, "both"), [a, b])
    b.lost.clear()
    a.end()
    h.settle([b])
    if gives_up_least:
        h.same(set(), b.lost, "what the one who stayed lost")
    h.read(feed(t, 5, "left"), [b])
    b.end()
    committed(group, t, 15)
    return "6 partitions: 6, then 3 and 3, then 6; each record once, by its owner; 15 committed"


def static(what, **config):
    t = topic(what, h.GROUP_PARTITIONS)
    group = t + "-group"
    a = Member("a", group, t, group_instance_id="one", **config)
    b = Member("b", group, t, group_instance_id="two", **config)
    h.settle([a, b])
    h.read(feed(t, 5, "first"), [a, b])
    before = set(a.owned)
    b.lost.clear()
    a.end()
    away = feed(t, 5, "away")
    again = Member("a", group, t, group_instance_id="one", **config)
    h.settle([again, b])
    h.same(before, again.owned, "what the static member owns again")
    h.same(set(), b.lost, "what the other one lost")
    h.read(away, [again, b])
    again.end()
    b.end()
    return "back with the same partitions, the other undisturbed"


def commit():
    t, group, note = h.REFERENCE + "-none", h.PREFIX + "-commits", "noted: \u03c0 \u2248 3.14"
    c = consumer(group_id=group)
    h.same(ck.OFFSET_INVALID, c.committed([TopicPartition(t, 1)], 20)[0].offset, "the first committed offset")
    c.commit(offsets=[TopicPartition(t, 1, 42, note)], asynchronous=False)
    c.close()
    c = consumer(group_id=group)
    tp = c.committed([TopicPartition(t, 1)], 20)[0]
    h.same((42, note), (tp.offset, tp.metadata), "what is committed")
    c.assign([TopicPartition(t, 1, ck.OFFSET_STORED)])
    h.same(42, take(c, 1)[0].offset(), "the first offset read")
    c.seek(TopicPartition(t, 1, 7))
    h.same(7, take(c, 1)[0].offset(), "the offset after a seek")
    c.close()
    return "committed with metadata, read on from there, sought"


def by_time():
    t = h.REFERENCE + "-none"
    c = consumer()
    for at, want in [(0, 0), (2000, 0), (2001, 1), (299_000, 99), (299_001, -1)]:
        got = c.offsets_for_times([TopicPartition(t, 2, h.EPOCH + at)], 20)[0].offset
        h.same(want, got, f"the offset at {at}")
    h.same((0, 100), c.get_watermark_offsets(TopicPartition(t, 2), 20), "the watermarks")
    c.close()
    return "4 times found, none after the end; beginning and end"


def reset():
    t = h.REFERENCE + "-none"
    c = consumer()
    c.assign([TopicPartition(t, 0, 5000)])
    h.same(0, take(c, 1)[0].offset(), "the offset after a reset to the earliest")
    c.close()
    c = consumer(auto_offset_reset="error")
    c.assign([TopicPartition(t, 0, 5000)])
    try:
        take(c, 1)
        raise AssertionError("an offset after the end was read")
    except KafkaException as e:
        h.same(KafkaError._AUTO_OFFSET_RESET, e.args[0].code(), "the error")
    c.close()
    return "earliest, error"


def one(futures):
    return next(iter(futures.values())).result(30)


def topics():
    t = topic("topics", 3)
    d = one(admin.describe_topics(ck.TopicCollection([t])))
    h.same([0, 1, 2], [p.id for p in d.partitions], "the partitions")
    h.same({h.FACTOR}, {len(p.replicas) for p in d.partitions}, "the replicas")
    one(admin.create_partitions([NewPartitions(t, 5)]))
    h.until("five partitions", lambda: len(admin.list_topics(t, 20).topics[t].partitions) == 5)
    one(admin.delete_topics([t]))
    h.until("the topic is gone", lambda: t not in admin.list_topics(timeout=20).topics)
    return "created, described, grown, deleted"


def configs():
    t = topic("configs", 1, {"retention.ms": "123456789"})
    r = ConfigResource(ck.admin.ResourceType.TOPIC, t)
    h.same("123456789", one(admin.describe_configs([r]))["retention.ms"].value, "retention.ms")
    set_ = ConfigResource(ck.admin.ResourceType.TOPIC, t, incremental_configs=[
        ConfigEntry("retention.ms", "777", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND)])
    one(admin.incremental_alter_configs([set_]))
    h.until("the configs are altered", lambda: one(admin.describe_configs([r]))["retention.ms"].value == "777")
    h.same({"delete", "compact"}, set(one(admin.describe_configs([r]))["cleanup.policy"].value.split(",")), "cleanup.policy")
    return "described, set, appended"


def records_and_offsets():
    t = topic("deleted", 1)
    feed(t, 20, "d", 1)
    h.same(12, one(admin.delete_records([TopicPartition(t, 0, 12)])).low_watermark, "the low watermark")
    tp = TopicPartition(t, 0)
    h.same(12, one(admin.list_offsets({tp: OffsetSpec.earliest()})).offset, "the earliest offset")
    h.same(20, one(admin.list_offsets({tp: OffsetSpec.latest()})).offset, "the latest offset")
    h.same(19, one(admin.list_offsets({tp: OffsetSpec.max_timestamp()})).offset >= 12 and 19, "the offset of the largest timestamp")
    c = assigned(t, 1)
    h.same(12, take(c, 1)[0].offset(), "the first offset read")
    c.close()
    return "records deleted before offset 12 of 20; offsets listed"


def groups():
    t, group = topic("of-group", 1), h.PREFIX + "-administered"
    one(admin.alter_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(group, [TopicPartition(t, 0, 9)])]))
    h.until("the group is listed", lambda: group in [g.group_id for g in admin.list_consumer_groups().result(20).valid])
    got = one(admin.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(group)])).topic_partitions
    h.same([(t, 0, 9)], [(p.topic, p.partition, p.offset) for p in got], "the listed offsets")
    one(admin.delete_consumer_groups([group]))
    got = one(admin.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(group, [TopicPartition(t, 0)])])).topic_partitions
    h.same(ck.OFFSET_INVALID, got[0].offset, "the offset of a deleted group")
    return "offsets altered and listed, group listed and deleted"


def errors():
    t = topic("errors", 1)
    for want, fn in [
        (KafkaError.TOPIC_ALREADY_EXISTS, lambda: one(admin.create_topics([NewTopic(t, 1, h.FACTOR)]))),
        (KafkaError.TOPIC_EXCEPTION, lambda: one(admin.create_topics([NewTopic("no/slash", 1, h.FACTOR)]))),
        (KafkaError.INVALID_REPLICATION_FACTOR, lambda: one(admin.create_topics([NewTopic(t + "-9", 1, 9)]))),
        (KafkaError.INVALID_CONFIG, lambda: one(admin.create_topics([NewTopic(t + "-c", 1, h.FACTOR, config={"retention.ms": "soon"})]))),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: one(admin.delete_topics([t + "-none"]))),
        (KafkaError.GROUP_ID_NOT_FOUND, lambda: one(admin.delete_consumer_groups([h.PREFIX + "-no-group"]))),
    ]:
        try:
            fn()
        except KafkaException as e:
            h.same(want, e.args[0].code(), f"the error ({e.args[0].str()})")
        else:
            raise AssertionError(f"no error {want}")
    return "6 refusals with Kafka's errors"


def fill():
    """What is written first is looked at last."""
    t = topic("compacted", 1, {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "100"})
    produce([(t, 0, b"k%d" % (i % 10), None if i == 199 else b"v%d" % i, 0, None) for i in range(200)], batch_num_messages=20)
    end_segment()
    return "200 records with 10 keys"


def end_segment():
    """The newest segment is never cleaned: one more record closes it."""
    time.sleep(0.3)
    produce([(f"{h.PREFIX}-compacted", 0, b"end", b"end", 0, None)])


def compacted():
    t = f"{h.PREFIX}-compacted"
    left = {}

    def cleaned():
        end_segment()
        left.clear()
        c = assigned(t, 1)
        while True:
            for m in take(c, 1):
                if m.offset() >= 200:
                    c.close()
                    return len(left) <= 10
                left[m.offset()] = (m.key(), m.value())

    h.until("only the last value of each key is left", cleaned, 90)
    h.same({o: (b"k%d" % (o % 10), None if o == 199 else b"v%d" % o) for o in range(190, 200)}, left, "what is left")
    return "10 of 200 records left, at their offsets, one a tombstone"


h.say("version", f"{ck.version() if isinstance(ck.version(), str) else ck.version()[0]}, librdkafka {ck.libversion()[0]}")
h.told("compacted", "write", fill)
for codec in h.CODECS:
    h.told("records", "write " + codec, lambda: write_rule(codec))
    h.told("records", "read " + codec, lambda: read_rule(f"{h.REFERENCE}-{codec}"))
h.told("records", "large", large)
h.told("idempotent", "order", idempotent)
h.told("transactions", "refused", transactions)
h.told("groups", "eager", lambda: come_and_go("eager", False, partition_assignment_strategy="range", **CLASSIC))
h.told("groups", "cooperative", lambda: come_and_go("cooperative", True, partition_assignment_strategy="cooperative-sticky", **CLASSIC))
h.told("groups", "static", lambda: static("static", partition_assignment_strategy="cooperative-sticky", **CLASSIC))
h.told("kip-848", "come and go", lambda: come_and_go("consumer", True, group_protocol="consumer"))
h.told("kip-848", "static", lambda: static("static-848", group_protocol="consumer"))
h.told("offsets", "commit and fetch", commit)
h.told("offsets", "by time", by_time)
h.told("offsets", "reset", reset)
h.told("admin", "topics", topics)
h.told("admin", "configs", configs)
h.told("admin", "records and offsets", records_and_offsets)
h.told("admin", "groups", groups)
h.told("admin", "errors", errors)
h.told("compacted", "latest values", compacted)
h.done()
