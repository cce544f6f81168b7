package partition

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"millrace/partition/batch"
)

func codeOf(err error) batch.Code {
	var e *batch.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestProducerRules(t *testing.T) {
	seq := func(epoch int16, first, count int32) Sequence {
		return Sequence{ProducerID: 9, Epoch: epoch, First: first, LastDelta: count - 1}
	}
	p := NewProducers()
	step := func(s Sequence, base int64, verdict Verdict, at int64, code batch.Code) {
		t.Helper()
		v, b, _, err := p.Check(s)
		if v != verdict || b != at || codeOf(err) != code {
			t.Fatalf("%+v: verdict %d, base %d, %v", s, v, b, err)
		}
		if v == Accept && err == nil {
			p.Update(s, base, 5, 1000)
		}
	}
	none := Sequence{ProducerID: -1, Epoch: -1, First: -1}
	step(none, 0, Accept, 0, 0)
	step(seq(0, 40, 10), 100, Accept, 0, 0) // not known: any sequence
	step(seq(0, 40, 10), 0, Duplicate, 100, 0)
	step(seq(0, 41, 10), 0, Accept, 0, batch.OutOfOrderSequenceNumber)
	step(seq(0, 51, 1), 0, Accept, 0, batch.OutOfOrderSequenceNumber)
	for i := range int32(5) {
		step(seq(0, 50+i, 1), 110+int64(i), Accept, 0, 0)
	}
	step(seq(0, 40, 10), 0, Accept, 0, batch.OutOfOrderSequenceNumber) // forgotten: six batches ago
	step(seq(0, 50, 1), 0, Duplicate, 110, 0)
	step(seq(0, 50, 2), 0, Accept, 0, batch.OutOfOrderSequenceNumber) // another batch with the same beginning
	step(seq(1, 55, 1), 0, Accept, 0, batch.OutOfOrderSequenceNumber) // a new epoch begins with 0
	step(seq(1, 0, 1), 115, Accept, 0, 0)
	step(seq(0, 55, 1), 0, Accept, 0, batch.InvalidProducerEpoch)
	step(seq(0, 50, 1), 0, Accept, 0, batch.InvalidProducerEpoch) // also what was a duplicate before
	step(seq(1, 1, 1), 116, Accept, 0, 0)
}

func TestSequencesWrap(t *testing.T) {
	p := NewProducers()
	s := Sequence{ProducerID: 1, First: 1<<31 - 3, LastDelta: 4} // 2^31-3, -2, -1, 0, 1
	p.Update(s, 0, 0, 0)
	if v, _, _, err := p.Check(s); v != Duplicate || err != nil {
		t.Fatal(v, err)
	}
	next := Sequence{ProducerID: 1, First: 2}
	if v, _, _, err := p.Check(next); v != Accept || err != nil {
		t.Fatal(v, err)
	}
	p = NewProducers()
	p.Update(Sequence{ProducerID: 1, First: 1<<31 - 1}, 0, 0, 0)
	if _, _, _, err := p.Check(Sequence{ProducerID: 1, First: 0}); err != nil {
		t.Fatal(err)
	}
}

func TestProducersExpire(t *testing.T) {
	p := NewProducers()
	const day = ProducerExpiration
	p.Update(Sequence{ProducerID: 1}, 0, 0, 0)
	p.Update(Sequence{ProducerID: 2}, 1, 0, day/2)
	p.Expire(day-1, day)
	if p.Len() != 2 {
		t.Fatal(p.Len())
	}
	p.Expire(day+600_000, day)
	if p.Len() != 1 || p.find(2) == nil {
		t.Fatal(p.Len())
	}
}

// TestProducersExpireAfterTheClockWentBack has the wall clock jump ahead by a year, and back.
func TestProducersExpireAfterTheClockWentBack(t *testing.T) {
	p := NewProducers()
	const day, year = ProducerExpiration, 365 * ProducerExpiration
	p.Expire(year, day)
	p.Update(Sequence{ProducerID: 1}, 0, 0, 0)
	p.Expire(0, day)
	p.Expire(2*day, day)
	if p.Len() != 0 {
		t.Fatal("a producer that was silent for two days is remembered")
	}
}

// TestForkSeesWhatIsApplied drives an applied table and the leader's fork over it, as a shard does: proposals go to the
// fork, some are undone, the others are applied later. The fork must answer like one table of all proposals.
func TestForkSeesWhatIsApplied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type proposal struct {
			s    Sequence
			base int64
		}
		applied, truth := NewProducers(), NewProducers()
		fork := applied.Fork()
		var flying []proposal
		base := int64(0)
		for range rapid.IntRange(1, 600).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2, 3:
				for range min(len(flying), 3) {
					applied.Update(flying[0].s, flying[0].base, 0, 0)
					flying = flying[1:]
				}
			default:
				s := Sequence{ProducerID: int64(rapid.IntRange(0, 400).Draw(t, "pid")), Epoch: int16(rapid.IntRange(0, 1).Draw(t, "epoch")),
					First: int32(rapid.IntRange(0, 3).Draw(t, "seq"))}
				v, b, _, err := fork.Check(s)
				v2, b2, _, err2 := truth.Check(s)
				if v != v2 || b != b2 || (err == nil) != (err2 == nil) {
					t.Fatalf("%+v: fork %d %d %v, one table %d %d %v", s, v, b, err, v2, b2, err2)
				}
				if err != nil || v == Duplicate {
					continue
				}
				u := fork.Update(s, base, 0, 0)
				if rapid.IntRange(0, 9).Draw(t, "undo") == 0 {
					fork.Undo(u)
					continue
				}
				truth.Update(s, base, 0, 0)
				flying = append(flying, proposal{s, base})
				base++
			}
		}
	})
}

func TestProducersRoundTrip(t *testing.T) {
	p := NewProducers()
	for i := range int64(50) {
		for j := range int32(7) {
			p.Update(Sequence{ProducerID: i * i, Epoch: int16(i), First: j * 3, LastDelta: 2}, i*100+int64(j), i, i*7)
		}
	}
	b := p.Encode(nil)
	q, err := DecodeProducers(b)
	if err != nil || !reflect.DeepEqual(p, q) {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := DecodeProducers(b[:n]); err == nil {
			t.Fatalf("cut at %d is accepted", n)
		}
	}
	if _, err := DecodeProducers(append([]byte{99}, b[1:]...)); err == nil {
		t.Fatal("a newer format is accepted")
	}
}

func FuzzCheckpoint(f *testing.F) {
	c := Checkpoint{ID: ID{Index: 3}, LogStart: 5, End: 9, LastStable: 9, Held: []OffsetRange{{0, 9}},
		Epochs: []EpochStart{{1, 0}, {4, 7}}, Segments: []SegmentInfo{{Base: 0, End: 6, Bytes: 700}, {Base: 6, End: 9, Bytes: 70}},
		Producers: NewProducers().Encode(nil)}
	f.Add(c.Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCheckpoint(b)
		if err != nil {
			return
		}
		again, err := DecodeCheckpoint(c.Encode(nil))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v %v", c, err)
		}
		_, _ = DecodeProducers(c.Producers)
	})
}
