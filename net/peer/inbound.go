package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"millrace/node/host"
)

// inbound is a connection that a peer has dialled. It belongs to the task that reads; out and running are shared with
// those that serve calls.
type inbound struct {
	l      *Links
	conn   host.Conn
	node   int32
	stream stream
	vitals *vitals
	reader *reader
	items  []item // of the frame at hand

	out     *host.Queue[answered]
	running *host.Counter // calls that are served or whose answers wait
	writing bool          // the task that sends answers has been started
	limit   int64
}

// item is one thing of a frame.
type item struct {
	kind, sub uint8
	message   Message
	id        uint64
	timeout   time.Duration
	bytes     []byte
}

// answered is the answer to a call on its way back.
type answered struct {
	id       uint64
	status   uint8
	text     string
	parts    []host.Part
	done     func()
	deadline host.Instant
	served   bool
}

// receive is the task of a connection that was accepted.
func (l *Links) receive(c host.Conn) {
	id := l.track(c, false)
	h, s, v, err := l.welcome(c, id)
	l.strange.Add(-1)
	if err != nil {
		who := c.RemoteAddr()
		if h.Node != 0 {
			who = fmt.Sprintf("node %d", h.Node)
		}
		if v == nil && away(err) { // a scanner of ports, or a process that ended
			l.brokenBy(h.Node, err)
		} else if v == nil { // what it says of itself is not proven: only the log hears of it
			l.events.Post(refused{who, err})
		} else {
			l.complain(h.Node, who, err)
		}
	} else {
		l.events.Post(joined{id})
		in := &inbound{
			l: l, conn: c, node: h.Node, stream: s, vitals: v, reader: newReader(c, l.host.Buffers, l.options.MaxFrameBytes),
			out: host.NewQueue[answered](l.host.Tasks, 1<<30, nil), running: host.NewCounter(l.host.Tasks), limit: int64(l.options.Calls),
		}
		if s == streamBulk {
			in.limit = int64(l.options.BulkCalls)
		}
		l.brokenBy(h.Node, in.run())
		in.out.Close()
	}
	c.Close()
	l.events.Post(ended{id})
}

func (in *inbound) run() error {
	for {
		f, err := in.reader.next()
		if err != nil {
			return err
		}
		if in.stream == streamControl {
			in.l.hear(in.node, in.vitals)
		}
		err = in.open(&f)
		if err == nil {
			err = in.deliver()
		}
		f.release()
		clear(in.items)
		in.items = in.items[:0]
		if err != nil {
			return err
		}
	}
}

// open reads the items of a frame. Nothing of a frame is handed on before all of it is known to be whole.
func (in *inbound) open(f *frame) error {
	at, sum := 0, uint32(0)
	for rest := f.head; len(rest) > 0; {
		if len(rest) < itemSize {
			return fmt.Errorf("%w: item of %d bytes", errMalformed, len(rest))
		}
		size := uint64(binary.LittleEndian.Uint32(rest[4:]))
		if size < itemSize || size > uint64(len(rest)) || rest[3] != 0 {
			return fmt.Errorf("%w: item of %d bytes where %d are left", errMalformed, size, len(rest))
		}
		first := len(in.items)
		if err := in.item(rest[:size:size]); err != nil {
			return err
		}
		for i := first; i < len(in.items); i++ {
			var err error
			if at, sum, err = in.items[i].message.cut(f.payload, at, sum); err != nil {
				return err
			}
		}
		rest = rest[size:]
	}
	if f.payload != nil && at != len(f.payload.Bytes()) || f.unsummed {
		return fmt.Errorf("%w: a frame's payload is longer than its messages say", errMalformed)
	}
	return f.check(sum)
}

// item reads one item; it may hold several messages.
func (in *inbound) item(b []byte) error {
	c := cursor{b: b[itemSize:]}
	i := item{kind: b[0], sub: b[1]}
	var err error
	switch {
	case b[0] == itemMessage:
		if i.message, err = decodeMessage(b); err != nil {
			return err
		}
		if s, _ := streamOf(i.message.Raft.GetType()); s != in.stream {
			return fmt.Errorf("%w: %v on stream %d", errMalformed, i.message.Raft.GetType(), in.stream)
		}
	case b[0] == itemBeats && in.stream == streamControl:
		for i.kind = itemMessage; len(c.b) > 0; {
			i.message = c.beat()
			if c.short {
				return fmt.Errorf("%w: pack of heartbeats", errMalformed)
			}
			in.items = append(in.items, i)
		}
		return nil
	case b[0] == itemNote && in.stream == streamControl:
		i.bytes = c.b
	case b[0] == itemCall && in.stream != streamAppend:
		i.id, i.timeout = c.u64(), time.Duration(c.u64())
		i.bytes = c.b
		if c.short || i.timeout < 0 {
			return fmt.Errorf("%w: call", errMalformed)
		}
	default:
		return fmt.Errorf("%w: item of kind %d on stream %d", errMalformed, b[0], in.stream)
	}
	in.items = append(in.items, i)
	return nil
}

