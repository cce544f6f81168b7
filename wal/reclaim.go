package wal

import "millrace/node/host/mutant"

// move is the copying of what lives in the oldest file to the end of the log.
type move struct {
	from    *file
	list    []moving
	arrived bool // the keeper has read what it was asked for, or nothing was asked yet
}

// moveBytes is how much is copied with one group at most, and no more than a quarter of a file, if no single record is
// larger, so that appends need not wait long for it.
const moveBytes = 1 << 20

// reclaim frees the files from the oldest one on in which nothing lives, and copies what lives in the oldest one when
// that is worth it.
func (w *writer) reclaim() {
	for len(w.open) > 1 && !w.closing {
		oldest := w.ledger.books[0]
		if w.move != nil {
			if w.move.arrived {
				w.moveOn()
			}
			if w.move != nil {
				return
			}
		}
		if oldest.entries == 0 && oldest.bytes == 0 && oldest.shards == 0 {
			w.free()
			continue
		}
		if len(w.dirty) > 0 || !w.worthMoving(oldest) {
			return
		}
		w.startMove(oldest)
	}
}

// worthMoving decides whether to copy what lives in the oldest file. Entries are left to the checkpoints of their shards
// as long as the log is not near its bound.
func (w *writer) worthMoving(oldest *book) bool {
	if oldest.entries > 0 {
		return w.bytes > w.o.MaxBytes/4*3 && oldest.bytes <= oldest.size/2
	}
	return w.bytes > w.o.MaxBytes/2 || oldest.bytes <= oldest.size/8
}

// startMove lists what lives in the oldest file. Shard records are written again with the next group.
func (w *writer) startMove(oldest *book) {
	for _, s := range w.ledger.recordsIn(oldest.number) {
		if mutant.On("wal-shard-record-not-copied") {
			w.ledger.wroteRecord(s, w.tail.header.number)
			continue
		}
		if !s.dirty {
			s.dirty = true
			w.dirty = append(w.dirty, s)
		}
	}
	if list := w.ledger.live(oldest.number); len(list) > 0 {
		w.move = &move{from: w.open[0], list: list, arrived: true}
	}
}

// moveOn orders the next records to be read, or ends the move when all were written.
func (w *writer) moveOn() {
	m := w.move
	if len(m.list) == 0 {
		w.move = nil
		return
	}
	n, bytes, most := 0, int64(0), min(moveBytes, w.o.FileSize/4)
	for n < len(m.list) && (n == 0 || bytes+m.list[n].at.stored() <= most) {
		bytes += m.list[n].at.stored()
		n++
	}
	m.arrived = false
	w.keeper.Post(order{copy: m.list[:n], from: m.from})
	m.list = m.list[n:]
}

// free takes the oldest file out of the log. It keeps its name until a group that does not need it is durable.
func (w *writer) free() {
	f := w.open[0]
	w.open = append(w.open[:0], w.open[1:]...)
	w.ledger.books = append(w.ledger.books[:0], w.ledger.books[1:]...)
	w.bytes -= f.header.size
	w.usable.Add(-f.header.size)
	w.freed = append(w.freed, f)
	w.show()
	w.changed = true
}

// dismiss lets go of the freed files that the log does not need any more, now that it begins with file first.
func (w *writer) dismiss(first uint64) {
	n := 0
	for n < len(w.freed) && w.freed[n].header.number < first {
		w.keeper.Post(order{retire: w.freed[n]})
		n++
	}
	rest := copy(w.freed, w.freed[n:])
	clear(w.freed[rest:])
	w.freed = w.freed[:rest]
}

// publish tells who makes the log long, when that has changed.
func (w *writer) publish() {
	if !w.changed {
		return
	}
	w.changed = false
	p := Pressure{Bytes: w.bytes, Limit: w.o.MaxBytes, Full: w.bytes >= w.o.MaxBytes}
	if len(w.open) > 1 {
		p.Oldest = w.ledger.pins(w.ledger.books[0].number)
	}
	w.pressure.Store(&p)
}
