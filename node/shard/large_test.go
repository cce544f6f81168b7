package shard

import (
	"testing"
)

// TestManyPartitions makes, checkpoints and recovers more partitions than a small node has.
func TestManyPartitions(t *testing.T) {
	const partitions = 2000
	dir := t.TempDir()
	h := newMachine(t, dir)
	o := smallOptions()
	o.WAL.FileSize, o.WAL.FirstFileSize = 0, 0
	o.CheckpointBytes = 0
	s, err := OpenSet(h, o)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := makeTopic(h, s, "wide", partitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	h = newMachine(t, dir)
	if s, err = OpenSet(h, o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range int32(partitions) {
		if _, code := s.Lookup(topic.ID, i); code != 0 {
			t.Fatalf("partition %d: %v", i, code)
		}
	}
	p, err := send(s, topic, partitions-1, -1, sequenced{}, "value")
	want(t, h, p, err)
}
