package client

import (
	"fmt"
	"slices"
	"time"

	"millrace/net/wire"
)

// Position is a partition that a fetcher reads.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64 // the next one
	// Gaps says that compaction may have left gaps between offsets.
	Gaps bool
	// High, Start and Stable are what the broker said last; -1 where its version of the answer does not say.
	High, Start, Stable int64

	id wire.UUID
	// replica is the node that its leader said to read from, and for how many more polls; -1 for the leader.
	replica int32
	turns   int
}

// Delivery is what one poll brought for one partition.
type Delivery struct {
	Position *Position
	Records  []Fetched
	From, To int64 // the offsets that the records cover
	Code     wire.ErrorCode
	// Near says that a replica answered that does not lead, as its leader had said.
	Near bool
}

// FetchOptions are the rules of a fetcher.
type FetchOptions struct {
	// Rack lets the leader name a replica that is nearer.
	Rack              string
	Sessions          bool
	MaxWait           time.Duration
	MaxBytes          int32
	PartitionMaxBytes int32
	MinBytes          int32
}

// Fetcher reads a set of partitions, from each broker in turn those that it leads.
type Fetcher struct {
	c         *Client
	o         FetchOptions
	positions []*Position
	sessions  map[string]*fetchSession // by address
	turn      int
	// Asked is the address that the last Poll asked.
	Asked string
}

// fetchSession is what a broker knows of the fetcher, with and without a session.
type fetchSession struct {
	conn  *conn
	id    int32
	epoch int32
	knows []known
}

// known is a partition that is in a session, and the offset with which it was last asked for.
type known struct {
	position *Position
	topic    wire.UUID
	offset   int64
	epoch    int32 // of the leader, as it was said
}

// NewFetcher returns a fetcher that reads nothing yet.
func NewFetcher(c *Client, o FetchOptions) *Fetcher {
	return &Fetcher{c: c, o: o, sessions: make(map[string]*fetchSession)}
}

// Add begins to read a partition.
func (f *Fetcher) Add(p *Position) {
	p.replica = -1
	f.positions = append(f.positions, p)
}

// nearFor is how many polls a replica that does not lead is read from before the leader is asked again.
const nearFor = 20

// source is the address to read a partition from.
func (f *Fetcher) source(p *Position) string {
	if p.replica >= 0 && p.turns > 0 {
		if addr := f.c.brokers[p.replica]; addr != "" {
			return addr
		}
	}
	return f.c.Leader(p.Topic, p.Partition)
}

// Drop stops reading a partition.
func (f *Fetcher) Drop(p *Position) {
	f.positions = slices.DeleteFunc(f.positions, func(q *Position) bool { return q == p })
}

// next chooses whom to ask: of the brokers that lead a partition, another one each time. Metadata is refreshed for the
// partitions whose leader is not known.
func (f *Fetcher) next() (string, error) {
	var addrs []string
	var failed error
	for _, p := range f.positions {
		p.turns--
		addr := f.source(p)
		if addr == "" {
			if err := f.c.Refresh(p.Topic); err != nil {
				failed = err
			}
			addr = f.source(p)
		}
		if addr == "" {
			continue
		}
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		if failed == nil {
			failed = errUnknownTopic
		}
		return "", failed
	}
	f.turn++
	return addrs[f.turn%len(addrs)], nil
}

// Poll asks one broker once. An error means that nothing was read.
func (f *Fetcher) Poll() ([]Delivery, error) {
	if len(f.positions) == 0 {
		return nil, nil
	}
	addr, err := f.next()
	if err != nil {
		return nil, err
	}
	f.Asked = addr
	s := f.sessions[addr]
	if s == nil || s.conn == nil || f.c.conns[addr] != s.conn || !s.conn.alive() {
		s = &fetchSession{} // the broker closes a session with its connection's end, or soon after
		f.sessions[addr] = s
	}
	answer, err := f.c.Do(addr, f.request(addr, s))
	if err != nil {
		delete(f.sessions, addr)
		f.forget(addr)
		return nil, err
	}
	s.conn = f.c.conns[addr]
	r := answer.(*wire.FetchResponse)
	if r.ErrorCode != wire.ErrNone {
		delete(f.sessions, addr)
		if r.ErrorCode == wire.ErrFetchSessionIdNotFound || r.ErrorCode == wire.ErrInvalidFetchSessionEpoch {
			return nil, nil
		}
		return nil, r.ErrorCode
	}
	if f.o.Sessions {
		if s.id == 0 {
			s.id = r.SessionId
		}
		if s.id != 0 {
			s.epoch++
		}
	}
	return f.take(r), nil
}

