import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What came between the clients 2.1 and 2.8: static members, cooperative rebalances, incremental configs, offsets by admins. */
final class Since28 {
    private static final String[] CLASSIC = {"session.timeout.ms", "10000", "heartbeat.interval.ms", "300"};

    private Since28() {}

    static void all() {
        Harness.check("groups", "cooperative", Since28::cooperative);
        Harness.check("groups", "static", () -> fixed("static", CLASSIC));
        Harness.check("admin", "incremental configs", Since28::incremental);
        Harness.check("admin", "offsets", Since28::offsets);
        Harness.check("admin", "log dirs", Since28::logDirs);
    }

    static String[] plus(String[] configs, String... more) {
        String[] all = Arrays.copyOf(configs, configs.length + more.length);
        System.arraycopy(more, 0, all, configs.length, more.length);
        return all;
    }

    /** cooperative: who stays loses only what moves to who comes. */
    static String cooperative() throws Exception {
        String[] configs = plus(CLASSIC, "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        String topic = Harness.topic("cooperative", Groups.PARTITIONS);
        String group = topic + "-group";
        Member a = Member.of("a", group, topic, Groups.with("a", configs));
        Member.settle(topic, Groups.PARTITIONS, a);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "alone"), a);
        Member b = Member.of("b", group, topic, Groups.with("b", configs));
        Member.settle(topic, Groups.PARTITIONS, a, b);
        Harness.same(b.owned, new HashSet<>(a.lost), "what the first member had to give up");
        Groups.described(group, a, b);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "both"), a, b);
        b.lost.clear();
        a.end();
        Member.settle(topic, Groups.PARTITIONS, b);
        Harness.want(b.lost.isEmpty(), "who stayed lost " + b.lost);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "left"), b);
        b.end();
        Groups.committed(group, topic, Groups.PARTITIONS, 15);
        return "only what moves is revoked; each record once, by its owner";
    }

    /** fixed: a static member that comes back has its partitions again, and nobody else loses any. */
    static String fixed(String what, String... configs) throws Exception {
        String topic = Harness.topic(what, Groups.PARTITIONS);
        String group = topic + "-group";
        Member a = Member.of("a", group, topic, plus(Groups.with("a", configs), "group.instance.id", "one"));
        Member b = Member.of("b", group, topic, plus(Groups.with("b", configs), "group.instance.id", "two"));
        Member.settle(topic, Groups.PARTITIONS, a, b);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "first"), a, b);
        Set<TopicPartition> before = a.owned;
        b.lost.clear();
        a.end();
        Set<String> while_away = Groups.feed(topic, Groups.PARTITIONS, 5, "away");
        Member again = Member.of("a", group, topic, plus(Groups.with("a", configs), "group.instance.id", "one"));
        Member.settle(topic, Groups.PARTITIONS, again, b);
        Harness.same(before, again.owned, "what the static member owns again");
        Harness.want(b.lost.isEmpty(), "the other one lost " + b.lost);
        Groups.read(while_away, again, b);
        for (MemberDescription m : Groups.described(group, again, b).members()) {
            Harness.same(m.clientId().equals("a") ? "one" : "two", m.groupInstanceId().orElse(""), "the instance id of " + m.clientId());
        }
        try (Admin admin = Admin.create(Harness.properties())) {
            again.end();
            admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(Collections.singleton(new MemberToRemove("one")))).all().get();
        }
        Member.settle(topic, Groups.PARTITIONS, b);
        b.end();
        return "back with the same partitions, the other undisturbed; removed by an administrator";
    }

    static String incremental() throws Exception {
        String topic = Harness.topic("incremental", 1, "cleanup.policy", "delete");
        ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin a = Admin.create(Harness.properties())) {
            a.incrementalAlterConfigs(Map.of(r, List.of(
                new AlterConfigOp(new ConfigEntry("max.message.bytes", "1000000"), AlterConfigOp.OpType.SET),
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).all().get();
            Harness.until("the configs are altered", () -> {
                Config c = a.describeConfigs(List.of(r)).all().get().get(r);
                return c.get("max.message.bytes").value().equals("1000000") && new HashSet<>(List.of(c.get("cleanup.policy").value().split(","))).equals(Set.of("delete", "compact"));
            });
            a.incrementalAlterConfigs(Map.of(r, List.of(
                new AlterConfigOp(new ConfigEntry("max.message.bytes", ""), AlterConfigOp.OpType.DELETE),
                new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SUBTRACT)))).all().get();
            Harness.until("the configs are as before", () -> {
                Config c = a.describeConfigs(List.of(r)).all().get().get(r);
                return c.get("max.message.bytes").isDefault() && c.get("cleanup.policy").value().equals("delete");
            });
            DescribeConfigsOptions all = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
            ConfigEntry e = a.describeConfigs(List.of(r), all).all().get().get(r).get("segment.bytes");
            Harness.same("log.segment.bytes", e.synonyms().get(0).name(), "the synonym of segment.bytes");
            Harness.same(ConfigEntry.ConfigType.INT, e.type(), "the type of segment.bytes");
        }
        return "set, append, delete, subtract; synonyms and types";
    }

    static String offsets() throws Exception {
        TopicPartition tp = new TopicPartition(Harness.reference + "-none", 0);
        String group = Harness.prefix + "-moved";
        try (Admin a = Admin.create(Harness.properties())) {
            a.alterConsumerGroupOffsets(group, Map.of(tp, new OffsetAndMetadata(55, "by hand"))).all().get();
            Harness.same(new OffsetAndMetadata(55, "by hand"), a.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(tp), "the committed offset");
            a.deleteConsumerGroupOffsets(group, Set.of(tp)).all().get();
            Harness.want(a.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(tp) == null, "a deleted offset is there");
            Harness.same(0L, a.listOffsets(Map.of(tp, OffsetSpec.earliest())).partitionResult(tp).get().offset(), "the earliest offset");
            Harness.same(100L, a.listOffsets(Map.of(tp, OffsetSpec.latest())).partitionResult(tp).get().offset(), "the latest offset");
            Harness.same(1L, a.listOffsets(Map.of(tp, OffsetSpec.forTimestamp(Rule.EPOCH + 1))).partitionResult(tp).get().offset(), "the offset by time");
        }
        return "altered, deleted, listed by administrators";
    }

    static String logDirs() throws Exception {
        try (Admin a = Admin.create(Harness.properties())) {
            List<Integer> nodes = new ArrayList<>();
            a.describeCluster().nodes().get().forEach(n -> nodes.add(n.id()));
            long[] size = {0};
            a.describeLogDirs(nodes).allDescriptions().get().forEach((node, dirs) -> dirs.forEach((path, d) -> d.replicaInfos().forEach((tp, i) -> {
                if (tp.topic().equals(Harness.reference + "-none")) {
                    size[0] += i.size();
                }
            })));
            Harness.want(size[0] > 50_000, "the reference topic has " + size[0] + " bytes");
        }
        return "the size of a topic's replicas";
    }
}
