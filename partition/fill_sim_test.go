package partition_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/sim"
)

// pair is two replicas of a partition on one simulated disk: the first applies everything and rewrites its segments now
// and then, as compaction does; the second falls behind, installs manifests, and is filled from the first by a task of its
// own, through power cuts. What the second serves must be what was written, and what it counts as whole must stay so.
type pair struct {
	w       *sim.World
	node    *sim.Node
	d       *sim.Draws
	steps   int
	crashes int
	entries []entry
	// variants are the forms in which a batch was written, by its base offset: a rewritten segment has others.
	variants map[int64][][]byte
	start    int64
	end      int64
	replicas [2]mirror
	// life counts the processes, so that what is late of one does no harm to the next.
	life int
	seen int // reads of the second that were compared
	// pulled is the file that is pulled from.
	pulled int64
	// pause is how long a pull may rest between two pieces.
	pause time.Duration
}

// mirror is one replica: what of it survives everything, and how it is now.
type mirror struct {
	durable []byte
	covered int
	log     *partition.Log
	applied int
	busy    bool
	// whole says that it was whole, from start on.
	whole bool
	start int64
}

func (p *pair) fail(format string, args ...any) { p.w.Fail(fmt.Errorf(format, args...)) }

func runPair(seed uint64, steps int) (int, error) {
	w := sim.New(seed, sim.Options{Priorities: seed%4 == 3})
	p := &pair{w: w, node: w.AddNode("n"), d: w.Draws("pair"), steps: steps, variants: map[int64][][]byte{}}
	p.pause = sim.Pick(p.d, 3*time.Millisecond, 100*time.Millisecond)
	p.boot()
	err := w.Run()
	w.Close()
	return p.seen, err
}

func (p *pair) boot() {
	p.life++
	p.node.Boot(func(h host.Host) {
		s := partition.NewShared(h, partition.Options{
			CacheBytes: sim.Pick(p.d, int64(1), 64<<10), LargestChunk: 8192, IndexInterval: sim.Pick(p.d, 1, 4096), OpenFiles: 3, Writers: 1})
		for i := range p.replicas {
			if err := p.recover(s, i); err != nil {
				p.fail("recover replica %d: %w", i, err)
				return
			}
		}
		fills := host.NewQueue[*partition.Fill](h.Tasks, 10, nil)
		d := p.w.Draws(fmt.Sprintf("puller.%d", p.life))
		h.Tasks.Go("puller", func() { p.pull(h, d, fills) })
		h.Tasks.Go("reader", func() { p.read(h, p.w.Draws(fmt.Sprintf("reader.%d", p.life))) })
		p.own(h, fills)
	})
	if p.crashes < 10 {
		p.w.After(time.Duration(p.d.Between(1, int64(500*time.Millisecond))), func() {
			p.crashes++
			p.node.Crash(sim.Pick(p.d, sim.Power, sim.Power, sim.Kill))
			p.boot()
		})
	}
}

func (p *pair) recover(s *partition.Shared, i int) error {
	r, dir := &p.replicas[i], fmt.Sprintf("p%d", i)
	id := partition.ID{Topic: topic, Index: 1}
	var err error
	if r.durable == nil {
		r.log, err = partition.Create(s, dir, id, 0)
	} else {
		var c partition.Checkpoint
		if c, err = partition.DecodeCheckpoint(r.durable); err == nil {
			r.log, err = partition.Open(s, dir, c)
		}
	}
	if err != nil {
		return err
	}
	r.busy = false
	for n := r.covered; n < r.applied; n++ {
		if err := apply(r.log, p.entries[n]); err != nil {
			return err
		}
	}
	r.log.Publish()
	v := r.log.View()
	for _, hole := range v.Holes() {
		if r.whole && hole.End > r.start {
			return fmt.Errorf("it was whole from %d on, and lacks %v after a crash", r.start, hole)
		}
	}
	return p.checkFiles(r.log)
}

// note remembers what the replica promises.
func (r *mirror) note() {
	v := r.log.View()
	r.whole, r.start = v.Whole, v.LogStart
}

// own is the task of both owners.
func (p *pair) own(h host.Host, fills *host.Queue[*partition.Fill]) {
	durable := host.NewQueue[int](h.Tasks, 10, nil)
	for ; p.steps > 0; p.steps-- {
		done, _ := durable.Drain(nil)
		for _, i := range done {
			p.replicas[i].log.Checkpointed()
			p.replicas[i].busy = false
		}
		finished, _ := fills.Drain(nil)
		for _, f := range finished {
			p.replicas[1].log.Take(f)
		}
		if err := p.step(h, durable); err != nil {
			p.fail("step: %w", err)
			return
		}
		for i := range p.replicas {
			p.replicas[i].note()
		}
	}
	if err := p.checkFiles(p.replicas[1].log); err != nil {
		p.fail("at the end: %w", err)
	}
	p.w.Stop()
}

