package shard

import (
	"strings"
	"testing"
	"time"
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

// TestFullLogMakesRoom produces many times what the write-ahead log may hold, with nothing but its fullness to ask for
// checkpoints.
func TestFullLogMakesRoom(t *testing.T) {
	h := newMachine(t, t.TempDir())
	o := smallOptions()
	o.WAL.FileSize, o.WAL.FirstFileSize, o.WAL.MaxBytes = 64<<10, 64<<10, 256<<10
	o.CheckpointBytes, o.CheckpointEvery = 1<<40, time.Hour
	s, err := OpenSet(h, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	topic, err := makeTopic(h, s, "events", 1)
	if err != nil {
		t.Fatal(err)
	}
	var flying []*Pending
	for range 100 {
		p, err := send(s, topic, 0, -1, sequenced{}, strings.Repeat("x", 20<<10))
		if err != nil {
			t.Fatal(err)
		}
		if flying = append(flying, p); len(flying) == 4 { // what is under way comes on top of the limit
			want(t, h, flying[0], nil)
			flying = flying[1:]
		}
	}
	for _, p := range flying {
		want(t, h, p, nil)
	}
	if p := s.WAL().Pressure(); p.Bytes > 2*p.Limit {
		t.Errorf("the write-ahead log has %d bytes, its limit is %d", p.Bytes, p.Limit)
	}
}
