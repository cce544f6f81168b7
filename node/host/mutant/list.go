package mutant

// All lists every mutant, in the order in which they were planted.
func All() []Mutant {
	return []Mutant{
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
		{"catalog-producer-ids-reused", "catalog: recovery gives producer ids again that were given before"},
		{"catalog-deletions-not-in-checkpoint", "catalog: a checkpoint keeps what was deleted since the last one"},
		{"produce-answered-before-durable", "node: a produce is answered when its order is fixed, whatever acks says"},
		{"delete-records-answered-early", "node: DeleteRecords is answered before the log start has moved"},
		{"fetch-beyond-applied-end", "node: a fetch above the applied end is answered OFFSET_OUT_OF_RANGE without asking what is committed"},
		{"group-read-unconfirmed", "node: a coordinator answers committed offsets without making sure that it still leads"},
		{"fetch-session-keeps-offset", "node: a fetch session goes on at the offset with which a partition was first asked for"},
	}
}
