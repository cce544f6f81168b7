package shard

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
)

// want fails unless the result comes without an error.
func want(t *testing.T, h host.Host, p *Pending, err error) Result {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, ok := p.GetUntil(deadline(h))
	if !ok || r.Error != wire.ErrNone {
		t.Fatalf("result %+v, %v", r, ok)
	}
	return r
}

func TestProduceRestartRecover(t *testing.T) {
	dir := t.TempDir()
	var all []string
	for life := range 4 {
		h := newMachine(t, dir)
		s, err := OpenSet(h, smallOptions())
		if err != nil {
			t.Fatal(err)
		}
		topic, err := makeTopic(h, s, "events", 3)
		if err != nil {
			t.Fatal(err)
		}
		got, err := values(s, topic, 1)
		if err != nil || !slices.Equal(got, all) {
			t.Fatalf("life %d begins with %d values (%v), want %d", life, len(got), err, len(all))
		}
		var pending []*Pending
		for n := range 100 {
			v := fmt.Sprintf("life %d value %d %s", life, n, strings.Repeat("x", 100))
			p, err := send(s, topic, 1, []int16{-1, 1}[n%2], sequenced{}, v)
			if err != nil {
				t.Fatal(err)
			}
			pending, all = append(pending, p), append(all, v)
		}
		for n, p := range pending {
			if r := want(t, h, p, nil); r.BaseOffset != int64(life*100+n) {
				t.Fatalf("value %d is at offset %d", n, r.BaseOffset)
			}
		}
		at, _ := s.Lookup(topic.ID, 1)
		if at.LeaderEpoch != int32(at.Shard.Status().Term) || at.LeaderEpoch != int32(life+2) {
			t.Errorf("leader epoch %d in term %d", at.LeaderEpoch, at.Shard.Status().Term)
		}
		if life == 2 {
			err = s.abandon() // without a checkpoint
		} else {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if out := h.Buffers.Out(); out != 0 {
			t.Errorf("life %d: %d bytes of buffers are still held after Close", life, out)
		}
	}
}

func TestDuplicates(t *testing.T) {
	h := newMachine(t, t.TempDir())
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	topic, err := makeTopic(h, s, "events", 1)
	if err != nil {
		t.Fatal(err)
	}
	first := sequenced{id: 5, epoch: 0, first: 0}
	a, err1 := send(s, topic, 0, -1, first, "a", "b")
	again, err2 := send(s, topic, 0, -1, first, "a", "b") // while the first is on its way
	if r := want(t, h, a, err1); r.BaseOffset != 0 {
		t.Errorf("first at %d", r.BaseOffset)
	}
	if r := want(t, h, again, err2); r.BaseOffset != 0 {
		t.Errorf("retry answered with %d", r.BaseOffset)
	}
	late, err := send(s, topic, 0, 1, first, "a", "b")
	if r := want(t, h, late, err); r.BaseOffset != 0 {
		t.Errorf("late retry answered with %d", r.BaseOffset)
	}
	gap, err := send(s, topic, 0, -1, sequenced{id: 5, first: 9}, "z")
	if err != nil {
		t.Fatal(err)
	}
	if r := gap.Get(); r.Error != wire.ErrOutOfOrderSequenceNumber {
		t.Errorf("a gap in the sequence is answered with %+v", r)
	}
	b, err := send(s, topic, 0, -1, sequenced{id: 5, first: 2}, "c")
	if r := want(t, h, b, err); r.BaseOffset != 2 {
		t.Errorf("next at %d", r.BaseOffset)
	}
	got, err := values(s, topic, 0)
	if err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("values %q, %v", got, err)
	}
}

