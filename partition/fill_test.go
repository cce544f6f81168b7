package partition_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"millrace/partition"
	"millrace/partition/batch"
)

func anyPace(int) bool { return true }

// settle takes a checkpoint and returns it as it would be read back.
func settle(t testing.TB, l *partition.Log) partition.Checkpoint {
	t.Helper()
	c, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	l.Checkpointed()
	if c, err = partition.DecodeCheckpoint(c.Encode(nil)); err != nil {
		t.Fatal(err)
	}
	return c
}

// salvage takes what is sound in damaged files.
func salvage(t testing.TB, l *partition.Log) {
	t.Helper()
	for _, d := range l.Damaged() {
		if err := d.Salvage(l.Wanted(), anyPace, func(f *partition.Fill) error { l.Take(f); return nil }); err != nil {
			t.Fatal(err)
		}
		d.Release()
	}
	settle(t, l)
}

// pullAll fills the holes of a log from another one, in pieces.
func pullAll(t testing.TB, to, from *partition.Log, piece int) error {
	t.Helper()
	for _, hole := range to.Wanted() {
		for hole.Start < hole.End {
			files, err := from.Files()
			if err != nil {
				return err
			}
			i := slices.IndexFunc(files, func(s partition.SegmentInfo) bool { return s.Base <= hole.Start && hole.Start < s.End })
			if i < 0 {
				return errors.New("the source has not got it")
			}
			f := to.StartFill(hole)
			f.Source(files[i])
			position := int64(-1)
			for more := true; more && position < files[i].Bytes; {
				r, err := from.ReadFile(files[i].Base, files[i].Generation, position, f.Next(), piece)
				if err != nil {
					f.Abandon()
					return err
				}
				b, err := gather(r.Parts)
				position = r.Position + int64(r.Bytes)
				r.Release()
				if err == nil {
					more, err = f.Write(b)
				}
				if err != nil {
					f.Abandon()
					return err
				}
			}
			hole.Start = f.Next()
			if ok, err := f.Finish(); err != nil || !ok {
				return errors.Join(err, errors.New("nothing was written"))
			}
			if !to.Take(f) {
				return errors.New("the fill is not wanted")
			}
		}
	}
	return nil
}

