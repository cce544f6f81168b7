import java.util.*;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What an administrator does. */
final class Administration {
    private Administration() {}

    static void all() {
        Harness.check("admin", "topics", Administration::topics);
        Harness.check("admin", "configs", Administration::configs);
        Harness.check("admin", "delete records", Administration::deleteRecords);
        Harness.check("admin", "groups", Administration::groups);
        Harness.check("admin", "errors", Administration::errors);
    }

    @SuppressWarnings("unchecked")
    static TopicDescription describe(AdminClient a, String topic) throws Exception {
        Object futures = Harness.first(a.describeTopics(Collections.singleton(topic)), "topicNameValues", "values");
        return ((Map<String, KafkaFuture<TopicDescription>>) futures).get(topic).get();
    }

    static String topics() throws Exception {
        String topic = Harness.topic("topics", 3);
        try (AdminClient a = Harness.admin()) {
            Harness.want(a.listTopics().names().get().contains(topic), "the topic is not listed");
            TopicDescription d = describe(a, topic);
            Harness.same(3, d.partitions().size(), "the number of partitions");
            Set<Integer> nodes = new HashSet<>();
            for (Node n : a.describeCluster().nodes().get()) {
                nodes.add(n.id());
            }
            Harness.want(nodes.size() >= Harness.factor, "brokers: " + nodes);
            for (int p = 0; p < 3; p++) {
                Harness.same(p, d.partitions().get(p).partition(), "the number of a partition");
                Harness.same((int) Harness.factor, d.partitions().get(p).replicas().size(), "the number of replicas");
                Harness.want(nodes.contains(d.partitions().get(p).leader().id()), "the leader is no broker");
            }
            a.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(5))).all().get();
            Harness.until("five partitions are described", () -> describe(a, topic).partitions().size() == 5);
            try (KafkaProducer<byte[], byte[]> p = Harness.producer()) {
                Harness.same(0L, p.send(new ProducerRecord<>(topic, 4, null, Rule.bytes("new"))).get().offset(), "the first offset of a new partition");
            }
            a.deleteTopics(Collections.singleton(topic)).all().get();
            Harness.until("the topic is gone", () -> !a.listTopics().names().get().contains(topic));
        }
        return "created, listed, described, grown, deleted";
    }

    static String configs() throws Exception {
        String topic = Harness.topic("configs", 1, "retention.ms", "123456789");
        ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (AdminClient a = Harness.admin()) {
            Harness.until("the topic is described", () -> a.listTopics().names().get().contains(topic));
            Config c = a.describeConfigs(Collections.singleton(r)).all().get().get(r);
            Harness.same("123456789", c.get("retention.ms").value(), "retention.ms");
            Harness.same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, c.get("retention.ms").source(), "the source of retention.ms");
            Harness.same("delete", c.get("cleanup.policy").value(), "cleanup.policy");
            Harness.want(c.get("cleanup.policy").isDefault(), "cleanup.policy is not default");
            ConfigResource b = new ConfigResource(ConfigResource.Type.BROKER, "" + a.describeCluster().nodes().get().iterator().next().id());
            Harness.want(a.describeConfigs(Collections.singleton(b)).all().get().get(b).entries().size() > 20, "few broker configs");
        }
        return "of a topic with sources, of a broker";
    }

    static String deleteRecords() throws Exception {
        String topic = Harness.topic("deleted", 1);
        TopicPartition tp = new TopicPartition(topic, 0);
        Groups.feed(topic, 1, 20, "d");
        try (AdminClient a = Harness.admin()) {
            Harness.same(12L, a.deleteRecords(Collections.singletonMap(tp, RecordsToDelete.beforeOffset(12))).lowWatermarks().get(tp).get().lowWatermark(), "the low watermark");
        }
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer()) {
            c.assign(Collections.singleton(tp));
            Harness.same(12L, c.beginningOffsets(Collections.singleton(tp)).get(tp), "the beginning");
            Harness.same(20L, c.endOffsets(Collections.singleton(tp)).get(tp), "the end");
            c.seekToBeginning(c.assignment());
            Harness.same(12L, Offsets.next(c), "the first offset read");
        }
        return "before offset 12 of 20: beginning, end, first record";
    }

    @SuppressWarnings("unchecked")
    static String groups() throws Exception {
        String topic = Harness.topic("of-group", 1);
        String group = Harness.prefix + "-administered";
        TopicPartition tp = new TopicPartition(topic, 0);
        try (KafkaConsumer<byte[], byte[]> c = Harness.consumer("group.id", group)) {
            c.assign(Collections.singleton(tp));
            c.commitSync(Collections.singletonMap(tp, new OffsetAndMetadata(9, "nine")));
        }
        try (AdminClient a = Harness.admin()) {
            Harness.until("the group is listed", () -> {
                for (Object g : a.listConsumerGroups().all().get()) {
                    if (((ConsumerGroupListing) g).groupId().equals(group)) {
                        return true;
                    }
                }
                return false;
            });
            ConsumerGroupDescription d = a.describeConsumerGroups(Collections.singleton(group)).all().get().get(group);
            Harness.same("EMPTY", String.valueOf(Harness.first(d, "groupState", "state")).toUpperCase(Locale.ROOT), "the group's state");
            Harness.same(new OffsetAndMetadata(9, "nine"), a.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(tp), "the committed offset");
            a.deleteConsumerGroups(Collections.singleton(group)).all().get();
            Harness.want(a.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(tp) == null, "the offsets of a deleted group are there");
        }
        return "listed, described, offsets listed, deleted";
    }

    static String errors() throws Exception {
        String topic = Harness.topic("errors", 1);
        try (AdminClient a = Harness.admin()) {
            fails("TopicExistsException", a.createTopics(Collections.singleton(new NewTopic(topic, 1, Harness.factor))).all());
            fails("InvalidTopicException", a.createTopics(Collections.singleton(new NewTopic("no/slash", 1, Harness.factor))).all());
            fails("InvalidReplicationFactorException", a.createTopics(Collections.singleton(new NewTopic(topic + "-9", 1, (short) 9))).all());
            fails("InvalidPartitionsException", a.createTopics(Collections.singleton(new NewTopic(topic + "-0", 0, Harness.factor))).all());
            fails("InvalidConfigurationException", a.createTopics(Collections.singleton(new NewTopic(topic + "-c", 1, Harness.factor)
                .configs(Collections.singletonMap("retention.ms", "soon")))).all());
            fails("UnknownTopicOrPartitionException", a.deleteTopics(Collections.singleton(topic + "-none")).all());
            fails("InvalidPartitionsException", a.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(1))).all());
            fails("OffsetOutOfRangeException", a.deleteRecords(Collections.singletonMap(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(5))).all());
            fails("GroupIdNotFoundException", a.deleteConsumerGroups(Collections.singleton(Harness.prefix + "-no-group")).all());
        }
        return "9 refusals with Kafka's errors";
    }

    private static void fails(String with, KafkaFuture<?> f) throws Exception {
        try {
            f.get();
        } catch (ExecutionException e) {
            Harness.same(with, e.getCause().getClass().getSimpleName(), "the error (" + e.getCause().getMessage() + ")");
            return;
        }
        throw new AssertionError("no " + with);
    }
}
