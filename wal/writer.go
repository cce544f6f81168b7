package wal

import (
	"errors"
	"fmt"
	"log/slog"

	"millrace/node/host"
)

// writer is the task that writes the log: one group after the other, each durable before the next is begun. It owns the
// ledger, the staging memory and the end of the log.
type writer struct {
	*Log
	ledger  *ledger
	staging staging

	backlog []Append // taken from the queue, not yet written; a bare one alone may wait
	took    []event
	group   []Append // being written
	held    bool     // the group's payloads are still held
	dirty   []*shard // whose records go into the next group
	ready   *file    // to be the next one
	asked   int64    // the size of the file that the keeper prepares
	tail    *file    // being written
	used    int64    // bytes of tail
	written uint64   // sequence of the last group

	open   files // of the log, oldest first, with tail
	bytes  int64 // of them
	freed  []*file
	move   *move
	copied []copied

	scratch [shardRecordBytes]byte
	key     []byte
	parts   [][]byte

	unmarked bool // damage to the last group could not be told from a write cut short
	deadline host.Instant
	closing  bool // the queue is closed
	short    bool // the disk has no space for the next file
	failed   error
	changed  bool // Pressure is to be published
}

// run writes what comes until the log is closed or fails.
func (w *writer) run() {
	w.deadline = host.Never
	for w.failed == nil {
		more := w.collect()
		if w.failed != nil {
			break
		}
		if !w.due() {
			if !more {
				break
			}
			w.waiter.WaitUntil(w.deadline)
			continue
		}
		w.commit()
	}
	w.finish()
}

// collect takes what has come. It returns false when nothing more will.
func (w *writer) collect() bool {
	w.happened()
	more := true
	if len(w.backlog) < w.o.Queue { // else those who submit wait
		w.backlog, more = w.appends.Drain(w.backlog)
	}
	if !more && len(w.backlog) == 0 && !w.unmarked && len(w.dirty) == 0 {
		return false
	}
	if !more {
		w.closing, w.deadline = true, 0 // no reason to wait for company
	}
	return true
}

// happened takes what the keeper has done.
func (w *writer) happened() {
	w.took, _ = w.events.Drain(w.took[:0])
	for _, e := range w.took {
		switch {
		case e.err != nil:
			if w.failed == nil {
				w.failed = e.err
			}
		case e.ready != nil:
			w.ready, w.asked, w.short = e.ready, 0, false
		case e.short:
			w.short = true
		default:
			w.copied = append(w.copied, e.copied...)
			w.move.arrived = true
		}
	}
	clear(w.took)
}

// due reports whether a group should be written now.
func (w *writer) due() bool {
	if w.move != nil && w.move.arrived && !w.closing {
		return true
	}
	for i := range w.backlog {
		if !w.backlog[i].bare() {
			return true
		}
	}
	if len(w.backlog) == 0 && len(w.dirty) == 0 && len(w.freed) == 0 && !w.unmarked {
		w.deadline = host.Never
		return false
	}
	now := w.host.Clock.Now()
	if w.deadline == host.Never {
		w.deadline = now.Add(w.o.MarkAfter)
	}
	return w.deadline <= now
}

// choose moves appends from the backlog to the group, as many as one write should hold. An append that forgets its shard
// ends a group, so that the order of records within a group needs no care.
func (w *writer) choose() {
	size, n := 0, 0
	for n < len(w.backlog) {
		a := &w.backlog[n]
		size += appendSize(a)
		if n > 0 && size > w.o.GroupBytes {
			break
		}
		n++
		if a.Forget {
			break
		}
	}
	w.group = append(w.group[:0], w.backlog[:n]...)
	w.held = true
	rest := copy(w.backlog, w.backlog[n:])
	clear(w.backlog[rest:])
	w.backlog = w.backlog[:rest]
}

// appendSize is the most that an append fills in a group.
func appendSize(a *Append) int {
	n := int(recordHeader{data: shardRecordBytes}.size())
	for i := range a.Entries {
		e := &a.Entries[i]
		n += int(recordHeader{data: uint32(len(e.Data)), payload: uint32(e.Payload.Size())}.size())
	}
	for i := range a.State {
		s := &a.State[i]
		n += int(recordHeader{data: uint32(len(s.Key)), payload: uint32(len(s.Value))}.size())
	}
	return n
}

