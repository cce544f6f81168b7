package batch

import (
	"fmt"
	"strings"
)

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
			w.refuse(n, "Compacted topic cannot accept message without key in topic partition %s-%d", w.options.Topic, w.options.Partition)
		case createTime && timestamp != NoTimestamp:
			if timestamp < earliest || timestamp > latest {
				w.timed = true
				w.refuse(n, "Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
					timestamp, n, earliest, latest)
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

// result is the refusal of the batch for its records, in Kafka's words; nil when there is nothing against any.
func (w *walk) result() *Error {
	if w.found == 0 {
		return nil
	}
	if w.timed {
		e := refuse(InvalidTimestamp, "One or more records have been rejected due to invalid timestamp")
		e.Records = w.errors
		return e
	}
	first := make([]string, min(len(w.errors), 3))
	for i := range first {
		first[i] = fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", w.errors[i].Index, w.errors[i].Message)
	}
	e := refuse(InvalidRecord, "One or more records have been rejected due to %d record errors in total, "+
		"and only showing the first three errors at most: [%s]", w.found, strings.Join(first, ", "))
	e.Records = w.errors
	return e
}
