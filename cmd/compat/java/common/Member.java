import java.time.Duration;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;

/** A member of a group, in a thread of its own: it commits what it reads, and notes what it owns, gets and loses. */
final class Member implements Runnable {
    final String name;
    final KafkaConsumer<byte[], byte[]> consumer;
    final Queue<String> seen = new ConcurrentLinkedQueue<>();
    final Set<TopicPartition> lost = ConcurrentHashMap.newKeySet();
    volatile Set<TopicPartition> owned = Collections.emptySet();
    volatile Throwable died;
    private volatile boolean stop;
    private final Thread thread;

    /** Subscribes to topics, or to what a function of the consumer says. */
    Member(String name, String group, java.util.function.BiConsumer<KafkaConsumer<byte[], byte[]>, ConsumerRebalanceListener> subscribe, String... configs) {
        this.name = name;
        String[] all = Arrays.copyOf(configs, configs.length + 4);
        all[configs.length] = "group.id";
        all[configs.length + 1] = group;
        all[configs.length + 2] = "metadata.max.age.ms";
        all[configs.length + 3] = "1000";
        consumer = Harness.consumer(all);
        subscribe.accept(consumer, new ConsumerRebalanceListener() {
            public void onPartitionsAssigned(Collection<TopicPartition> p) {
                lost.removeAll(p);
            }

            public void onPartitionsRevoked(Collection<TopicPartition> p) {
                lost.addAll(p);
            }
        });
        thread = new Thread(this, name);
        thread.start();
    }

    static Member of(String name, String group, String topic, String... configs) {
        return new Member(name, group, (c, l) -> c.subscribe(Collections.singleton(topic), l), configs);
    }

    public void run() {
        try {
            while (!stop) {
                ConsumerRecords<byte[], byte[]> rs = consumer.poll(Duration.ofMillis(50));
                for (ConsumerRecord<byte[], byte[]> r : rs) {
                    seen.add(r.partition() + "/" + r.offset() + "/" + new String(r.value()));
                }
                if (!rs.isEmpty()) {
                    consumer.commitSync();
                }
                owned = new HashSet<>(consumer.assignment());
            }
        } catch (Throwable e) {
            died = e;
        } finally {
            owned = Collections.emptySet();
            try {
                consumer.close(Duration.ofSeconds(5));
            } catch (Throwable e) {
                died = died == null ? e : died;
            }
        }
    }

    void end() throws Exception {
        stop = true;
        thread.join();
        Harness.want(died == null, name + " died: " + died);
    }

    /** settle waits until the members own all partitions of the topic, evenly, none twice. */
    static void settle(String topic, int partitions, Member... members) throws Exception {
        Set<TopicPartition> want = new HashSet<>(Harness.partitions(topic, partitions));
        try {
            Harness.until("", () -> {
                Set<TopicPartition> all = new HashSet<>();
                int sum = 0;
                int least = Integer.MAX_VALUE;
                int most = 0;
                for (Member m : members) {
                    Harness.want(m.died == null, m.name + " died: " + m.died);
                    Set<TopicPartition> o = new HashSet<>(m.owned);
                    o.retainAll(want);
                    all.addAll(o);
                    sum += o.size();
                    least = Math.min(least, o.size());
                    most = Math.max(most, o.size());
                }
                return sum == partitions && all.equals(want) && most - least <= 1;
            });
        } catch (AssertionError e) {
            StringBuilder b = new StringBuilder();
            for (Member m : members) {
                b.append(' ').append(m.name).append(m.owned).append(m.died == null ? "" : m.died.toString());
            }
            throw new AssertionError("not settled within 30 s:" + b);
        }
    }
}
