package partition

import (
	"errors"

	"millrace/partition/batch"
)

// abortedTransaction is where the records of a transaction lie that was aborted.
type abortedTransaction struct {
	producer    int64
	first, last int64
}

// findAborted reads the parts of the log that may hold transactions, for the fate of each: a marker comes behind the
// records that it decides on.
func (c *Compaction) findAborted() error {
	first := map[int64]int64{} // by producer, of the transaction that is not decided yet
	for _, r := range c.view.rolled {
		if r.info.End <= c.view.LogStart || r.info.Base >= c.dirt.To || !r.info.Transactional {
			continue
		}
		err := c.each(r, r.info.Base, func(h *batch.Header, one []byte, coders *batch.Coders) error {
			if !h.Transactional() && !h.Control() {
				return nil
			}
			start, begun := first[h.ProducerID]
			if !h.Control() {
				if !begun {
					first[h.ProducerID] = h.BaseOffset
				}
				return nil
			}
			if commit, ok := batch.Marker(one, coders); ok && !commit && begun {
				c.aborted = append(c.aborted, abortedTransaction{h.ProducerID, start, h.BaseOffset})
			}
			delete(first, h.ProducerID)
			return nil
		}, nil)
		if err != nil && !errors.Is(err, errFull) {
			return err
		}
	}
	return nil
}

// isAborted says whether a batch belongs to a transaction that was aborted.
func (c *Compaction) isAborted(h *batch.Header) bool {
	if !h.Transactional() || h.Control() {
		return false
	}
	for i := range c.aborted {
		if a := &c.aborted[i]; a.producer == h.ProducerID && a.first <= h.BaseOffset && h.BaseOffset < a.last {
			return true
		}
	}
	return false
}

// markerIsDone says whether a marker decides on nothing any more: this walk has not met a batch of its transaction. Then
// it stays until its delete horizon.
func (c *Compaction) markerIsDone(h *batch.Header, one []byte, coders *batch.Coders) bool {
	if _, ok := batch.Marker(one, coders); !ok && h.Count > 0 {
		return false // of a kind that is not known
	}
	done := !c.open[h.ProducerID]
	delete(c.open, h.ProducerID)
	return done
}