func TestDeleteRecordsAndTopics(t *testing.T) {
	dir := t.TempDir()
	h := newMachine(t, dir)
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	topic, err := makeTopic(h, s, "events", 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		p, err := send(s, topic, 0, -1, sequenced{}, fmt.Sprint(n))
		want(t, h, p, err)
	}
	at, _ := s.Lookup(topic.ID, 0)
	if r := want(t, h, at.Shard.DeleteRecords(at.ID, 4), nil); r.LogStart != 4 {
		t.Errorf("low watermark %d", r.LogStart)
	}
	if r := want(t, h, at.Shard.DeleteRecords(at.ID, 2), nil); r.LogStart != 4 {
		t.Errorf("low watermark %d after a lower one", r.LogStart)
	}
	if r := at.Shard.DeleteRecords(at.ID, 11).Get(); r.Error != wire.ErrOffsetOutOfRange {
		t.Errorf("beyond the end: %+v", r)
	}
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}

	h = newMachine(t, dir)
	if s, err = OpenSet(h, smallOptions()); err != nil {
		t.Fatal(err)
	}
	if got, err := values(s, topic, 0); err != nil || len(got) != 6 || got[0] != "4" {
		t.Errorf("after a restart %q, %v", got, err)
	}
	at, _ = s.Lookup(topic.ID, 0)
	if r := want(t, h, at.Shard.DeleteRecords(at.ID, -1), nil); r.LogStart != 10 {
		t.Errorf("low watermark %d", r.LogStart)
	}
	if r := s.Change(catalog.DeleteTopic{Name: "events"}, deadline(h)); r.Error != wire.ErrNone {
		t.Fatal(r)
	}
	if _, code := s.Lookup(topic.ID, 0); code != wire.ErrUnknownTopicId {
		t.Errorf("a deleted topic is looked up with %d", code)
	}
	dropped := func() bool {
		_, has := at.Shard.places.Load().Get(key(at.ID))
		return !has
	}
	for !dropped() {
		h.Clock.Sleep(time.Millisecond)
	}
	other, err := makeTopic(h, s, "other", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The files of the dropped partition go when nobody reads them, at the latest with the next start.
	h = newMachine(t, dir)
	if s, err = OpenSet(h, smallOptions()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names, err := h.Disk.List(partitionsDir)
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], fmt.Sprintf("%x", [16]byte(other.ID))) {
		t.Errorf("directories left: %q, %v", names, err)
	}
}

func TestDirectoriesAreGuarded(t *testing.T) {
	dir := t.TempDir()
	h := newMachine(t, dir)
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(o SetOptions, sentence string) {
		t.Helper()
		if _, err := OpenSet(newMachine(t, dir), o); err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("want %q, got %v", sentence, err)
		}
	}
	refused(smallOptions(), "in use by another process")
	cluster := s.Identity().ClusterID
	if len(cluster) != 22 {
		t.Errorf("cluster id %q", cluster)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wrong := smallOptions()
	wrong.Node = 2
	refused(wrong, "belongs to node 1")
	wrong = smallOptions()
	wrong.ClusterID = "another"
	refused(wrong, "belongs to cluster "+cluster)

	rewrite := func(old, with string) {
		t.Helper()
		h := newMachine(t, dir)
		identity, err := readMeta(h.Disk)
		if err != nil {
			t.Fatal(err)
		}
		_ = identity
		f, _ := h.Disk.Open(metaName, host.Mode{})
		size, _ := f.Size()
		b := make([]byte, size)
		f.ReadAt(b, 0)
		f.Close()
		if err := replaceMeta(h.Disk, []byte(strings.Replace(string(b), old, with, 1))); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(`"format": 2`, `"format": 3`)
	refused(smallOptions(), "format 3")
	foreign := t.TempDir()
	if err := newMachine(t, foreign).Disk.Mkdir("photos"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSet(newMachine(t, foreign), smallOptions()); err == nil || !strings.Contains(err.Error(), "not Millrace's") {
		t.Errorf("a foreign directory: %v", err)
	}
}

func TestSpaceMarks(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		free, total, high, low int64
		want                   Space
	}{
		{100 * gib, 1000 * gib, 0, 0, Space{true, true}},
		{gib - 1, 1000 * gib, 0, 0, Space{false, true}},
		{gib/2 - 1, 1000 * gib, 0, 0, Space{false, false}},
		{gib / 2, 4 * gib, 0, 0, Space{true, true}}, // a small disk has a small reserve
		{50, 100, 60, 40, Space{false, true}},
	} {
		if got := decideSpace(c.free, c.total, c.high, c.low); got != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestAwaitLeavesNothingBehind waits for many futures: the set's own, which live as long as the node, must not remember.
func TestAwaitLeavesNothingBehind(t *testing.T) {
	h := newMachine(t, t.TempDir())
	s := &Set{host: h, failed: host.NewFuture[error](h.Tasks), stopping: host.NewFuture[struct{}](h.Tasks)}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range 50_000 {
		await(s, host.Done(h.Tasks, 1))
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("50,000 waits have left %d bytes", after-before)
	}
	runtime.KeepAlive(s)
}
