package peer

import (
	"errors"
	"time"

	"millrace/node/host"
	"millrace/node/host/mutant"
)

// sendUpTo is about how much one Send takes.
const sendUpTo = 1 << 20

// sendAll sends the batch, heartbeats first.
func (s *sender) sendAll(c host.Conn, a *answers) error {
	s.beats()
	done := 0
	for i := range s.batch {
		s.add(&s.batch[i], a)
		if s.framer.size+s.framer.bytes < sendUpTo && i < len(s.batch)-1 {
			continue
		}
		if err := s.flush(c); err != nil {
			s.abort(s.batch[done:])
			return err
		}
		for ; done <= i; done++ {
			s.release(&s.batch[done])
			s.batch[done] = outgoing{}
		}
	}
	return nil
}

// beats packs the heartbeats of the batch into one item.
func (s *sender) beats() {
	start, n := 0, 0
	for i := range s.batch {
		m := &s.batch[i].message
		if m.Raft == nil || !isBeat(m.Raft) {
			continue
		}
		if n == 0 {
			b := s.framer.begin(packUpTo)
			start = len(b)
			s.framer.heads = append(b, itemBeats, 0, 0, 0, 0, 0, 0, 0)
		}
		n++
		s.framer.heads = appendBeat(s.framer.heads, m.Shard, m.Raft)
	}
	if n > 0 {
		s.framer.heads = endItem(s.framer.heads, start)
	}
}

// add puts one thing of the batch into a frame.
func (s *sender) add(o *outgoing, a *answers) {
	switch {
	case o.call != nil:
		s.lastID++
		if !a.calls.Post(asked{s.lastID, o.call}) {
			o.call.answer.Set(reply{err: ErrNotConnected})
			o.call = nil
			return
		}
		s.framer.heads = appendCall(s.framer.begin(callSize+len(o.note)), o.kind, s.lastID, s.left(o.call), o.note)
		o.call = nil // from now on it is answered by the task that reads
	case o.message.Raft == nil:
		s.framer.heads = appendNote(s.framer.begin(itemSize+len(o.note)), o.kind, o.note)
	case isBeat(o.message.Raft):
	default:
		s.addMessage(o)
	}
}

// left is the time until a call is late.
func (s *sender) left(c *call) time.Duration {
	if c.deadline == host.Never {
		return 0
	}
	return max(1, c.deadline.Sub(s.l.host.Clock.Now()))
}

func (s *sender) addMessage(o *outgoing) {
	m := &o.message
	if err := s.load(m); err != nil && !mutant.On("peer-payload-missing") {
		s.l.host.Log.Warn("a payload for a peer cannot be read", "peer", s.node, "shard", m.Shard, "error", err)
		s.l.handler.Dropped(s.node, m.Shard, m.Raft)
		m.Raft = nil
		return
	}
	s.framer.heads = appendMessage(s.framer.begin(o.size), m.Shard, m.Raft, m.Payloads)
	for i := range m.Payloads {
		s.framer.carry(m.Payloads[i].Parts, m.Payloads[i].Sums)
	}
}

// load brings the payloads that are not in memory.
func (s *sender) load(m *Message) error {
	for i := range m.Payloads {
		p := &m.Payloads[i]
		if p.Load == nil || p.Size == 0 {
			continue
		}
		b, err := p.Load()
		if err == nil && len(b.Bytes()) != p.Size {
			b.Release()
			err = errors.New("it has another length")
		}
		if err != nil {
			p.Size, p.Parts, p.Sums = 0, nil, nil
			return err
		}
		s.loaded = append(s.loaded, b)
		p.Parts, p.Sums = [][]byte{b.Bytes()}, nil
	}
	return nil
}

// slowest is the rate, in bytes a second, below which a peer that takes what is sent is given up, stalled the time that
// it has besides.
const (
	slowest = 64 << 10
	stalled = 5 * time.Second
)

func sendTimeout(bytes int) time.Duration { return stalled + time.Duration(bytes)*time.Second/slowest }

// patience sets the deadline of a Send, if the one that is set does not do: setting one costs as much as a small frame.
func (s *sender) patience(c host.Conn) {
	now, need := s.l.host.Clock.Now(), sendTimeout(s.framer.size)
	if s.sendBy.Sub(now) < need {
		s.sendBy = now.Add(2 * need)
		c.SetSendDeadline(s.sendBy)
	}
}

// flush sends the frames that were built.
func (s *sender) flush(c host.Conn) error {
	s.framer.end(0)
	var err error
	if s.framer.size > 0 {
		s.patience(c)
		var n int64
		n, err = c.Send(s.framer.parts...)
		s.sent.Add(n)
	}
	s.framer.reset()
	for i, b := range s.loaded {
		b.Release()
		s.loaded[i] = nil
	}
	s.loaded = s.loaded[:0]
	return err
}
