import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;

/** What the newest clients have: the consumer groups of KIP-848, and what came with them. */
final class Since43 {
    private static final String[] CONSUMER = {"group.protocol", "consumer"};

    private Since43() {}

    static void all() {
        Harness.check("kip-848", "come and go", Since43::comeAndGo);
        Harness.check("kip-848", "static", () -> Since28.fixed("static-848", CONSUMER));
        Harness.check("kip-848", "online migration", Since43::migration);
        Harness.check("kip-848", "pattern and growth", Since43::pattern);
        Harness.check("admin", "groups and offsets of 4.x", Since43::newer);
    }

    static String comeAndGo() throws Exception {
        String topic = Harness.topic("consumer", Groups.PARTITIONS);
        String group = topic + "-group";
        Member a = Member.of("a", group, topic, Groups.with("a", CONSUMER));
        Member.settle(topic, Groups.PARTITIONS, a);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "alone"), a);
        Member b = Member.of("b", group, topic, Groups.with("b", CONSUMER));
        Member.settle(topic, Groups.PARTITIONS, a, b);
        Harness.same(b.owned, new HashSet<>(a.lost), "what the first member had to give up");
        Harness.until("the group is stable", () -> stable(group));
        Harness.same("Consumer", Groups.described(group, a, b).type().toString(), "the group's type");
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "both"), a, b);
        a.end();
        Member.settle(topic, Groups.PARTITIONS, b);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "left"), b);
        b.end();
        Groups.committed(group, topic, Groups.PARTITIONS, 15);
        return "6, then 3 and 3, then 6; only what moves is revoked; each record once, by its owner";
    }

    private static boolean stable(String group) throws Exception {
        try (Admin a = Admin.create(Harness.properties())) {
            return a.describeConsumerGroups(Set.of(group)).all().get().get(group).groupState().toString().equals("Stable");
        }
    }

    /** migration: a classic group becomes a consumer group while its members are exchanged, and a classic one again. */
    static String migration() throws Exception {
        String[] classic = {"session.timeout.ms", "10000", "heartbeat.interval.ms", "300", "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"};
        String topic = Harness.topic("migrating", Groups.PARTITIONS);
        String group = topic + "-group";
        Member c1 = Member.of("c1", group, topic, Groups.with("c1", classic));
        Member.settle(topic, Groups.PARTITIONS, c1);
        Harness.same("Classic", Groups.described(group, c1).type().toString(), "the group's type at first");
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "classic"), c1);
        Member n1 = Member.of("n1", group, topic, Groups.with("n1", CONSUMER));
        Member.settle(topic, Groups.PARTITIONS, c1, n1);
        Harness.until("the group is stable", () -> stable(group));
        Harness.same("Consumer", Groups.described(group, c1, n1).type().toString(), "the group's type with both");
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "mixed"), c1, n1);
        c1.end();
        Member.settle(topic, Groups.PARTITIONS, n1);
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "new"), n1);
        Member c2 = Member.of("c2", group, topic, Groups.with("c2", classic));
        Member.settle(topic, Groups.PARTITIONS, n1, c2);
        n1.end();
        Member.settle(topic, Groups.PARTITIONS, c2);
        Harness.until("the group is classic again", () -> {
            try (Admin a = Admin.create(Harness.properties())) {
                return a.describeConsumerGroups(Set.of(group)).all().get().get(group).type().toString().equals("Classic");
            }
        });
        Groups.read(Groups.feed(topic, Groups.PARTITIONS, 5, "old"), c2);
        c2.end();
        Groups.committed(group, topic, Groups.PARTITIONS, 20);
        return "classic, mixed, consumer, mixed, classic; each record once, by its owner";
    }

    /** pattern: the broker finds topics by a regular expression, and new partitions. */
    static String pattern() throws Exception {
        String first = Harness.topic("pattern-1", 2);
        String group = first + "-group";
        Member a = new Member("a", group, (c, l) -> c.subscribe(new SubscriptionPattern(Harness.prefix + "-pattern-[0-9]"), l), Groups.with("a", CONSUMER));
        Member.settle(first, 2, a);
        Groups.read(Groups.feed(first, 2, 5, "first"), a);
        try (Admin admin = Admin.create(Harness.properties())) {
            admin.createPartitions(Map.of(first, NewPartitions.increaseTo(4))).all().get();
        }
        Member.settle(first, 4, a);
        Groups.read(Groups.feed(first, 4, 5, "grown"), a);
        a.end();
        return "found by the broker; new partitions assigned";
    }

    static String newer() throws Exception {
        TopicPartition tp = new TopicPartition(Harness.reference + "-none", 0);
        try (Admin a = Admin.create(Harness.properties())) {
            Harness.same(99L, a.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).partitionResult(tp).get().offset(), "the offset of the largest timestamp");
            Harness.same(0L, a.listOffsets(Map.of(tp, OffsetSpec.earliestLocal())).partitionResult(tp).get().offset(), "the earliest local offset");
            Harness.want(a.describeFeatures().featureMetadata().get().finalizedFeatures().get("group.version").maxVersionLevel() == 1, "group.version is not 1");
            Harness.want(!a.listGroups().all().get().isEmpty(), "no groups are listed");
            Harness.want(!a.listConfigResources().all().get().isEmpty(), "no config resources are listed");
            Harness.want(!a.describeMetadataQuorum().quorumInfo().get().voters().isEmpty(), "the quorum has no voters");
        }
        return "special timestamps, features, groups, config resources, quorum";
    }
}