func (p *pair) step(h host.Host, durable *host.Queue[int]) error {
	first, second := &p.replicas[0], &p.replicas[1]
	switch n := p.d.Between(0, 99); {
	case n < 45:
		p.commit()
		return p.apply(0)
	case n < 55:
		for second.applied < len(p.entries) && p.d.Between(0, 8) > 0 {
			if err := p.apply(1); err != nil {
				return err
			}
		}
	case n < 57:
		return p.install(first, second)
	case n < 75:
		p.checkpoint(h, int(p.d.Between(0, 1)), durable)
	case n < 75+int64(p.pause/(8*time.Millisecond)):
		err := p.rewrite(first.log)
		p.checkpoint(h, 0, durable)
		return err
	default:
		h.Clock.Sleep(time.Duration(p.d.Between(1, int64(60*time.Millisecond))))
	}
	return nil
}

// commit makes an entry.
func (p *pair) commit() {
	if p.end > p.start && p.d.Between(0, 19) == 0 {
		p.start = p.d.Between(p.start, p.end)
		p.entries = append(p.entries, entry{logStart: p.start})
		return
	}
	n := p.d.Between(1, 3)
	b := &written{base: p.end, next: p.end + n, wall: 7, roll: p.d.Between(0, 5) == 0}
	b.bytes = variant(b.base, int(n), 0)
	p.variants[b.base] = [][]byte{b.bytes}
	p.end = b.next
	p.entries = append(p.entries, entry{batch: b})
}

// variant makes one form of a batch; all have the same size.
func variant(base int64, n, form int) []byte {
	var records []batch.Record
	for range n {
		records = append(records, batch.Record{Timestamp: base, Value: bytes.Repeat([]byte{byte(form)}, 300+int(base*37%900))})
	}
	b, _ := batch.Encode(nil, batch.Header{BaseOffset: base, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}, records, nil)
	return b
}

func (p *pair) apply(i int) error {
	r := &p.replicas[i]
	err := apply(r.log, p.entries[r.applied])
	r.applied++
	r.log.Publish()
	return err
}

// install gives the second the manifest of the first, when a checkpoint holds all that it has.
func (p *pair) install(first, second *mirror) error {
	if second.busy || second.covered != second.applied || second.log.Dirty() || first.applied <= second.applied {
		return nil
	}
	m := first.log.Manifest()
	m, err := partition.DecodeManifest(m.Encode(nil))
	if err != nil {
		return err
	}
	if err := second.log.Install(m); err != nil {
		return err
	}
	record := second.log.Record()
	second.durable, second.covered, second.applied = record.Encode(nil), first.applied, first.applied
	return nil
}

func (p *pair) checkpoint(h host.Host, i int, durable *host.Queue[int]) {
	r := &p.replicas[i]
	if r.busy {
		return
	}
	r.busy = true
	pending, covered := r.log.BeginCheckpoint(), r.applied
	h.Tasks.Go("checkpoint", func() {
		c, err := pending.Wait()
		h.Clock.Sleep(time.Duration(p.w.Draws("sync").Between(1, int64(20*time.Millisecond))))
		if err == nil {
			err = h.Disk.SyncAll()
		}
		if err != nil {
			p.fail("checkpoint: %w", err)
			return
		}
		r.durable, r.covered = c.Encode(nil), covered
		durable.Put(i)
	})
}

// rewrite replaces a segment of the first by one with the same offsets and other bytes.
func (p *pair) rewrite(l *partition.Log) error {
	files, err := l.Files()
	if err != nil || len(files) < 2 || !l.Whole() {
		return err
	}
	old := files[p.d.Between(0, int64(len(files)-2))]
	if i := slices.IndexFunc(files[:len(files)-1], func(f partition.SegmentInfo) bool { return f.Base == p.pulled }); i >= 0 && p.d.Between(0, 1) == 0 {
		old = files[i]
	}
	form := 1 + len(p.variants[old.Base])
	f := l.StartFill(partition.OffsetRange{Start: old.Base, End: old.End})
	for base := old.Base; base < old.End; {
		i := slices.IndexFunc(p.entries, func(e entry) bool { return e.batch != nil && e.batch.base == base })
		b := p.entries[i].batch
		again := variant(base, int(b.next-base), form)
		p.variants[base] = append(p.variants[base], again)
		if _, err := f.Write(again); err != nil {
			return err
		}
		base = b.next
	}
	if _, err := f.Finish(); err != nil {
		return err
	}
	if !l.MarkDamaged(old.Base, old.Generation) {
		return errors.New("a segment cannot be marked")
	}
	l.Take(f) // the log start may have passed it
	return nil
}

