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
		{"segment-deleted-while-pinned", "partition: a segment is emptied while readers hold it"},
		{"delete-before-checkpoint", "partition: segments are deleted before the checkpoint without them is durable"},
		{"partial-block-lost", "partition: after a checkpoint the last block is not written again"},
	}
}
