package peer

import (
	"errors"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// peer is what is sent to one node.
type peer struct {
	node    int32
	addr    *host.Snapshot[string]
	streams [streams]*sender
}

// outgoing waits to be sent: a raft message, a note or a call.
type outgoing struct {
	message Message
	note    []byte
	kind    uint8
	call    *call
	size    int
}

// sender keeps one stream to a node: it dials, sends what waits, and dials again.
type sender struct {
	l      *Links
	peer   *peer
	node   int32
	stream stream
	limit  int64
	queue  *host.Queue[outgoing]
	waiter host.Waiter
	bytes  *host.Counter // that wait or are being sent
	ready  *host.Counter // 1 while there is a connection
	stop   *host.Counter
	kicks  *host.Counter // reasons to dial at once
	sent   *host.Counter // bytes
	begun  *host.Counter // connections

	// Of its task.
	framer framer
	batch  []outgoing
	loaded []*host.Buffer
	lastID uint64
	sendBy host.Instant // the connection's deadline
	failed int          // how often it was dialled in vain, in a row
}

func newPeer(l *Links, a Address) *peer {
	t := l.host.Tasks
	p := &peer{node: a.Node, addr: host.NewSnapshot(t, &a.Addr)}
	for i := range p.streams {
		s := &sender{
			l: l, peer: p, node: a.Node, stream: stream(i), limit: int64(l.options.SmallQueueBytes), waiter: t.NewWaiter(),
			bytes: host.NewCounter(t), ready: host.NewCounter(t), stop: host.NewCounter(t), kicks: host.NewCounter(t),
			sent: host.NewCounter(t), begun: host.NewCounter(t),
		}
		if s.stream == streamAppend {
			s.limit = int64(l.options.QueueBytes)
		}
		s.queue = host.NewQueue[outgoing](t, 1<<30, s.waiter)
		p.streams[i] = s
	}
	return p
}

func (s *sender) kick() {
	s.kicks.Add(1)
	s.waiter.Wake()
}

// put queues something, unless nothing can be sent or too much waits. What is larger than the bound may wait alone.
func (s *sender) put(o outgoing) bool {
	if s.ready.Load() == 0 {
		return false
	}
	n := int64(o.size)
	if waits := s.bytes.Add(n); waits > s.limit && waits != n {
		s.bytes.Add(-n)
		return false
	}
	for _, p := range o.message.Payloads {
		for _, b := range p.Holds {
			b.Retain()
		}
	}
	if !s.queue.Post(o) {
		s.release(&o)
		return false
	}
	return true
}

// release gives back what something that was put holds.
func (s *sender) release(o *outgoing) {
	for _, p := range o.message.Payloads {
		for _, b := range p.Holds {
			b.Release()
		}
	}
	s.bytes.Add(-int64(o.size))
}

// The time between dials: it doubles from one to the other.
const (
	shortPause = 20 * time.Millisecond
	longPause  = 500 * time.Millisecond
	// patientDials may fail before the log hears of it: nodes do not start at the same moment.
	patientDials = 6
)

// run is the task of a stream.
func (s *sender) run() {
	pause := shortPause
	for s.stop.Load() == 0 {
		kicks := s.kicks.Load()
		until := host.Never // the control stream kicks the others when it is there
		if s.stream == streamControl || s.peer.streams[streamControl].ready.Load() != 0 {
			begun, err := s.connect()
			if begun {
				pause = shortPause
			} else if _, refused := errors.AsType[refusedError](err); refused || errors.Is(err, errNotAdmitted) {
				s.clear()
				s.rest()
				continue
			}
			if err != nil && !errors.Is(err, host.ErrClosed) {
				s.l.host.Log.Debug("link to a peer", "peer", s.node, "stream", s.stream, "error", err)
			}
			until = s.l.host.Clock.Now().Add(pause/2 + time.Duration(s.l.host.Random.Uint64("peer-pause")%uint64(pause/2)))
			pause = min(2*pause, longPause)
		}
		s.clear()
		for s.stop.Load() == 0 && s.kicks.Load() == kicks && s.waiter.WaitUntil(until) {
			s.clear()
		}
	}
	s.clear()
}

// rest waits before a node is dialled again that has refused, or was refused.
func (s *sender) rest() {
	until := s.l.host.Clock.Now().Add(longPause + time.Duration(s.l.host.Random.Uint64("peer-pause")%uint64(longPause/4)))
	for s.stop.Load() == 0 && s.waiter.WaitUntil(until) {
		s.clear()
	}
}

// connect dials and sends until the connection ends; begun says that there was one.
func (s *sender) connect() (begun bool, err error) {
	l := s.l
	addr := *s.peer.addr.Load()
	c, err := l.options.Transport.Dial(addr, l.host.Clock.Now().Add(dialTimeout))
	if err != nil {
		s.lament(addr, err)
		return false, err
	}
	id := l.track(c, true)
	err = l.greet(c, id, s.node, s.stream)
	if err == nil {
		begun, s.failed = true, 0
		err = s.serve(c, id)
	} else {
		s.lament(addr, err)
	}
	c.Close()
	l.events.Post(ended{id})
	return begun, err
}

// lament says why there is no connection; that nobody is there, only when it lasts.
func (s *sender) lament(addr string, err error) {
	if s.failed++; s.stop.Load() == 0 && (s.failed > patientDials || !away(err)) {
		s.l.complain(s.node, addr, err)
	}
}

// serve sends what waits until the connection ends.
func (s *sender) serve(c host.Conn, id uint64) error {
	l := s.l
	a := newAnswers(l, s, c)
	if !l.start("peer-answers", a.run) {
		return host.ErrClosed
	}
	s.sendBy = 0
	s.ready.Add(1)
	s.begun.Add(1)
	l.events.Post(joined{id})
	if s.stream == streamControl {
		s.peer.streams[streamAppend].kick()
		s.peer.streams[streamBulk].kick()
	}
	err := s.send(c, a)
	s.ready.Add(-1)
	c.Close()
	a.ended.Get()
	return err
}

func (s *sender) send(c host.Conn, a *answers) error {
	l := s.l
	quietUntil := l.host.Clock.Now()
	for {
		var more bool
		s.batch, more = s.queue.Drain(s.batch[:0])
		switch {
		case !more || s.stop.Load() != 0:
			s.abort(s.batch)
			return host.ErrClosed
		case a.over.Load() != 0:
			s.abort(s.batch)
			return host.ErrReset
		case len(s.batch) > 0:
			if err := s.sendAll(c, a); err != nil {
				return err
			}
			quietUntil = l.host.Clock.Now().Add(l.options.Ping)
		case s.stream != streamControl:
			s.waiter.Wait()
		case !s.waiter.WaitUntil(quietUntil):
			s.framer.ping()
			if err := s.flush(c); err != nil {
				return err
			}
			quietUntil = l.host.Clock.Now().Add(l.options.Ping)
		}
	}
}

// clear drops what waits.
func (s *sender) clear() {
	s.batch, _ = s.queue.Drain(s.batch[:0])
	s.abort(s.batch)
}

// abort drops what was to be sent, and says so.
func (s *sender) abort(batch []outgoing) {
	for i := range batch {
		o := &batch[i]
		switch {
		case o.call != nil:
			o.call.answer.Set(reply{err: ErrNotConnected})
		case o.message.Raft != nil && !mutant.On("peer-drop-not-reported"):
			s.l.handler.Dropped(s.node, o.message.Shard, o.message.Raft)
		}
		s.release(o)
		batch[i] = outgoing{}
	}
}

// Send hands over a raft message and never blocks. It returns false when the message is dropped: there is no
// connection, too much waits already, or it cannot travel. The payloads' Holds are retained for as long as they are
// needed; the message and the slice of its payloads belong to the links from then on.
func (l *Links) Send(node int32, m Message) bool {
	s, travels := streamOf(m.Raft.GetType())
	p := l.peer(node)
	entries := m.Raft.GetEntries()
	if !travels || p == nil || len(m.Payloads) != len(entries) && (len(m.Payloads) != 0 || m.Raft.GetType() == raftpb.MsgApp) {
		return false
	}
	size := headOf(m.Raft)
	for i := range m.Payloads {
		size += m.Payloads[i].Size
	}
	if size > l.options.MaxFrameBytes {
		l.host.Log.Error("a message is larger than a frame may be", "peer", node, "shard", m.Shard, "bytes", size)
		return false
	}
	return p.streams[s].put(outgoing{message: m, size: size})
}

// Tell sends a note on the control stream and never blocks; false means that it is dropped. note must not change.
func (l *Links) Tell(node int32, kind uint8, note []byte) bool {
	p := l.peer(node)
	if p == nil || len(note) > l.options.SmallQueueBytes {
		return false
	}
	return p.streams[streamControl].put(outgoing{note: note, kind: kind, size: itemSize + len(note)})
}

// Connected says that messages to the node have a connection to leave by.
func (l *Links) Connected(node int32) bool {
	p := l.peer(node)
	return p != nil && p.streams[streamControl].ready.Load() != 0
}
