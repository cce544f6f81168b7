package batch

import (
	"encoding/binary"
	"slices"
)

// Keyed is a record as compaction looks at it.
type Keyed struct {
	Offset int64
	// Key is nil when the record has none. It is valid during the call that it is given to.
	Key []byte
	// Tombstone says that the value is null: the key is deleted.
	Tombstone bool
}

// Keys calls do with the records of the one whole batch in b, whose CRC was checked, until it returns false. c must not be
// used for something else meanwhile.
func Keys(b []byte, c *Coders, do func(k Keyed) bool) error {
	h, body, err := opened(b, c)
	if err != nil {
		return err
	}
	var f raw
	for at, n := 0, int32(0); n < h.Count; n++ {
		if at = f.parse(body, at); at == bad {
			return refuse(InvalidRecord, "a record of the batch at offset %d has an invalid structure", h.BaseOffset)
		}
		if !do(f.keyed(body, &h)) {
			return nil
		}
	}
	return nil
}

func (r *raw) keyed(body []byte, h *Header) Keyed {
	return Keyed{h.BaseOffset + int64(r.offsetDelta), field(body, r.keyAt, r.keyLen), r.valueLen < 0}
}

// opened returns a batch's header and its records without compression.
func opened(b []byte, c *Coders) (Header, []byte, error) {
	h, err := Parse(b)
	if err != nil {
		return h, nil, err
	}
	if h.Size() != len(b) {
		return h, nil, refuse(CorruptMessage, "a batch of %d bytes says that it has %d", len(b), h.Size())
	}
	if h.Count == 0 {
		return h, nil, nil
	}
	o := Options{Coders: c}
	body, refused := o.open(&h, b)
	if refused != nil {
		return h, nil, refused
	}
	return h, body, nil
}

// Horizon is the time from which on the tombstones of the batch, or its transaction marker, may be removed, in milliseconds
// since 1970; false when it has not been set: the base timestamp is then only that.
func (h *Header) Horizon() (int64, bool) {
	return h.BaseTimestamp, h.Attributes&DeleteHorizonBit != 0
}

// Filter says what compaction leaves of a batch.
type Filter struct {
	// Keep is asked for each record in order; nil keeps none.
	Keep func(k Keyed) bool
	// Empty keeps the batch when none of its records are kept: its header holds a producer's last sequence number.
	Empty bool
	// Horizon is the delete horizon that a batch gets which has none, and keeps tombstones, or is Ending.
	Horizon int64
	// Ending says that the batch is the marker of a transaction whose records are gone.
	Ending bool
	// Renew gives the batch that horizon although it has one.
	Renew bool
}

// Filtered is what Filter.Apply did.
type Filtered struct {
	// Records is the number of records that were there, Kept of those that are left, Tombstones of those without a value
	// among them.
	Records, Kept, Tombstones int
	// Same says that the batch is as it was.
	Same bool
	// Horizon is the batch's delete horizon now, -1 when it has none.
	Horizon int64
}

// Apply appends to dst what is left of the one whole batch in b, whose CRC was checked: the same bytes, a batch with the
// same offsets, producer, sequence, codec and times of its records but fewer of them, one without records, or nothing.
//
// A batch that changes keeps its base offset and last offset delta; its greatest timestamp is that of the records that
// are left (with LogAppendTime it stays). A delete horizon takes the place of the base timestamp, and the records' times
// are written anew relative to it, as Apache Kafka does.
func (f *Filter) Apply(dst, b []byte, c *Coders) ([]byte, Filtered, error) {
	h, body, err := opened(b, c)
	if err != nil {
		return dst, Filtered{}, err
	}
	w := refilter{filter: f, header: &h, body: body, kept: c.kept[:0]}
	if err := w.walk(); err != nil {
		return dst, Filtered{}, err
	}
	c.kept = w.kept[:0]
	horizon, has := h.Horizon()
	set := f.Renew || !has
	if set = set && w.result.Kept > 0 && (w.result.Tombstones > 0 || f.Ending); set {
		horizon, has = f.Horizon, true
	}
	if w.result.Horizon = -1; has && w.result.Kept > 0 {
		w.result.Horizon = horizon
	}
	switch {
	case w.result.Kept == w.result.Records && !set && (h.Count > 0 || f.Empty):
		w.result.Same = true
		return append(dst, b...), w.result, nil
	case w.result.Kept == 0 && !f.Empty:
		return dst, w.result, nil
	case w.result.Kept == 0:
		h.Attributes &= LogAppendTimeBit | TransactionalBit | ControlBit
		h.BaseTimestamp, h.Count = NoTimestamp, 0
		dst, err = seal(dst, h, nil, c)
		return dst, w.result, err
	}
	body = w.rebuild(c, horizon, set)
	h.Count = int32(w.result.Kept)
	if !h.LogAppendTime() {
		h.MaxTimestamp = w.greatest
	}
	if set {
		h.Attributes |= DeleteHorizonBit
		h.BaseTimestamp = horizon
	}
	dst, err = seal(dst, h, body, c)
	return dst, w.result, err
}

