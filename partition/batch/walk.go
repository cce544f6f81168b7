package batch

import "fmt"

// walk checks the records of one batch.
type walk struct {
	options *Options
	header  *Header
	// greatest is the greatest timestamp seen.
	greatest int64
	// gaps says that the records' own offsets are not 0, 1, 2…
	gaps   bool
	errors []RecordError
	// timed says that one of the errors is about a timestamp.
	timed bool
	found int
}

// records walks over all records, without compression.
func (w *walk) records(body []byte) *Error {
	var f raw
	h := w.header
	earliest, latest := w.options.window()
	createTime := !w.options.LogAppendTime && !w.options.HeaderOnly
	// A producer that claims LogAppendTime is believed where Kafka does: not in a topic that sets the time itself, nor
	// without times. Elsewhere the claim is dropped and the records' own times count.
	claimed := h.LogAppendTime() && !w.options.Internal && !w.options.HeaderOnly
	needKey := w.options.Compacted && !h.Control() && !w.options.HeaderOnly
	at := 0
	for n := int32(0); n < h.Count; n++ {
		if at >= len(body) {
			return refuse(InvalidRecord, "a record batch says that it has %d records, it has %d", h.Count, n)
		}
		next := f.parse(body, at)
		if next == bad {
			return refuse(InvalidRecord, "record %d of a batch has an invalid structure", n)
		}
		at = next
		if f.offsetDelta != n {
			w.gaps = true
		}
		timestamp := h.BaseTimestamp + f.timestampDelta
		w.greatest = max(w.greatest, timestamp)
		switch {
		case needKey && f.keyLen < 0:
			w.refuse(n, "a compacted topic does not accept a record without a key")
		case createTime && timestamp != NoTimestamp:
			if timestamp < earliest || timestamp > latest {
				w.timed = true
				w.refuse(n, "timestamp %d is out of range, from %d to %d", timestamp, earliest, latest)
			}
		case claimed:
			w.timed = true
			w.refuse(n, "a producer may not set the timestamp type LogAppendTime")
		}
	}
	if at != len(body) {
		return refuse(InvalidRecord, "a record batch says that it has %d records, it has more", h.Count)
	}
	return w.result()
}

func (w *walk) refuse(index int32, format string, args ...any) {
	w.found++
	if len(w.errors) < MaxRecordErrors {
		w.errors = append(w.errors, RecordError{Index: index, Message: fmt.Sprintf(format, args...)})
	}
}

func (w *walk) result() *Error {
	if w.found == 0 {
		return nil
	}
	code, what := InvalidRecord, "invalid records"
	if w.timed {
		code, what = InvalidTimestamp, "invalid timestamps"
	}
	e := refuse(code, "%d of %d records refused, for %s: the first is record %d: %s", w.found, w.header.Count, what,
		w.errors[0].Index, w.errors[0].Message)
	e.Records = w.errors
	return e
}
