import java.lang.reflect.Method;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The checks of the Java client. Harness BROKERS PREFIX REFERENCE FACTOR AREAS: topics and groups are named after PREFIX;
 * REFERENCE begins the names of the topics that the tool has written. What is in this directory compiles with every client
 * from 2.1 on; since28 and since43 have what came later, and are found by their names.
 */
public final class Harness {
    static String brokers;
    static String prefix;
    static String reference;
    static short factor;
    static Set<String> areas;

    interface Check {
        String run() throws Exception;
    }

    private Harness() {}

    public static void main(String[] args) throws Exception {
        brokers = args[0];
        prefix = args[1];
        reference = args[2];
        factor = Short.parseShort(args[3]);
        areas = new HashSet<>(Arrays.asList(args[4].split(",")));
        System.out.println("version\t" + AppInfoParser.getVersion());
        check("compacted", "write", Records::fill);
        Records.all();
        Groups.all();
        Offsets.all();
        Administration.all();
        for (String more : new String[] {"Since28", "Since43"}) {
            Method all;
            try {
                all = Class.forName(more).getDeclaredMethod("all");
            } catch (ClassNotFoundException e) {
                continue;
            }
            all.invoke(null);
        }
        check("compacted", "latest values", Records::compacted);
        System.exit(0);
    }

    /** check runs a check, if its area was asked for, and says what came of it. */
    static void check(String area, String name, Check c) {
        if (!areas.contains(area)) {
            return;
        }
        String status = "ok";
        String detail;
        try {
            detail = c.run();
        } catch (Throwable e) {
            status = "FAIL";
            while (e instanceof ExecutionException && e.getCause() != null) {
                e = e.getCause();
            }
            detail = e + " at " + (e.getStackTrace().length > 0 ? e.getStackTrace()[0] : "");
        }
        System.out.println(status + "\t" + area + "\t" + name + "\t" + detail.replace('\n', ' ').replace('\t', ' '));
        System.out.flush();
    }

    static void want(boolean ok, String otherwise) {
        if (!ok) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object want, Object got, String what) {
        want(Objects.equals(want, got), what + " is " + got + ", not " + want);
    }

    static Properties properties(String... more) {
        Properties p = new Properties();
        p.put("bootstrap.servers", brokers);
        for (int i = 0; i < more.length; i += 2) {
            p.put(more[i], more[i + 1]);
        }
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer(String... more) {
        return new KafkaProducer<>(properties(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String... more) {
        Properties p = properties("enable.auto.commit", "false", "auto.offset.reset", "earliest");
        for (int i = 0; i < more.length; i += 2) {
            p.put(more[i], more[i + 1]);
        }
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static AdminClient admin() {
        return AdminClient.create(properties());
    }

    static String topic(String name, int partitions, String... configs) throws Exception {
        String topic = prefix + "-" + name;
        Map<String, String> c = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) {
            c.put(configs[i], configs[i + 1]);
        }
        try (AdminClient a = admin()) {
            a.createTopics(Collections.singleton(new NewTopic(topic, partitions, factor).configs(c))).all().get();
        }
        return topic;
    }

    static List<TopicPartition> partitions(String topic, int n) {
        List<TopicPartition> all = new ArrayList<>();
        for (int p = 0; p < n; p++) {
            all.add(new TopicPartition(topic, p));
        }
        return all;
    }

    /** first calls the first of the methods that the object's class has: names changed over the versions. */
    static Object first(Object o, String... names) throws Exception {
        for (String n : names) {
            try {
                Method m = o.getClass().getMethod(n);
                m.setAccessible(true);
                return m.invoke(o);
            } catch (NoSuchMethodException e) {
                continue;
            }
        }
        throw new NoSuchMethodException(Arrays.toString(names));
    }

    static void until(String what, Callable<Boolean> there) throws Exception {
        until(what, 30, there);
    }

    static void until(String what, int seconds, Callable<Boolean> there) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        while (!there.call()) {
            want(System.nanoTime() < end, "not within " + seconds + " s: " + what);
            Thread.sleep(20);
        }
    }
}