// TestInstallAndFill: a replica installs a manifest, goes on behind it, is filled, and forgets nothing in a crash.
func TestInstallAndFill(t *testing.T) {
	_, s, _ := onMachine(t, partition.Options{LargestChunk: 4096, CacheBytes: 1, IndexInterval: 1})
	from := create(t, s)
	for i := range int64(60) {
		add(t, from, i, 700, i%20 == 0)
	}
	if err := from.SetLogStart(5); err != nil {
		t.Fatal(err)
	}
	m := from.Manifest()
	m, err := partition.DecodeManifest(m.Encode(nil))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := partition.Install(s, "fresh", m)
	if err != nil {
		t.Fatal(err)
	}
	old, err := partition.Create(s, "old", partition.ID{Index: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(25) {
		add(t, old, i, 700, i%20 == 0)
	}
	if err := old.Install(m); err == nil {
		t.Fatal("installed over what is not in a checkpoint")
	}
	settle(t, old)
	if err := old.Install(m); err != nil {
		t.Fatal(err)
	}
	for i := int64(60); i < 70; i++ {
		for _, l := range []*partition.Log{from, fresh, old} {
			add(t, l, i, 700, i == 65)
		}
	}
	for _, x := range []struct {
		log  *partition.Log
		dir  string
		hole partition.OffsetRange
	}{{fresh, "fresh", partition.OffsetRange{Start: 5, End: 60}}, {old, "old", partition.OffsetRange{Start: 25, End: 60}}} {
		l := x.log
		if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{x.hole}) {
			t.Fatalf("holes %v", got)
		}
		if _, _, err := l.OffsetForTime(65); !errors.Is(err, partition.ErrMissing) {
			t.Fatal(err)
		}
		record := settle(t, l)
		l.Close()
		if l, err = partition.Open(s, x.dir, record); err != nil {
			t.Fatal(err)
		}
		if err := pullAll(t, l, from, 2000); err != nil {
			t.Fatal(err)
		}
		if l.Whole() {
			t.Fatal("whole before the checkpoint")
		}
		if _, err := l.Read(x.hole.Start, 1, true); !errors.Is(err, partition.ErrMissing) {
			t.Fatal(err)
		}
		record = settle(t, l)
		for range 2 {
			if !l.Whole() {
				t.Fatal(l.View().Holes())
			}
			for o := int64(5); o < 70; o++ {
				verify(t, l, o, 700)
			}
			if p, found, err := l.OffsetForTime(33); err != nil || !found || p.Offset != 33 {
				t.Fatal(p, found, err)
			}
			files, err := l.Files()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if err := l.Verify(f.Base, f.Generation, anyPace); err != nil {
					t.Fatal(err)
				}
			}
			l.Close()
			if l, err = partition.Open(s, x.dir, record); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
	}
	from.Close()
}

// damagedTwin makes two logs of thirty batches in two segments, damages the first file of one, and opens that again.
func damagedTwin(t *testing.T, interval int, damage func(b []byte, size int)) (s *partition.Shared, l, from *partition.Log) {
	t.Helper()
	_, s, dir := onMachine(t, partition.Options{LargestChunk: 4096, CacheBytes: 1, IndexInterval: interval})
	from, err := partition.Create(s, "from", partition.ID{Index: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	l = create(t, s)
	for i := range int64(30) {
		add(t, from, i, 400, i == 20)
		add(t, l, i, 400, i == 20)
	}
	record := settle(t, l)
	l.Close()
	path := filepath.Join(dir, "p", "00000000000000000000.log")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damage(b, len(one(t, 0, 400)))
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err = partition.Open(s, "p", record); err != nil {
		t.Fatal(err)
	}
	return s, l, from
}

// TestRotIsFoundAndFilled: a scrub finds a bad byte wherever it is; the sound batches of the file are kept, and the rest
// comes from another replica.
func TestRotIsFoundAndFilled(t *testing.T) {
	for name, at := range map[string]int{"base offset": 7, "length": 9, "leader epoch": 15, "magic": 16, "crc": 17, "records": 90} {
		t.Run(name, func(t *testing.T) {
			s, l, from := damagedTwin(t, 1, func(b []byte, size int) { b[7*size+at] ^= 1 })
			if err := l.Verify(0, 0, anyPace); !errors.Is(err, partition.ErrCorrupt) {
				t.Fatal(err)
			}
			if err := l.Verify(20, 0, anyPace); err != nil {
				t.Fatal(err)
			}
			if !l.MarkDamaged(0, 0) || l.MarkDamaged(0, 0) {
				t.Fatal("marked")
			}
			record := settle(t, l)
			l.Close()
			l, err := partition.Open(s, "p", record)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 0, End: 20}}) {
				t.Fatal(got)
			}
			salvage(t, l)
			if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 7, End: 8}}) {
				t.Fatal(got)
			}
			if err := pullAll(t, l, from, 1); err != nil {
				t.Fatal(err)
			}
			settle(t, l)
			if record = settle(t, l); !l.Whole() || len(record.Damaged) > 0 {
				t.Fatal(l.View().Holes(), record.Damaged)
			}
			for o := range int64(30) {
				verify(t, l, o, 400)
			}
			l.Close()
			from.Close()
		})
	}
}

// TestFillRefusesWhatIsWrong: nothing gets into a fill that is not the whole, sound batches that belong there.
func TestFillRefusesWhatIsWrong(t *testing.T) {
	_, s, _ := onMachine(t, partition.Options{})
	l, err := partition.Install(s, "p", partition.Manifest{ID: partition.ID{Index: 1}, End: 10,
		LastStable: 10, Epochs: []partition.EpochStart{{Epoch: 0, Start: 0}}, Producers: partition.NewProducers().Encode(nil)})
	if err != nil {
		t.Fatal(err)
	}
	good := append(one(t, 2, 50), one(t, 3, 50)...)
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	f := l.StartFill(partition.OffsetRange{Start: 2, End: 5})
	for name, b := range map[string][]byte{
		"wrong offset": one(t, 1, 50), "gap": append(one(t, 2, 50), one(t, 4, 50)...), "cut": good[:len(good)-1],
		"crc": flip(80), "epoch": flip(15), "second": flip(len(good) - 3), "junk": []byte("junk"),
		"beyond the hole": long(t, 2, 7),
	} {
		if _, err := f.Write(b); !errors.Is(err, partition.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if more, err := f.Write(good); err != nil || !more {
		t.Fatal(more, err)
	}
	if more, err := f.Write(append(one(t, 4, 50), one(t, 5, 50)...)); err != nil || more || f.Next() != 5 {
		t.Fatal(more, err)
	}
	if ok, err := f.Finish(); !ok || err != nil || !l.Take(f) || l.Take(f) {
		t.Fatal(ok, err)
	}
	again := l.StartFill(partition.OffsetRange{Start: 3, End: 5})
	if _, err := again.Write(one(t, 3, 50)); err != nil {
		t.Fatal(err)
	}
	if ok, err := again.Finish(); !ok || err != nil || l.Take(again) {
		t.Fatal("a fill over a fill was taken")
	}
	settle(t, l)
	if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 0, End: 2}, {Start: 5, End: 10}}) {
		t.Fatal(got)
	}
	for o := int64(2); o < 5; o++ {
		verify(t, l, o, 50)
	}
	l.Close()
}

