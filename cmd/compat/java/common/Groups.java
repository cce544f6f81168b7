import java.util.*;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Groups: who owns what, and that each record is read once, by its owner. */
final class Groups {
    static final int PARTITIONS = 6;

    private Groups() {}

    static void all() {
        Harness.check("groups", "eager", () -> comeAndGo("eager", "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor",
            "session.timeout.ms", "10000", "heartbeat.interval.ms", "300"));
        Harness.check("groups", "sticky", () -> comeAndGo("sticky", "partition.assignment.strategy", "org.apache.kafka.clients.consumer.StickyAssignor",
            "session.timeout.ms", "10000", "heartbeat.interval.ms", "300"));
    }

    /** feed writes k records to each partition, and returns them as members note them. */
    static Set<String> feed(String topic, int partitions, int k, String mark) throws Exception {
        Set<String> all = new TreeSet<>();
        List<java.util.concurrent.Future<org.apache.kafka.clients.producer.RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> p = Harness.producer()) {
            for (int i = 0; i < k * partitions; i++) {
                sent.add(p.send(new ProducerRecord<>(topic, i % partitions, null, Rule.bytes(mark + i))));
            }
            p.flush();
        }
        for (int i = 0; i < sent.size(); i++) {
            all.add(i % partitions + "/" + sent.get(i).get().offset() + "/" + mark + i);
        }
        return all;
    }

    /** read waits until the members have seen the records, and demands that each was seen once, by its partition's owner, in order. */
    static void read(Set<String> want, Member... members) throws Exception {
        Harness.until("the members read " + want.size() + " records", () -> {
            int n = 0;
            for (Member m : members) {
                Harness.want(m.died == null, m.name + " died: " + m.died);
                n += m.seen.size();
            }
            return n >= want.size();
        });
        Thread.sleep(100); // for what comes twice
        Set<String> all = new TreeSet<>();
        for (Member m : members) {
            Map<Integer, Long> last = new HashMap<>();
            for (String s : m.seen) {
                Harness.want(all.add(s), s + " was read twice");
                String[] parts = s.split("/");
                int partition = Integer.parseInt(parts[0]);
                long offset = Long.parseLong(parts[1]);
                Harness.want(last.getOrDefault(partition, -1L) < offset, m.name + " read " + s + " out of order");
                last.put(partition, offset);
                boolean owns = false;
                for (TopicPartition tp : m.owned) {
                    owns |= tp.partition() == partition;
                }
                Harness.want(owns, m.name + " read " + s + " and owns " + m.owned);
            }
            m.seen.clear();
        }
        Harness.same(want, all, "what the members read");
    }

    static void committed(String group, String topic, int partitions, long want) throws Exception {
        try (AdminClient a = Harness.admin()) {
            Map<TopicPartition, OffsetAndMetadata> all = a.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            for (TopicPartition tp : Harness.partitions(topic, partitions)) {
                Harness.want(all.get(tp) != null, "nothing is committed for " + tp);
                Harness.same(want, all.get(tp).offset(), "the committed offset of " + tp);
            }
        }
    }

    /** described demands that the broker says of the group what its members know: who owns what. */
    static ConsumerGroupDescription described(String group, Member... members) throws Exception {
        ConsumerGroupDescription[] d = new ConsumerGroupDescription[1];
        try (AdminClient a = Harness.admin()) {
            d[0] = a.describeConsumerGroups(Collections.singleton(group)).all().get().get(group);
        }
        Harness.same("STABLE", String.valueOf(Harness.first(d[0], "groupState", "state")).toUpperCase(Locale.ROOT), "the group's state");
        Harness.same(members.length, d[0].members().size(), "the number of members");
        Map<String, Set<TopicPartition>> got = new HashMap<>();
        for (MemberDescription m : d[0].members()) {
            got.put(m.clientId(), new HashSet<>(m.assignment().topicPartitions()));
        }
        for (Member m : members) {
            Harness.same(m.owned, got.get(m.name), "the described assignment of " + m.name);
        }
        return d[0];
    }

    static String[] with(String client, String... configs) {
        String[] all = Arrays.copyOf(configs, configs.length + 2);
        all[configs.length] = "client.id";
        all[configs.length + 1] = client;
        return all;
    }

    static String comeAndGo(String what, String... configs) throws Exception {
        String topic = Harness.topic(what, PARTITIONS);
        String group = topic + "-group";
        Member a = Member.of("a", group, topic, with("a", configs));
        Member.settle(topic, PARTITIONS, a);
        read(feed(topic, PARTITIONS, 5, "alone"), a);
        Member b = Member.of("b", group, topic, with("b", configs));
        Member.settle(topic, PARTITIONS, a, b);
        described(group, a, b);
        read(feed(topic, PARTITIONS, 5, "both"), a, b);
        a.end();
        Member.settle(topic, PARTITIONS, b);
        read(feed(topic, PARTITIONS, 5, "left"), b);
        described(group, b);
        b.end();
        committed(group, topic, PARTITIONS, 15);
        return "6 partitions: 6, then 3 and 3, then 6; each record once, by its owner; 15 committed";
    }
}