// commit writes one group and answers those that waited for it.
func (w *writer) commit() {
	w.choose()
	if err := w.room(); err != nil {
		w.fail(err)
		return
	}
	if err := w.write(); err != nil {
		w.fail(err)
		return
	}
	w.answer(nil)
	w.reclaim()
	if w.ready == nil && w.asked == 0 && w.used > w.tail.header.size/4 {
		w.ask(w.o.FileSize)
	}
	w.publish()
}

// groupSize is the most that the next group fills, with its header and padding.
func (w *writer) groupSize() int64 {
	size := int64(groupBytes) + int64(len(w.dirty))*recordHeader{data: shardRecordBytes}.size()
	for i := range w.group {
		size += int64(appendSize(&w.group[i]))
	}
	for i := range w.copied {
		size += w.copied[i].at.stored()
	}
	return roundUp(size)
}

// room makes sure that the tail has room for the group, by going on to the next file if need be.
func (w *writer) room() error {
	if w.tail != nil && w.used+w.groupSize() <= w.tail.header.size {
		return nil
	}
	w.hurry.Add(1)
	defer w.hurry.Add(-1)
	for {
		// Records to be copied may have come while this waited.
		need := headerBlock + w.groupSize()
		if w.ready != nil && w.ready.header.size >= need {
			w.turn()
			return nil
		}
		if w.ready != nil { // too small
			w.usable.Add(-w.ready.header.size)
			w.keeper.Post(order{retire: w.ready})
			w.ready = nil
		}
		if w.asked == 0 {
			w.ask(need)
		}
		w.waiter.Wait()
		if w.happened(); w.failed != nil {
			return w.failed
		}
		if w.short && w.stopping.Load() > 0 {
			return fmt.Errorf("wal: closed while waiting for space: %w", host.ErrNoSpace)
		}
	}
}

// ask orders the next file.
func (w *writer) ask(size int64) {
	w.asked = roundUp(max(size, w.o.FileSize))
	w.keeper.Post(order{prepare: w.asked})
}

// turn goes on to the file that is ready.
func (w *writer) turn() {
	w.tail, w.ready = w.ready, nil
	w.used = headerBlock
	w.ledger.open(w.tail.header.number, w.tail.header.size)
	w.open = append(w.open, w.tail)
	w.bytes += w.tail.header.size
	w.show()
	w.changed = true
}

// show publishes to the readers which files there are, and where copied entries went.
func (w *writer) show() {
	w.view.Store(&view{files: append(files(nil), w.open...), moved: w.ledger.allMoved()})
}

// answer tells those who waited for the group.
func (w *writer) answer(err error) {
	for i := range w.group {
		if done := w.group[i].Done; done != nil {
			done(err)
		}
	}
	clear(w.group)
	w.group = w.group[:0]
}

// fail ends the log: nothing that was not answered will ever be known to be durable.
func (w *writer) fail(err error) {
	if w.failed == nil {
		w.failed = err
	}
	w.releaseGroup()
	w.answer(w.failed)
}

// releaseGroup gives up the holds of the group's payloads, which are staged or never will be.
func (w *writer) releaseGroup() {
	if !w.held {
		return
	}
	w.held = false
	for i := range w.group {
		w.group[i].release()
	}
}

// finish answers what cannot be written any more, and ends the keeper and the files.
func (w *writer) finish() {
	err := w.failed
	if err != nil {
		w.host.Log.Error("the write-ahead log has failed; the node must stop", slog.Any("error", err))
	} else {
		err = ErrClosed
	}
	w.appends.Close()
	for more := true; more; {
		w.backlog, more = w.appends.Drain(w.backlog)
		for i := range w.backlog {
			w.backlog[i].release()
		}
		w.group = append(w.group, w.backlog...)
		clear(w.backlog)
		w.backlog = w.backlog[:0]
		w.answer(err)
	}
	w.keeper.Close()
	keeperErr := w.keeperEnded.Get()
	w.happened()
	for i := range w.copied {
		w.copied[i].payload.Release()
	}
	for _, f := range append(append(w.open, w.freed...), w.ready) {
		if f != nil {
			keeperErr = errors.Join(keeperErr, f.handle.Close())
		}
	}
	w.staging.shrink(0)
	if w.failed != nil {
		w.ended.Set(fmt.Errorf("the write-ahead log failed: %w", w.failed))
		return
	}
	w.ended.Set(keeperErr)
}
