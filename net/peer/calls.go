package peer

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"millrace/node/host"
)

const (
	callSize   = itemSize + 16
	answerSize = itemSize + 8
)

// call waits for its answer.
type call struct {
	deadline host.Instant
	answer   *host.Future[reply]
}

// reply is an answer. Who takes it releases the buffer.
type reply struct {
	body *host.Buffer
	err  error
}

// asked tells the task that reads the answers of a call that is about to be sent.
type asked struct {
	id   uint64
	call *call
}

func appendCall(b []byte, kind uint8, id uint64, timeout time.Duration, request []byte) []byte {
	start := len(b)
	b = append(b, itemCall, kind, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, id)
	b = binary.LittleEndian.AppendUint64(b, uint64(timeout))
	return endItem(append(b, request...), start)
}

func appendNote(b []byte, kind uint8, note []byte) []byte {
	start := len(b)
	return endItem(append(append(b, itemNote, kind, 0, 0, 0, 0, 0, 0), note...), start)
}

func appendAnswer(b []byte, status uint8, id uint64, text string) []byte {
	start := len(b)
	b = append(b, itemAnswer, status, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, id)
	return endItem(append(b, text...), start)
}

// Call asks the node on the control stream and waits for the answer, which the caller releases. request must never
// change. Questions and answers should be small: they share the stream with votes. See CallBulk.
func (l *Links) Call(node int32, kind uint8, request []byte, deadline host.Instant) (*host.Buffer, error) {
	return l.call(streamControl, node, kind, request, deadline)
}

// CallBulk is Call on the bulk stream, for large answers.
func (l *Links) CallBulk(node int32, kind uint8, request []byte, deadline host.Instant) (*host.Buffer, error) {
	return l.call(streamBulk, node, kind, request, deadline)
}

func (l *Links) call(s stream, node int32, kind uint8, request []byte, deadline host.Instant) (*host.Buffer, error) {
	c := &call{deadline: deadline, answer: host.NewFuture[reply](l.host.Tasks)}
	p := l.peer(node)
	if p == nil || !p.streams[s].put(outgoing{note: request, kind: kind, call: c, size: callSize + len(request)}) {
		return nil, fmt.Errorf("call node %d: %w", node, ErrNotConnected)
	}
	r, ok := c.answer.GetUntil(deadline)
	if !ok && !c.answer.Set(reply{}) { // it came just now
		r, ok = c.answer.Try()
	}
	if !ok {
		return nil, fmt.Errorf("call node %d: %w", node, ErrLate)
	}
	if r.err != nil {
		return nil, fmt.Errorf("call node %d: %w", node, r.err)
	}
	return r.body, nil
}

// answers reads the answers that come back on a connection that this node has dialled.
type answers struct {
	l      *Links
	s      *sender
	conn   host.Conn
	reader *reader
	calls  *host.Queue[asked]
	over   *host.Counter // not zero: the connection has ended
	ended  *host.Future[struct{}]
	// Of its task.
	open  map[uint64]*call // never ranged over
	order []asked
}

func newAnswers(l *Links, s *sender, c host.Conn) *answers {
	t := l.host.Tasks
	return &answers{
		l: l, s: s, conn: c, reader: newReader(c, l.host.Buffers, l.options.MaxFrameBytes),
		calls: host.NewQueue[asked](t, 1<<30, nil), over: host.NewCounter(t), ended: host.NewFuture[struct{}](t),
		open: make(map[uint64]*call),
	}
}

func (a *answers) run() {
	for {
		f, err := a.reader.next()
		if err == nil {
			err = a.take(&f)
		}
		if err != nil {
			a.l.brokenBy(a.s.node, err)
			break
		}
	}
	a.over.Add(1)
	a.s.waiter.Wake()
	a.calls.Close()
	a.learn()
	for _, q := range a.order {
		q.call.answer.Set(reply{err: ErrLost})
	}
	a.ended.Set(struct{}{})
}

// learn takes over the calls that were sent. Those that are answered leave order when there are many of them.
func (a *answers) learn() {
	known := len(a.order)
	a.order, _ = a.calls.Drain(a.order)
	for _, q := range a.order[known:] {
		a.open[q.id] = q.call
	}
	if len(a.order) > 2*len(a.open)+16 {
		kept := a.order[:0]
		for _, q := range a.order {
			if a.open[q.id] != nil {
				kept = append(kept, q)
			}
		}
		clear(a.order[len(kept):])
		a.order = kept
	}
}

// take hands the answer in a frame to whoever waits for it.
func (a *answers) take(f *frame) error {
	defer f.release()
	if len(f.head) == 0 {
		return nil
	}
	if len(f.head) < answerSize || f.head[0] != itemAnswer || uint64(binary.LittleEndian.Uint32(f.head[4:])) != uint64(len(f.head)) {
		return fmt.Errorf("%w: this is no answer", errMalformed)
	}
	sum := uint32(0)
	if f.payload != nil && !f.unsummed {
		sum = checksum(0, f.payload.Bytes())
	}
	if err := f.check(sum); err != nil {
		return err
	}
	a.learn()
	id := binary.LittleEndian.Uint64(f.head[itemSize:])
	c := a.open[id]
	if c == nil {
		return fmt.Errorf("%w: answer to a call that was not made", errMalformed)
	}
	delete(a.open, id)
	var r reply
	switch status := f.head[1]; status {
	case answerGood:
		if f.payload == nil {
			f.payload = a.l.host.Buffers.Get(0)
		}
		r.body = f.payload.Retain()
	case answerFail:
		r.err = fmt.Errorf("%w: %s", ErrServed, f.head[answerSize:])
	case answerBusy:
		r.err = ErrBusy
	default:
		return fmt.Errorf("%w: answer of kind %d", errMalformed, status)
	}
	if !c.answer.Set(r) && r.body != nil {
		r.body.Release()
	}
	return nil
}

// brokenBy logs an end of a connection that is not an ordinary one.
func (l *Links) brokenBy(node int32, err error) {
	if err != io.EOF {
		l.host.Log.Debug("connection with a peer ends", "peer", node, "error", err)
	}
}

// hear notes that something came from a node. Only the task that reads its control stream calls it.
func (l *Links) hear(node int32, v *vitals) {
	v.heard.Add(int64(l.host.Clock.Now()) - v.heard.Load())
	if v.quiet.Load() != 0 {
		l.events.Post(heard{node})
	}
}
