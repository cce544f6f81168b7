import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;

/** Offsets: committed, fetched, sought by time, and what happens beyond the ends. */
final class Offsets {
    private Offsets() {}

    static void all() {
        Harness.check("offsets", "commit and fetch", Offsets::commit);
        Harness.check("offsets", "by time", Offsets::byTime);
        Harness.check("offsets", "reset", Offsets::reset);
    }

    static long next(KafkaConsumer<byte[], byte[]> c) {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (System.nanoTime() < end) {
            for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(100))) {
                return r.offset();
            }
        }
        throw new AssertionError("nothing to read in 20 s");
    }

    static OffsetAndMetadata committed(KafkaConsumer<byte[], byte[]> c, TopicPartition tp) throws Exception {
        try {
            return (OffsetAndMetadata) KafkaConsumer.class.getMethod("committed", TopicPartition.class).invoke(c, tp);
        } catch (NoSuchMethodException e) {
            return (OffsetAndMetadata) ((Map<?, ?>) KafkaConsumer.class.getMethod("committed", Set.class).invoke(c, Collections.singleton(tp))).get(tp);
        }
    }

    static String commit() throws Exception {
        TopicPartition tp = new TopicPartition(Harness.reference + "-none", 1);
        String group = Harness.prefix + "-commits";
        String note = "noted: \u03c0 \u2248 3.14";
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer("group.id", group)) {
            c.assign(Collections.singleton(tp));
            Harness.same(null, committed(c, tp), "the first committed offset");
            c.commitSync(Collections.singletonMap(tp, new OffsetAndMetadata(42, note)));
        }
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer("group.id", group)) {
            c.assign(Collections.singleton(tp));
            Harness.same(42L, committed(c, tp).offset(), "the committed offset");
            Harness.same(note, committed(c, tp).metadata(), "its metadata");
            Harness.same(42L, next(c), "the first offset read");
            c.seek(tp, 7);
            Harness.same(7L, next(c), "the offset after a seek");
            c.commitSync(Collections.singletonMap(tp, new OffsetAndMetadata(3)));
            Harness.same(3L, committed(c, tp).offset(), "the offset committed backwards");
        }
        return "committed with metadata, read on from there, sought, committed backwards";
    }

    static String byTime() {
        TopicPartition tp = new TopicPartition(Harness.reference + "-none", 2);
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            Map<TopicPartition, Long> q = new HashMap<>();
            long[] at = {Rule.EPOCH, Rule.EPOCH + 2_000, Rule.EPOCH + 2_001, Rule.EPOCH + 299_000};
            Long[] want = {0L, 0L, 1L, 99L};
            for (int i = 0; i < at.length; i++) {
                q.put(tp, at[i]);
                OffsetAndTimestamp o = c.offsetsForTimes(q).get(tp);
                Harness.same(want[i], o.offset(), "the offset at " + at[i]);
                Harness.same(Rule.EPOCH + 1000 * (want[i] * 3 + 2), o.timestamp(), "the timestamp found at " + at[i]);
            }
            q.put(tp, Rule.EPOCH + 299_001);
            Harness.same(null, c.offsetsForTimes(q).get(tp), "the offset after the end");
            Harness.same(0L, c.beginningOffsets(Collections.singleton(tp)).get(tp), "the beginning");
            Harness.same(100L, c.endOffsets(Collections.singleton(tp)).get(tp), "the end");
        }
        return "4 times found, none after the end; beginning and end";
    }

    static String reset() {
        TopicPartition tp = new TopicPartition(Harness.reference + "-none", 0);
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            c.assign(Collections.singleton(tp));
            c.seek(tp, 5000);
            Harness.same(0L, next(c), "the offset after a reset to the earliest");
        }
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer("auto.offset.reset", "latest")) {
            c.assign(Collections.singleton(tp));
            c.seek(tp, 5000);
            long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
            while (c.position(tp) != 100 && System.nanoTime() < end) {
                c.poll(Duration.ofMillis(100));
            }
            Harness.same(100L, c.position(tp), "the position after a reset to the latest");
        }
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer("auto.offset.reset", "none")) {
            c.assign(Collections.singleton(tp));
            c.seek(tp, 5000);
            try {
                next(c);
                throw new AssertionError("an offset after the end was read");
            } catch (OffsetOutOfRangeException e) {
                Harness.want(e.offsetOutOfRangePartitions().containsKey(tp), "out of range: " + e);
            }
        }
        return "earliest, latest, none";
    }
}
