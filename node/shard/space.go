package shard

// Space says what the free space of the disk allows.
type Space struct {
	// Produce says that batches may be appended.
	Produce bool
	// Grow says that anything that takes space may be done: topics, configs. When it is false only deletions are.
	Grow bool
}