// deliver hands on the items of a frame.
func (in *inbound) deliver() error {
	for k := range in.items {
		i := &in.items[k]
		switch i.kind {
		case itemMessage:
			in.l.handler.Receive(in.node, i.message)
		case itemNote:
			in.l.handler.Told(in.node, i.sub, i.bytes)
		case itemCall:
			if err := in.call(i); err != nil {
				return err
			}
		}
	}
	return nil
}

var errFlood = errors.New("the peer asks and does not read the answers")

// call has a call served by a task of its own, or refuses it.
func (in *inbound) call(i *item) error {
	if !in.writing {
		in.writing = true
		if !in.l.start("peer-answer", in.answer) {
			return host.ErrClosed
		}
	}
	q := answered{id: i.id, deadline: host.Never}
	if i.timeout > 0 {
		q.deadline = in.l.host.Clock.Now().Add(i.timeout)
	}
	if in.running.Add(1) > in.limit {
		in.running.Add(-1)
		if int64(in.out.Len()) > 4*in.limit+64 {
			return errFlood
		}
		q.status = answerBusy
		in.out.Post(q)
		return nil
	}
	q.served = true
	kind, request := i.sub, clone(i.bytes)
	if !in.l.start("peer-serve", func() { in.serve(kind, request, q) }) {
		return host.ErrClosed
	}
	return nil
}

func (in *inbound) serve(kind uint8, request []byte, q answered) {
	var err error
	q.parts, q.done, err = in.l.handler.Serve(in.node, kind, request)
	if err != nil {
		q.status, q.text, q.parts = answerFail, err.Error(), nil
		q.text = q.text[:min(len(q.text), maxErrorText)]
	}
	if !in.out.Post(q) {
		in.finish(&q)
	}
}

// maxErrorText bounds the text of an error that goes to the caller.
const maxErrorText = 4 << 10

// finish lets go of an answer.
func (in *inbound) finish(q *answered) {
	if q.done != nil {
		q.done()
	}
	if q.served {
		in.running.Add(-1)
	}
}

// answer is the task that sends answers until the connection ends.
func (in *inbound) answer() {
	var batch []answered
	var f framer
	var err error
	for more := true; more; {
		batch, more = in.out.Take(batch[:0])
		for i := range batch {
			q := &batch[i]
			if err == nil {
				err = in.sendAnswer(&f, q)
			}
			in.finish(q)
			*q = answered{}
		}
		if err != nil {
			in.conn.Close() // ends the task that reads, which closes the queue
		}
	}
}

func (in *inbound) sendAnswer(f *framer, q *answered) error {
	now := in.l.host.Clock.Now()
	if now >= q.deadline {
		// Nobody waits any more, but the caller counts it as open until it hears of it.
		q.status, q.text, q.parts = answerFail, "served too late", nil
	}
	size, flags := int64(0), uint32(0)
	for _, p := range q.parts {
		if size += p.Size(); p.File != nil {
			flags = flagUnsummed
		}
	}
	if size > int64(in.l.options.MaxFrameBytes-answerSize) {
		q.status, q.text, q.parts, flags = answerFail, fmt.Sprintf("an answer of %d bytes is larger than a frame may be", size), nil, 0
	}
	f.heads = appendAnswer(f.begin(answerSize+len(q.text)), q.status, q.id, q.text)
	for _, p := range q.parts {
		if p.Size() == 0 {
			continue
		}
		f.payload = append(f.payload, p)
		f.bytes += int(p.Size())
		if flags == 0 {
			f.sum = checksum(f.sum, p.Bytes)
		}
	}
	f.end(flags)
	in.conn.SetSendDeadline(now.Add(sendTimeout(f.size)))
	_, err := in.conn.Send(f.parts...)
	f.reset()
	return err
}
