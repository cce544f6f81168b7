package partition

import (
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawSegment draws a segment from an offset on.
func drawSegment(t *rapid.T, base, generations int64) SegmentInfo {
	s := emptySegment(base)
	if s.Generation = rapid.Int64Range(0, generations-1).Draw(t, "generation"); rapid.Bool().Draw(t, "empty") {
		return s
	}
	s.End = base + rapid.Int64Range(1, 1000).Draw(t, "offsets")
	s.Sparse, s.Transactional = rapid.Bool().Draw(t, "sparse"), rapid.Bool().Draw(t, "transactional")
	if !s.Sparse || rapid.Bool().Draw(t, "not vacant") {
		s.Bytes = rapid.Int64Range(1, maxSegmentBytes).Draw(t, "bytes")
	}
	if s.Sparse {
		s.Sum = rapid.Uint32().Draw(t, "sum")
	}
	s.Entries = rapid.Int64Range(0, 1<<20).Draw(t, "entries")
	s.Indexed = rapid.Int64Range(0, s.Bytes).Draw(t, "indexed")
	for _, at := range []*int64{&s.MaxTimestamp, &s.FirstTimestamp, &s.FirstWall, &s.LastWall} {
		*at = rapid.Int64Min(-1).Draw(t, "time")
	}
	s.Horizon = rapid.Int64Min(0).Draw(t, "horizon")
	return s
}

// drawCheckpoint draws what can have been taken from a log.
func drawCheckpoint(t *rapid.T) Checkpoint {
	c := Checkpoint{ID: ID{Index: rapid.Int32Min(0).Draw(t, "partition")}, Generations: rapid.Int64Range(1, 9).Draw(t, "generations")}
	copy(c.ID.Topic[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "topic"))
	at := int64(0)
	for range rapid.IntRange(1, 5).Draw(t, "segments") {
		at += rapid.SampledFrom([]int64{0, 0, 7, 1 << 40}).Draw(t, "hole")
		s := drawSegment(t, at, c.Generations)
		c.Segments, at = append(c.Segments, s), s.End
	}
	c.End = at
	c.LogStart = rapid.Int64Range(0, c.End).Draw(t, "log start")
	c.LastStable = rapid.Int64Range(c.LogStart, c.End).Draw(t, "last stable")
	c.Held = heldBy(c.Segments)
	for range rapid.IntRange(0, 3).Draw(t, "damaged") {
		c.Damaged = append(c.Damaged, drawSegment(t, rapid.Int64Range(0, 1<<40).Draw(t, "damaged base"), c.Generations))
	}
	for range rapid.IntRange(0, 3).Draw(t, "epochs") {
		c.Epochs = append(c.Epochs, EpochStart{rapid.Int32Min(0).Draw(t, "epoch"), rapid.Int64Range(0, c.End).Draw(t, "epoch start")})
	}
	offsets := rapid.SliceOfN(rapid.Int64Range(0, c.End), 0, 3).Draw(t, "marks")
	slices.Sort(offsets)
	for i, o := range offsets {
		c.Marks = append(c.Marks, CleanMark{o, int64(i)})
	}
	c.Producers = rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "producers")
	return c
}

// encodeAs writes a checkpoint in an older format, field by field, with what that has.
func encodeAs(c *Checkpoint, version byte) []byte {
	signed := func(b []byte, all ...int64) []byte {
		for _, v := range all {
			b = binary.AppendVarint(b, v)
		}
		return b
	}
	count := func(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }
	segments := func(b []byte, list []SegmentInfo) []byte {
		b = count(b, len(list))
		for _, s := range list {
			b = signed(b, s.Base, s.End-s.Base, s.Bytes, s.Entries, s.MaxTimestamp, s.FirstTimestamp, s.FirstWall, s.LastWall, s.Indexed)
			if version > 0 {
				b = signed(b, s.Generation)
			}
		}
		return b
	}
	b := append([]byte{version}, c.ID.Topic[:]...)
	b = signed(b, int64(c.ID.Index), c.LogStart, c.End, c.LastStable)
	b = count(b, len(c.Held))
	for _, r := range c.Held {
		b = signed(b, r.Start, r.End)
	}
	b = count(b, len(c.Epochs))
	for _, e := range c.Epochs {
		b = signed(b, int64(e.Epoch), e.Start)
	}
	b = segments(b, c.Segments)
	if version > 0 {
		b = signed(segments(b, c.Damaged), c.Generations)
	}
	return append(count(b, len(c.Producers)), c.Producers...)
}

