package shard

import (
	"testing"

	"millrace/net/wire"
	"millrace/partition"
	"millrace/wal"
)

// TestRetentionWaitsForSettings lets retention look at a partition whose settings the catalog has not told yet, as after
// a restart: nothing may be deleted by settings that are nobody's.
func TestRetentionWaitsForSettings(t *testing.T) {
	h := newMachine(t, t.TempDir())
	if err := h.Disk.Mkdir(partitionsDir); err != nil {
		t.Fatal(err)
	}
	w, _, err := wal.Open(h, wal.Options{FileSize: 256 << 10, FirstFileSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	shared := partition.NewShared(h, partition.Options{})
	defer shared.Close()
	s, err := Start(h, w, Options{ID: 1, Replica: 1, Members: []Member{{Replica: 1, Node: 1}}, Partitions: shared}, wal.RecoveredShard{ID: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	waiter := h.Tasks.NewWaiter()
	s.Watch(waiter)
	for !s.Status().Serving {
		waiter.Wait()
	}
	id := partition.ID{Topic: [16]byte{1}}
	want(t, h, s.Adopt(id, 0), nil)
	b, err := newBatch(sequenced{}, "old")
	want(t, h, s.Append(id, b, nil, -1), err)
	look := func() int64 {
		s.inbox.Post(retain{1 << 40})
		want(t, h, s.DeleteRecords(id, 0), nil) // comes after what retention proposes, and changes nothing
		b, err := newBatch(sequenced{}, "another")
		want(t, h, s.Append(id, b, nil, -1), err)
		found, _, code := s.lookup(id)
		if code != wire.ErrNone {
			t.Fatal(code)
		}
		return found.log.View().LogStart
	}
	if start := look(); start != 0 {
		t.Errorf("the log starts at %d before its settings are known", start)
	}
	s.Configure(id, Settings{Retention: partition.RetentionConfig{RetentionMs: 0, RetentionBytes: -1}})
	if start := look(); start == 0 {
		t.Error("retention does nothing after the settings are known")
	}
}