// refilter is the work of Apply on one batch.
type refilter struct {
	filter *Filter
	header *Header
	body   []byte
	// kept are where kept records lie: begin and end of each run of them.
	kept     []int
	greatest int64
	result   Filtered
}

func (w *refilter) walk() error {
	var f raw
	w.greatest = NoTimestamp
	at := 0
	for n := int32(0); n < w.header.Count; n++ {
		next := f.parse(w.body, at)
		if next == bad {
			return refuse(InvalidRecord, "a record of the batch at offset %d has an invalid structure", w.header.BaseOffset)
		}
		w.result.Records++
		if w.filter.Keep != nil && w.filter.Keep(f.keyed(w.body, w.header)) {
			w.result.Kept++
			if f.valueLen < 0 {
				w.result.Tombstones++
			}
			w.greatest = max(w.greatest, w.header.BaseTimestamp+f.timestampDelta)
			if last := len(w.kept) - 1; last > 0 && w.kept[last] == at {
				w.kept[last] = next
			} else {
				w.kept = append(w.kept, at, next)
			}
		}
		at = next
	}
	if at != len(w.body) {
		return refuse(InvalidRecord, "the batch at offset %d has bytes after its last record", w.header.BaseOffset)
	}
	return nil
}

// rebuild returns the records that are kept; with rebase, their times count from base. The memory is the coders'.
func (w *refilter) rebuild(c *Coders, base int64, rebase bool) []byte {
	out := c.rebuilt[:0]
	for i := 0; i < len(w.kept); i += 2 {
		if !rebase {
			out = append(out, w.body[w.kept[i]:w.kept[i+1]]...)
			continue
		}
		for at := w.kept[i]; at < w.kept[i+1]; {
			size, p := readInt(w.body, at)
			end := p + size
			delta, q := readVarint(w.body, p+1)
			delta += w.header.BaseTimestamp - base
			out = binary.AppendVarint(out, int64(1+varintLen(delta)+end-q))
			out = append(out, w.body[p])
			out = binary.AppendVarint(out, delta)
			out = append(out, w.body[q:end]...)
			at = end
		}
	}
	if c.rebuilt = out; cap(out) > keptScratch {
		c.rebuilt = nil
	}
	return out
}

// Marker is what the control record of a batch says: false when there is none, or it is of another kind.
func Marker(b []byte, c *Coders) (commit, ok bool) {
	_ = Keys(b, c, func(k Keyed) bool {
		if len(k.Key) >= 4 {
			kind := binary.BigEndian.Uint16(k.Key[2:])
			commit, ok = kind == 1, kind <= 1
		}
		return false
	})
	return commit, ok
}

// Batches calls do with each whole batch in b, until it returns an error.
func Batches(b []byte, do func(h *Header, one []byte) error) error {
	for len(b) > 0 {
		h, err := Parse(b)
		if err == nil && h.Size() > len(b) {
			err = refuse(CorruptMessage, "a batch of %d bytes was cut off", h.Size())
		}
		if err != nil {
			return err
		}
		if err := do(&h, slices.Clip(b[:h.Size()])); err != nil {
			return err
		}
		b = b[h.Size():]
	}
	return nil
}