// TestCheckpointModel: whatever a log can be is read back as it was written; what was cut short or has something behind it is
// refused; what was altered is refused or is what a log can be.
func TestCheckpointModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCheckpoint(t)
		b := c.Encode(nil)
		if got, err := DecodeCheckpoint(b); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%+v comes back as %+v, %v", c, got, err)
		}
		if _, err := DecodeCheckpoint(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("one that was cut short is taken")
		}
		if _, err := DecodeCheckpoint(append(slices.Clone(b), 0)); err == nil {
			t.Fatal("one with a byte behind it is taken")
		}
		bit := rapid.IntRange(0, 8*len(b)-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if got, err := DecodeCheckpoint(b); err == nil && !got.sound() {
			t.Fatalf("%+v is taken", got)
		}
	})
}

// TestOlderCheckpointModel: older formats say the same, with what they had no place for as it was then.
func TestOlderCheckpointModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCheckpoint(t)
		version := rapid.SampledFrom([]byte{0, 1}).Draw(t, "version")
		c.Marks = nil
		for _, list := range [][]SegmentInfo{c.Segments, c.Damaged} {
			for i := range list {
				s := &list[i]
				if s.vacant() {
					s.Bytes = 1
				}
				s.Sparse, s.Transactional, s.Sum, s.Horizon = false, false, 0, 0
				if version == 0 {
					s.Generation = 0
				}
			}
		}
		if c.Held = heldBy(c.Segments); version == 0 {
			c.Damaged, c.Generations = nil, 1
		}
		if got, err := DecodeCheckpoint(encodeAs(&c, version)); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("version %d of %+v is read as %+v, %v", version, c, got, err)
		}
	})
}

// TestIndexModel: a block of an index is read back as it was written, as this block of this segment only, and looking for
// something in a list of entries finds the last one in front of it.
func TestIndexModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []indexEntry
		var e indexEntry
		for range rapid.IntRange(0, indexPerBlock).Draw(t, "entries") {
			e.rel += rapid.Uint32Range(1, 1000).Draw(t, "offsets")
			e.pos += rapid.Uint32Range(1, 1<<20).Draw(t, "bytes")
			e.before = max(e.before, rapid.Int64Range(0, 1000).Draw(t, "time"))
			entries = append(entries, e)
		}
		base, n := rapid.Int64Range(0, 1<<40).Draw(t, "base"), rapid.Int64Range(0, 1000).Draw(t, "number")
		b := make([]byte, indexBlock)
		putIndexBlock(b, base, n, entries)
		if got, ok := indexEntries(b, base, n, nil); !ok || !slices.Equal(got, entries) {
			t.Fatalf("%v comes back as %v, %v", entries, got, ok)
		}
		if _, ok := indexEntries(b, base, n+1, nil); ok {
			t.Fatal("another block's number is taken")
		}
		if _, ok := indexEntries(b, base+1, n, nil); ok {
			t.Fatal("another segment's index is taken")
		}
		bit := rapid.IntRange(0, 8*indexBlock-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if _, ok := indexEntries(b, base, n, nil); ok {
			t.Fatal("an altered block is taken")
		}
		rel := rapid.Uint32Range(0, e.rel+10).Draw(t, "looked for")
		want, found := indexEntry{before: -1}, false
		for _, e := range entries {
			if e.rel <= rel {
				want, found = e, true
			}
		}
		if got, ok := lastBefore(entries, func(e indexEntry) bool { return e.rel <= rel }); got != want || ok != found {
			t.Fatalf("%v, %v instead of %v, %v", got, ok, want, found)
		}
	})
}