// long makes a batch that holds a range of offsets.
func long(t *testing.T, base, next int64) []byte {
	t.Helper()
	records := make([]batch.Record, next-base)
	b, err := batch.Encode(nil, batch.Header{BaseOffset: base, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}, records, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLastBlockIsLost: a segment whose end cannot be read any more is no reason not to append.
func TestLastBlockIsLost(t *testing.T) {
	_, s, dir := onMachine(t, partition.Options{LargestChunk: 4096, CacheBytes: 1})
	l := create(t, s)
	for i := range int64(12) {
		add(t, l, i, 1000, false)
	}
	record := settle(t, l)
	l.Close()
	l, err := partition.Open(s, "p", record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "p", "00000000000000000000.log"), 9000); err != nil {
		t.Fatal(err)
	}
	for i := int64(12); i < 20; i++ {
		add(t, l, i, 1000, false)
	}
	if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 0, End: 12}}) {
		t.Fatal(got)
	}
	salvage(t, l)
	if got := l.View().Holes(); len(got) != 1 || got[0].Start < 5 || got[0].End != 12 {
		t.Fatal(got)
	}
	record = settle(t, l)
	l.Close()
	if l, err = partition.Open(s, "p", record); err != nil {
		t.Fatal(err)
	}
	for o := range int64(20) {
		if o < l.View().Holes()[0].Start || o >= 12 {
			verify(t, l, o, 1000)
		}
	}
	l.Close()
}

// TestRotIsNotServedAfterAStart: what lay on the disk while the node was down is checked before it is read, once.
func TestRotIsNotServedAfterAStart(t *testing.T) {
	var told []int64
	_, s, dir := onMachine(t, partition.Options{LargestChunk: 16 << 10, CacheBytes: 1,
		Damaged: func(_ partition.ID, base, _ int64) { told = append(told, base) }})
	l := create(t, s)
	const size = 30000
	for i := range int64(160) {
		add(t, l, i, size, i == 120)
	}
	record := settle(t, l)
	l.Close()
	path := filepath.Join(dir, "p", "00000000000000000000.log")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[60*len(one(t, 0, size))+500] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err = partition.Open(s, "p", record); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(60, 1, true); !errors.Is(err, partition.ErrCorrupt) || !slices.Equal(told, []int64{0}) {
		t.Fatal(err, told)
	}
	for i := range int64(20) { // in the same segment, and one that goes on growing
		verify(t, l, i, size)
		verify(t, l, 120+i, size)
		verify(t, l, 159, size)
		add(t, l, 160+i, size, false)
		verify(t, l, 160+i, size)
	}
	l.Close()
}

// TestRotInTheLastBlock: what an earlier life left in the block that is written next is checked before it is served from
// memory and written again.
func TestRotInTheLastBlock(t *testing.T) {
	_, s, dir := onMachine(t, partition.Options{LargestChunk: 4096, CacheBytes: 1})
	l := create(t, s)
	for i := range int64(3) {
		add(t, l, i, 400, false)
	}
	record := settle(t, l)
	l.Close()
	path := filepath.Join(dir, "p", "00000000000000000000.log")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[700] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err = partition.Open(s, "p", record); err != nil {
		t.Fatal(err)
	}
	add(t, l, 3, 400, false)
	l.Publish()
	if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 0, End: 3}}) {
		t.Fatalf("holes %v", got)
	}
	verify(t, l, 3, 400)
	l.Close()
}
