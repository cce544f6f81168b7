package mutant

import "slices"

// All lists every mutant, in the order in which they were planted.
func All() []Mutant {
	all := make([]Mutant, len(planted))
	for i, m := range planted {
		all[i] = Mutant{Name: m.name, Alters: m.alters, Room: slices.Contains(inRoom, m.name)}
	}
	return all
}

// inRoom are those that whole runs cannot show, or have not been seen to: what they alter needs members of groups, hostile
// peers, or a moment that a whole run hardly ever meets. The tests of their rooms find them.
var inRoom = []string{
	"delete-before-checkpoint", // replaying the log heals it
	"fill-held-before-checkpoint",
	"fill-overlap-accepted",
	"fill-hole-served",
	"wiped-node-votes",
	"group-read-unconfirmed",
	"produce-after-refused",
	"replica-payload-missing-but-stepped",
	"fence-at-takeover",
	"stranger-dropped-unproven",
	"peer-payload-missing",
	"peer-checksum-ignored",
	"peer-refused-admitted",
	"peer-old-incarnation-kept",
	"peer-drop-not-reported",
}

var planted = []struct{ name, alters string }{
	{"index-off-by-one-batch", "partition: an index entry points behind its batch"},
	{"checkpoint-before-write", "partition: a checkpoint does not wait for the tails to be written"},
	{"recovery-does-not-truncate", "partition: recovery goes on at the end of the file instead of the checkpoint's position"},
	{"log-start-moved-back", "partition: recovery takes the first segment's offset as log start"},
	{"epochs-not-restored", "partition: recovery forgets the leader epochs"},
	{"producers-not-restored", "partition: recovery forgets the idempotent producers"},
	{"producers-window-of-four", "partition: only the last four batches of a producer are recognised"},
	{"tail-released-early", "partition: a full chunk is given back before it is written"},
	{"delete-before-checkpoint", "partition: segments are deleted before the checkpoint without them is durable"},
	{"partial-block-lost", "partition: after a checkpoint the last block is not written again"},
	{"fill-held-before-checkpoint", "partition: a fill counts as held before the checkpoint that has it is durable"},
	{"fill-overlap-accepted", "partition: a fill may lie over what is held"},
	{"fill-hole-served", "partition: a read in a hole is answered with what comes behind it"},
	{"compaction-keeps-older", "partition: of two records with a key compaction keeps the first"},
	{"compaction-drops-tombstones-early", "partition: compaction drops tombstones whose delete horizon has not come"},
	{"compaction-replaces-before-checkpoint", "partition: the files that were compacted are deleted before a durable checkpoint names the new ones"},
	{"compaction-forgets-full-map", "partition: a compaction counts as done up to its end although the map of keys was full before"},
	{"tombstone-dropped-unasked", "shard: tombstones are dropped without asking whether other replicas still have what they stand for"},
	{"wal-ack-before-sync", "wal: appends are answered before their group is written"},
	{"wal-torn-tail-accepted", "wal: recovery does not check the records of a group"},
	{"wal-directory-not-synced", "wal: a new file is used before its name is durable"},
	{"wal-recycled-group-accepted", "wal: recovery takes the groups of an earlier use of a file for new ones"},
	{"wal-live-state-not-copied", "wal: a file is recycled without copying the keyed records that live in it"},
	{"wal-dead-state-copied", "wal: a keyed record is copied over a later one of its key"},
	{"wal-shard-record-not-copied", "wal: a file is recycled without writing again the hard states in it"},
	{"shard-ack-before-durable", "shard: batches are answered when they are handed to the write-ahead log"},
	{"shard-duplicate-before-original", "shard: the retry of a batch is answered before the original is applied"},
	{"shard-checkpoint-before-sync", "shard: a checkpoint is recorded without syncing the segments"},
	{"shard-checkpoint-without-producers", "shard: a checkpoint says that there are no idempotent producers"},
	{"shard-compact-one-too-far", "shard: the write-ahead log forgets one entry that the checkpoint does not hold"},
	{"shard-adopted-partition-lost", "shard: recovery forgets partitions that were empty at the checkpoint"},
	{"shard-log-start-not-replayed", "shard: log starts behind the checkpoint are not applied again after a restart"},
	{"replica-stale-leader-answers-reads", "shard: a leader answers reads by index without asking the others"},
	{"replica-vote-before-synced", "shard: a vote is sent before it is durable"},
	{"replica-ack-before-synced", "shard: a follower acknowledges entries before they are durable"},
	{"replica-payload-missing-but-stepped", "shard: entries are taken from a peer without the payloads that they promise"},
	{"replica-visible-before-commit", "shard: a leader applies what is durable on itself"},
	{"replica-answered-before-majority", "shard: acks=all is answered when the batch is durable on the leader"},
	{"replica-epoch-of-last-term", "shard: batches are stamped with the leader epoch of the term before"},
	{"replica-appended-survives-step-down", "shard: a leader goes on with the next offsets and producers of its earlier term"},
	{"replica-read-before-applied", "shard: a read by index is answered before the index is applied"},
	{"formation-without-all", "shard: a cluster is founded when a majority of the listed nodes has answered"},
	{"wiped-node-votes", "shard: a node whose disk was wiped joins its cluster again under its old replica number"},
	{"older-announcement-wins", "shard: whatever leader was announced last is believed, whatever its term"},
	{"fence-at-takeover", "shard: a new leader of the catalog fences brokers before it could have heard of them"},
	{"stranger-dropped-unproven", "shard: a new leader drops partitions that its catalog does not know yet"},
	{"catalog-producer-ids-reused", "catalog: recovery gives producer ids again that were given before"},
	{"catalog-deletions-not-in-checkpoint", "catalog: a checkpoint keeps what was deleted since the last one"},
	{"produce-answered-before-durable", "node: a produce is answered when its order is fixed, whatever acks says"},
	{"delete-records-answered-early", "node: DeleteRecords is answered before the log start has moved"},
	{"fetch-beyond-applied-end", "node: a fetch above the applied end is answered OFFSET_OUT_OF_RANGE without asking what is committed"},
	{"group-read-unconfirmed", "node: a coordinator answers committed offsets without making sure that it still leads"},
	{"produce-after-refused", "node: a batch is taken after an earlier one of its producer was refused for want of a leader"},
	{"fetch-session-keeps-offset", "node: a fetch session goes on at the offset with which a partition was first asked for"},
	{"group-assigned-before-released", "group: a member of a consumer group is given partitions that another has not given back"},
	{"group-member-epoch-not-checked", "group: a member of a consumer group is believed whatever its epoch"},
	{"group-stale-epoch-commits", "group: a member of a consumer group may commit with an old epoch for partitions that it lost"},
	{"group-static-member-not-fenced", "group: a static member of a consumer group may take the place of one that has not left"},
	{"group-commit-answered-early", "group: OffsetCommit is answered when its batch is handed to the log"},
	{"group-generation-not-checked", "group: a member of a classic group may commit in an old generation"},
	{"group-offsets-expire-early", "group: minutes of retention of offsets are taken for milliseconds"},
	{"group-sessions-not-restarted", "group: a new coordinator waits for no member that it has not heard of"},
	{"group-session-too-short", "group: a member of a consumer group is fenced after a third of its session timeout"},
	{"group-rebalance-does-not-wait", "group: a rebalance ends when the first member has joined"},
	{"group-migrated-without-assignment", "group: a group that becomes a consumer group forgets what its members have"},
	{"group-downgraded-with-target", "group: a group that becomes a classic one takes what its members shall have for what they have"},
	{"group-replay-incomplete", "node: a new coordinator reads only the second half of its partition"},
	{"peer-payload-missing", "peer: a message goes out without a payload that could not be read"},
	{"peer-checksum-ignored", "peer: the checksum of what came from another node is not looked at"},
	{"peer-refused-admitted", "peer: a node that is refused is let in"},
	{"peer-old-incarnation-kept", "peer: connections of a node's former life stay open"},
	{"peer-drop-not-reported", "peer: nobody hears of messages that were not sent"},
}
