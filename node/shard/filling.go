package shard

import (
	"millrace/node/host"
	"millrace/partition"
)

// What a shard has to do with filling: it counts its partitions that are not whole, says what they lack, and takes what
// the fillers bring.

// countHoles looks at all partitions.
func (r *replica) countHoles() {
	for _, p := range r.order {
		if p != nil {
			r.noteHoles(p)
		}
	}
}

// noteHoles looks at one partition that has changed.
func (r *replica) noteHoles(p *held) {
	missing := !p.gone && !p.log.Whole()
	if missing != p.missing {
		p.missing = missing
		n := r.filling - 1
		if missing {
			n = r.filling + 1
		}
		r.fills(n)
		if missing && r.node != nil {
			r.wake(nil) // a leader yields, and hears of it, at ticks
		}
	}
	if missing && r.o.Fill != nil {
		r.o.Fill(r.Shard, p.id)
	}
}

// yieldLead moves the leadership away while partitions here are not whole and another replica has everything. It runs at
// ticks.
func (r *replica) yieldLead() {
	if r.filling > 0 && r.serving && !r.transferring && r.ticks%electionTicks == 0 {
		transfer(-1).happen(r)
	}
}

// askHoles asks what a partition lacks.
type askHoles struct {
	id     partition.ID
	answer *host.Future[lack]
}

// lack is what a partition lacks. Whoever gets it calls release, also when it is whole.
type lack struct {
	// log is nil when the partition is not here.
	log *partition.Log
	// whole says that nothing is missing; wanted are the ranges that no fill waits to close.
	whole   bool
	wanted  []partition.OffsetRange
	damaged []*partition.Damage
}

// release lets go of the damaged files: until then they are not deleted.
func (l lack) release() {
	for _, d := range l.damaged {
		d.Release()
	}
}

func (a *askHoles) happen(r *replica) {
	p := r.partitions[a.id]
	if r.dead || p == nil {
		a.answer.Set(lack{})
		return
	}
	r.noteWhole(p)
	a.answer.Set(lack{log: p.log, whole: p.log.Whole(), wanted: p.log.Wanted(), damaged: p.log.Damaged()})
}

// noteWhole is noteHoles without asking to be filled.
func (r *replica) noteWhole(p *held) {
	if p.missing && p.log.Whole() {
		r.noteHoles(p)
	}
}

// takeFill hands a finished fill to its partition; the answer is whether it was wanted.
type takeFill struct {
	id     partition.ID
	fill   *partition.Fill
	answer *host.Future[bool]
}

func (t *takeFill) happen(r *replica) {
	p := r.partitions[t.id]
	if r.dead || p == nil {
		t.fill.Abandon()
		t.answer.Set(false)
		return
	}
	taken := p.log.Take(t.fill)
	if taken {
		r.change(p)
		r.noteWhole(p)
	}
	t.answer.Set(taken)
}

// foundDamage says that a segment was checked and is damaged.
type foundDamage struct {
	id               partition.ID
	base, generation int64
}

func (f foundDamage) happen(r *replica) {
	p := r.partitions[f.id]
	if r.dead || p == nil || !p.log.MarkDamaged(f.base, f.generation) {
		return
	}
	r.change(p)
	r.noteHoles(p)
}

// change notes that the next checkpoint must capture a partition.
func (r *replica) change(p *held) {
	if !p.changed {
		p.changed = true
		r.changed = append(r.changed, p)
	}
}
