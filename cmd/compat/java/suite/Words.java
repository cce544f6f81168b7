import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;

/**
 * Counts words with Kafka Streams, at least once: Words BROKERS IN OUT STATE. It writes the text, counts with a state store,
 * stops, starts again without its local state, which it must find in the changelog topic, and counts on.
 */
public final class Words {
    private Words() {}

    static String brokers;
    static String in;
    static String out;

    public static void main(String[] args) throws Exception {
        brokers = args[0];
        in = args[1];
        out = args[2];
        try {
            Map<String, Long> want = new TreeMap<>();
            write(want, "the quick brown fox jumps over the lazy dog", "the dog barks", "fox and dog");
            try (KafkaStreams s = start(args[3] + "/first")) {
                until(want, s);
            }
            write(want, "the fox again", "brown dog, brown fox");
            try (KafkaStreams s = start(args[3] + "/second")) {
                until(want, s);
            }
            System.out.println("counted " + want);
        } catch (Throwable e) {
            System.out.println("failed: " + e);
            System.exit(1);
        }
        System.exit(0);
    }

    private static void write(Map<String, Long> want, String... lines) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", brokers);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < lines.length; i++) {
                producer.send(new ProducerRecord<>(in, "" + i, lines[i])).get();
                for (String w : lines[i].split("\\W+")) {
                    want.merge(w, 1L, Long::sum);
                }
            }
        }
    }

    private static KafkaStreams start(String state) {
        StreamsBuilder b = new StreamsBuilder();
        b.stream(in, Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(v -> Arrays.asList(v.split("\\W+")))
            .groupBy((k, w) -> w, Grouped.with(Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long, KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>>as("counts").withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream().to(out, Produced.with(Serdes.String(), Serdes.Long()));
        Properties p = new Properties();
        p.put("application.id", "compat-streams");
        p.put("bootstrap.servers", brokers);
        p.put("state.dir", state);
        p.put("num.stream.threads", "2");
        p.put("commit.interval.ms", "200");
        p.put("replication.factor", "-1");
        p.put("processing.guarantee", "at_least_once");
        p.put("consumer.auto.offset.reset", "earliest");
        p.put("consumer.heartbeat.interval.ms", "300");
        p.put("consumer.session.timeout.ms", "6000"); // what stops does not leave its group
        p.put("statestore.cache.max.bytes", "0");
        KafkaStreams s = new KafkaStreams(b.build(), p);
        s.start();
        return s;
    }

    /** until waits until the state store and the topic of results say what they should. */
    private static void until(Map<String, Long> want, KafkaStreams s) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(40).toNanos();
        Map<String, Long> store = new TreeMap<>();
        Map<String, Long> topic = new TreeMap<>();
        while (!want.equals(store) || !want.equals(topic)) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not in time: " + want + " wanted, the store has " + store + ", the topic " + topic);
            }
            Thread.sleep(100);
            if (s.state() != KafkaStreams.State.RUNNING) {
                continue;
            }
            store.clear();
            ReadOnlyKeyValueStore<String, Long> counts = s.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.keyValueStore()));
            try (KeyValueIterator<String, Long> i = counts.all()) {
                i.forEachRemaining(kv -> store.put(kv.key, kv.value));
            }
            topic = last();
        }
    }

    private static Map<String, Long> last() {
        Properties p = new Properties();
        p.put("bootstrap.servers", brokers);
        Map<String, Long> all = new TreeMap<>();
        try (KafkaConsumer<String, Long> c = new KafkaConsumer<>(p, new StringDeserializer(), new LongDeserializer())) {
            List<org.apache.kafka.common.TopicPartition> tps = new ArrayList<>();
            c.partitionsFor(out).forEach(i -> tps.add(new org.apache.kafka.common.TopicPartition(out, i.partition())));
            c.assign(tps);
            c.seekToBeginning(tps);
            Map<org.apache.kafka.common.TopicPartition, Long> ends = c.endOffsets(tps);
            while (tps.stream().anyMatch(tp -> c.position(tp) < ends.get(tp))) {
                for (ConsumerRecord<String, Long> r : c.poll(Duration.ofMillis(100))) {
                    all.put(r.key(), r.value());
                }
            }
        }
        return all;
    }
}
