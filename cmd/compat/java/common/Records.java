import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;

/** Writing and reading records, whole and in order. */
final class Records {
    private Records() {}

    static void all() {
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
            Harness.check("records", "write " + codec, () -> write(codec));
            Harness.check("records", "read " + codec, () -> read(Harness.reference + "-" + codec));
        }
        Harness.check("records", "large", Records::large);
        Harness.check("idempotent", "order", Records::idempotent);
        Harness.check("transactions", "refused", Records::transactions);
    }

    static String write(String codec) throws Exception {
        String topic = Harness.topic("write-" + codec, Rule.PARTITIONS);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> p = Harness.producer("compression.type", codec, "linger.ms", "20", "acks", "all")) {
            for (int i = 0; i < Rule.COUNT; i++) {
                sent.add(p.send(Rule.record(topic, i)));
            }
            p.flush();
        }
        for (int i = 0; i < Rule.COUNT; i++) {
            RecordMetadata m = sent.get(i).get();
            Harness.same((long) (i / Rule.PARTITIONS), m.offset(), "acknowledged offset of record " + i);
            Harness.same(Rule.EPOCH + i * 1000L, m.timestamp(), "acknowledged timestamp of record " + i);
        }
        System.out.println("wrote\t" + topic + "\t" + codec + "\tnullheaders");
        return read(topic);
    }

    static String read(String topic) throws Exception {
        int[] next = new int[Rule.PARTITIONS];
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            c.assign(Harness.partitions(topic, Rule.PARTITIONS));
            c.seekToBeginning(c.assignment());
            int n = 0;
            long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (n < Rule.COUNT) {
                Harness.want(System.nanoTime() < end, "only " + n + " records in 30 s");
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200))) {
                    String d = Rule.difference(next[r.partition()]++ * Rule.PARTITIONS + r.partition(), r);
                    Harness.want(d == null, d);
                    n++;
                }
            }
            for (TopicPartition tp : c.assignment()) {
                Harness.same((long) Rule.COUNT / Rule.PARTITIONS, c.position(tp), "the position at the end");
            }
        }
        return Rule.COUNT + " records";
    }

    /** large writes records of nearly a megabyte, and a batch too large to be taken. */
    static String large() throws Exception {
        String topic = Harness.topic("large", 1);
        byte[] big = new byte[1_000_000];
        new Random(7).nextBytes(big);
        try (KafkaProducer<byte[], byte[]> p = Harness.producer("max.request.size", "4000000", "batch.size", "1000000", "linger.ms", "10")) {
            for (int i = 0; i < 5; i++) {
                big[0] = (byte) i;
                Harness.same((long) i, p.send(new ProducerRecord<>(topic, 0, null, big.clone())).get().offset(), "offset");
            }
            try {
                p.send(new ProducerRecord<>(topic, 0, null, new byte[2_000_000])).get();
                throw new AssertionError("a record over max.message.bytes was taken");
            } catch (java.util.concurrent.ExecutionException e) {
                Harness.want(e.getCause() instanceof org.apache.kafka.common.errors.RecordTooLargeException, "too large: " + e.getCause());
            }
            List<Future<RecordMetadata>> many = new ArrayList<>();
            for (int i = 0; i < 20_000; i++) {
                many.add(p.send(new ProducerRecord<>(topic, 0, Rule.bytes("k" + i), Rule.bytes("small" + i))));
            }
            for (int i = 0; i < many.size(); i++) {
                Harness.same(5L + i, many.get(i).get().offset(), "offset");
            }
        }
        int n = 0;
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            c.assign(Harness.partitions(topic, 1));
            c.seekToBeginning(c.assignment());
            long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (n < 20_005) {
                Harness.want(System.nanoTime() < end, "only " + n + " records in 30 s");
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200))) {
                    Harness.same((long) n, r.offset(), "offset");
                    if (n < 5) {
                        big[0] = (byte) n;
                        Harness.want(Arrays.equals(big, r.value()), "large record " + n + " came out otherwise");
                    } else {
                        Harness.same("small" + (n - 5), new String(r.value()), "value");
                    }
                    n++;
                }
            }
        }
        return "5 records of 1,000,000 bytes, 20,000 small ones, RecordTooLarge above";
    }

    static String idempotent() throws Exception {
        String topic = Harness.topic("idempotent", 3);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> p = Harness.producer("enable.idempotence", "true", "acks", "all", "linger.ms", "1",
                "max.in.flight.requests.per.connection", "5", "batch.size", "1000")) {
            for (int i = 0; i < 6000; i++) {
                sent.add(p.send(new ProducerRecord<>(topic, i % 3, null, Rule.bytes("" + i))));
            }
            p.flush();
        }
        for (int i = 0; i < sent.size(); i++) {
            Harness.same((long) (i / 3), sent.get(i).get().offset(), "acknowledged offset of " + i);
        }
        int[] next = {0, 1, 2};
        int n = 0;
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            c.assign(Harness.partitions(topic, 3));
            c.seekToBeginning(c.assignment());
            long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (n < 6000) {
                Harness.want(System.nanoTime() < end, "only " + n + " records in 30 s");
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200))) {
                    Harness.same("" + next[r.partition()], new String(r.value()), "next value of partition " + r.partition());
                    next[r.partition()] += 3;
                    n++;
                }
            }
        }
        return "6,000 records in small batches, five in flight";
    }

    /** Transactions are not there: what asks for them is told so, at once. */
    static String transactions() {
        long began = System.nanoTime();
        try (KafkaProducer<byte[], byte[]> p = Harness.producer("transactional.id", Harness.prefix + "-tx", "max.block.ms", "20000")) {
            try {
                p.initTransactions();
            } catch (org.apache.kafka.common.KafkaException e) {
                Harness.want((e + " " + e.getCause()).matches(".*(not supported|UnsupportedVersion).*"), "the error is " + e + ", " + e.getCause());
                Harness.want(System.nanoTime() - began < Duration.ofSeconds(10).toNanos(), "the error took more than 10 s");
                return "told at once: " + e.getMessage().replace(Harness.prefix, "PREFIX");
            }
        }
        throw new AssertionError("initTransactions succeeded, although there are no transactions");
    }

    /** fill writes each of ten keys many times, one last of all without a value. What is written first is looked at last. */
    static String fill() throws Exception {
        String topic = Harness.topic("compacted", 1, "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01",
            "max.compaction.lag.ms", "100", "delete.retention.ms", "86400000");
        try (KafkaProducer<byte[], byte[]> p = Harness.producer("linger.ms", "0")) {
            for (int i = 0; i < 200; i++) {
                p.send(new ProducerRecord<>(topic, 0, Rule.bytes("k" + i % 10), i == 199 ? null : Rule.bytes("v" + i))).get();
            }
            try {
                p.send(new ProducerRecord<>(topic, 0, null, Rule.bytes("no key"))).get();
                throw new AssertionError("a record without a key was taken");
            } catch (java.util.concurrent.ExecutionException e) {
                // The client of 2.1 does not know the error's number yet.
                String name = e.getCause().getClass().getSimpleName();
                Harness.want(name.equals("InvalidRecordException") || name.equals("UnknownServerException"), "without a key: " + e.getCause());
            }
        }
        end();
        return "200 records with 10 keys; null keys refused";
    }

    /** end writes one more record: the newest segment is never cleaned, so this closes it when it is due. */
    private static void end() throws Exception {
        Thread.sleep(300);
        try (KafkaProducer<byte[], byte[]> p = Harness.producer()) {
            p.send(new ProducerRecord<>(Harness.prefix + "-compacted", 0, Rule.bytes("end"), Rule.bytes("end"))).get();
        }
    }

    static String compacted() throws Exception {
        String topic = Harness.prefix + "-compacted";
        Harness.until("only the last value of each key is left", 90, () -> {
            end();
            return before200(topic).size() <= 10;
        });
        Map<Long, String> left = before200(topic);
        for (long o = 190; o < 200; o++) {
            Harness.same("k" + o % 10 + (o == 199 ? "=null" : "=v" + o), left.get(o), "the record at offset " + o);
        }
        return "10 of 200 records left, at their offsets, one a tombstone";
    }

    private static Map<Long, String> before200(String topic) {
        Map<Long, String> left = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            c.assign(Harness.partitions(topic, 1));
            c.seekToBeginning(c.assignment());
            long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
            while (System.nanoTime() < end) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(100))) {
                    if (r.offset() >= 200) {
                        return left;
                    }
                    left.put(r.offset(), new String(r.key()) + "=" + (r.value() == null ? null : new String(r.value())));
                }
            }
        }
        throw new AssertionError("the end of " + topic + " was not reached");
    }
}