// pull is the task that fills the second, from the first, over a slow network.
func (p *pair) pull(h host.Host, d *sim.Draws, fills *host.Queue[*partition.Fill]) {
	from, to := p.replicas[0].log, p.replicas[1].log
	for {
		h.Clock.Sleep(time.Duration(d.Between(1, int64(4*time.Millisecond))))
		holes := to.View().Holes()
		if len(holes) == 0 {
			continue
		}
		hole := holes[d.Between(0, int64(len(holes)-1))]
		files, err := from.Files()
		if err != nil {
			continue
		}
		i := slices.IndexFunc(files, func(s partition.SegmentInfo) bool { return s.Base <= hole.Start && hole.Start < s.End })
		if i < 0 {
			continue
		}
		f := to.StartFill(hole)
		p.pulled = files[i].Base
		err = p.pullFile(h, d, f, from, files[i])
		if err != nil && !errors.Is(err, partition.ErrChanged) && !errors.Is(err, partition.ErrMissing) {
			p.fail("pull: %w", err)
			return
		}
		if errors.Is(err, partition.ErrChanged) {
			f.Abandon()
		} else if ok, err := f.Finish(); err != nil {
			p.fail("finish: %w", err)
		} else if ok {
			fills.Put(f)
		}
	}
}

func (p *pair) pullFile(h host.Host, d *sim.Draws, f *partition.Fill, from *partition.Log, file partition.SegmentInfo) error {
	position := int64(-1)
	for more := true; more && position < file.Bytes && d.Between(0, 9) > 0; {
		r, err := from.ReadFile(file.Base, file.Generation, position, f.Next(), int(d.Skewed(1, 3000)))
		if err != nil {
			return err
		}
		h.Clock.Sleep(time.Duration(d.Between(1, int64(p.pause))))
		b, err := gather(r.Parts)
		position = r.Position + int64(r.Bytes)
		r.Release()
		if err != nil {
			return err
		}
		if more, err = f.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// read is a reader of the second.
func (p *pair) read(h host.Host, d *sim.Draws) {
	l := p.replicas[1].log
	for {
		h.Clock.Sleep(time.Duration(d.Between(1, int64(3*time.Millisecond))))
		v := l.View()
		offset := d.Between(v.LogStart, v.End)
		r, err := l.Read(offset, int(d.Skewed(1, 9000)), true)
		if err != nil {
			if errors.Is(err, partition.ErrMissing) || errors.Is(err, partition.ErrOffsetOutOfRange) {
				continue
			}
			p.fail("read offset %d: %w", offset, err)
			return
		}
		b, err := gather(r.Parts)
		next := r.Next
		r.Release()
		if err == nil && len(b) > 0 {
			_, err = p.compare(b, offset, next)
		}
		if err != nil {
			p.fail("read offset %d: %w", offset, err)
			return
		}
		p.seen++
	}
}

// compare says whether bytes are whole batches that were written, the first of which holds an offset, and which forms
// they have.
func (p *pair) compare(b []byte, offset, next int64) (forms []int, err error) {
	for len(b) > 0 {
		h, err := batch.Parse(b)
		if err != nil || h.Size() > len(b) {
			return nil, fmt.Errorf("no batch: %w", err)
		}
		if h.BaseOffset > offset || h.LastOffset() < offset {
			return nil, fmt.Errorf("a batch with offsets %d to %d instead of %d", h.BaseOffset, h.LastOffset(), offset)
		}
		form := slices.IndexFunc(p.variants[h.BaseOffset], func(have []byte) bool { return bytes.Equal(have, b[:h.Size()]) })
		if form < 0 {
			return nil, fmt.Errorf("the batch at %d was never written", h.BaseOffset)
		}
		forms, offset, b = append(forms, form), h.LastOffset()+1, b[h.Size():]
	}
	if offset != next {
		return nil, fmt.Errorf("it ends at %d instead of %d", offset, next)
	}
	return forms, nil
}

// checkFiles looks at every file: none mixes two files that it was filled from.
func (p *pair) checkFiles(l *partition.Log) error {
	files, err := l.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		r, err := l.ReadFile(f.Base, f.Generation, 0, 0, 1<<30)
		if err != nil {
			return err
		}
		b, err := gather(r.Parts)
		r.Release()
		if err != nil {
			return err
		}
		forms, err := p.compare(b, f.Base, f.End)
		if err != nil {
			return fmt.Errorf("file %d, generation %d: %w", f.Base, f.Generation, err)
		}
		if len(slices.Compact(forms)) > 1 {
			return fmt.Errorf("file %d, generation %d, mixes two files: %v", f.Base, f.Generation, forms)
		}
	}
	return nil
}

func TestPair(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	seen := 0
	for seed := range seeds {
		n, err := runPair(seed, 250)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		seen += n
	}
	if seen < int(seeds)*20 {
		t.Errorf("only %d reads in %d seeds", seen, seeds)
	}
}
