package partition_test

import (
	"slices"
	"testing"

	"millrace/partition"
)

// TestSalvageBelievesNoOffsetAlone: between two damaged batches there is one whose base offset has rotted, which its checksum
// does not cover. It must not be kept where it says.
func TestSalvageBelievesNoOffsetAlone(t *testing.T) {
	for _, interval := range []int{1, 1 << 20} {
		l, from := loneOffset(t, interval)
		if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 6, End: 9}}) {
			t.Fatal(got)
		}
		if err := pullAll(t, l, from, 1); err != nil {
			t.Fatal(err)
		}
		settle(t, l)
		if record := settle(t, l); !l.Whole() || len(record.Damaged) > 0 {
			t.Fatal(l.View().Holes(), record.Damaged)
		}
		for o := range int64(30) {
			verify(t, l, o, 400)
		}
		l.Close()
		from.Close()
	}
}

// TestSalvageKnowsWhatFollowsARottenOffset: with a sound body the batch tells how many offsets it has, so the one behind it
// is certain although nothing else says so.
func TestSalvageKnowsWhatFollowsARottenOffset(t *testing.T) {
	l, from := salvaged(t, 1<<20, func(b []byte, size int) {
		b[6*size+7] ^= 8
		b[8*size+90] ^= 1
	})
	if got := l.View().Holes(); !slices.Equal(got, []partition.OffsetRange{{Start: 6, End: 7}, {Start: 8, End: 9}}) {
		t.Fatal(got)
	}
	l.Close()
	from.Close()
}

func loneOffset(t *testing.T, interval int) (l, from *partition.Log) {
	return salvaged(t, interval, func(b []byte, size int) {
		b[6*size+90] ^= 1
		b[7*size+7] ^= 1
		b[8*size+90] ^= 1
	})
}

// salvaged is a damaged log after its salvage, and the other one.
func salvaged(t *testing.T, interval int, damage func(b []byte, size int)) (l, from *partition.Log) {
	_, l, from = damagedTwin(t, interval, damage)
	if !l.MarkDamaged(0, 0) {
		t.Fatal("not marked")
	}
	settle(t, l)
	salvage(t, l)
	return l, from
}