// forget lets the leaders be asked for again that were at an address.
func (f *Fetcher) forget(addr string) {
	for _, p := range f.positions {
		if f.source(p) == addr {
			p.replica = -1
			_ = f.c.forget(p.Topic, p.Partition, ErrUnanswered)
		}
	}
}

// request is the next fetch: everything, or in a session what has changed.
func (f *Fetcher) request(addr string, s *fetchSession) *wire.FetchRequest {
	m := wire.NewFetchRequest()
	m.MaxWaitMs, m.MinBytes, m.MaxBytes = int32(f.o.MaxWait/time.Millisecond), f.o.MinBytes, f.o.MaxBytes
	m.SessionId, m.SessionEpoch, m.RackId = s.id, s.epoch, f.o.Rack
	if !f.o.Sessions {
		m.SessionId, m.SessionEpoch = 0, -1
	}
	var knows []known
	for _, p := range f.positions {
		if f.source(p) != addr {
			continue
		}
		p.id = f.c.topicID(p.Topic)
		now := known{p, p.id, p.Offset, f.c.epoch(p.Topic, p.Partition)}
		knows = append(knows, now)
		if s.id != 0 && slices.Contains(s.knows, now) {
			continue
		}
		part := wire.NewFetchRequestPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.Partition, p.Offset, f.o.PartitionMaxBytes
		part.CurrentLeaderEpoch = f.c.epoch(p.Topic, p.Partition)
		i := slices.IndexFunc(m.Topics, func(t wire.FetchRequestTopic) bool { return t.Topic == p.Topic })
		if i < 0 {
			i = len(m.Topics)
			m.Topics = append(m.Topics, wire.FetchRequestTopic{Topic: p.Topic, TopicId: p.id})
		}
		m.Topics[i].Partitions = append(m.Topics[i].Partitions, part)
	}
	for _, k := range s.knows {
		still := func(now known) bool { // it may have been dropped and added again
			return now.position.Topic == k.position.Topic && now.position.Partition == k.position.Partition && now.topic == k.topic
		}
		if s.id != 0 && !slices.ContainsFunc(knows, still) {
			m.ForgottenTopicsData = append(m.ForgottenTopicsData, wire.FetchRequestForgottenTopic{Topic: k.position.Topic, TopicId: k.topic,
				Partitions: []int32{k.position.Partition}})
		}
	}
	s.knows = knows
	return m
}

// take moves the positions by what was read.
func (f *Fetcher) take(r *wire.FetchResponse) []Delivery {
	var got []Delivery
	for _, t := range r.Responses {
		for _, part := range t.Partitions {
			i := slices.IndexFunc(f.positions, func(p *Position) bool {
				return p.Partition == part.PartitionIndex && (p.Topic == t.Topic || !t.TopicId.IsZero() && p.id == t.TopicId)
			})
			if i < 0 {
				f.c.violated(&Violation{fmt.Sprintf("Fetch: %s%v-%d was not asked for", t.Topic, t.TopicId, part.PartitionIndex)})
				continue
			}
			p := f.positions[i]
			d := Delivery{Position: p, From: p.Offset, To: p.Offset, Code: part.ErrorCode}
			switch {
			case part.ErrorCode == wire.ErrNone && part.PreferredReadReplica >= 0 && p.replica != part.PreferredReadReplica:
				p.replica, p.turns = part.PreferredReadReplica, nearFor
			case part.ErrorCode != wire.ErrNone && p.replica >= 0:
				p.replica, d.Near = -1, true
			}
			if part.ErrorCode == wire.ErrNone {
				p.High, p.Stable, p.Start = part.HighWatermark, part.LastStableOffset, part.LogStartOffset
				var err error
				if d.Records, d.To, err = decode(part.Records.Bytes(), p.Offset, p.Gaps, f.c.o.Coders); err != nil {
					if f.c.o.Corrupt != nil && f.c.o.Corrupt(err) {
						d.Records, d.To, d.Code = nil, d.From, wire.ErrCorruptMessage
						got = append(got, d)
						continue
					}
					f.c.violated(&Violation{fmt.Sprintf("Fetch of %s-%d at %d: %v", p.Topic, p.Partition, p.Offset, err)})
				}
				if d.To > d.From && d.To > part.HighWatermark { // what another replica served may be further
					f.c.violated(&Violation{fmt.Sprintf("Fetch of %s-%d: records up to %d above the high watermark %d", p.Topic, p.Partition, d.To, part.HighWatermark)})
				}
				p.Offset = d.To
			}
			got = append(got, d)
		}
	}
	return got
}
