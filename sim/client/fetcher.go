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
	// High, Start and Stable are what the broker said last; -1 where its version of the answer does not say.
	High, Start, Stable int64

	id   wire.UUID
	sent bool  // is in the session
	was  int64 // the offset that the session knows
}

// Delivery is what one poll brought for one partition.
type Delivery struct {
	Position *Position
	Records  []Fetched
	From, To int64 // the offsets that the records cover
	Code     wire.ErrorCode
}

// FetchOptions are the rules of a fetcher.
type FetchOptions struct {
	Sessions          bool
	MaxWait           time.Duration
	MaxBytes          int32
	PartitionMaxBytes int32
	MinBytes          int32
}

// Fetcher reads a set of partitions that one broker leads.
type Fetcher struct {
	c         *Client
	o         FetchOptions
	addr      string
	positions []*Position
	forgotten []*Position
	session   int32
	epoch     int32
}

// NewFetcher returns a fetcher that reads nothing yet.
func NewFetcher(c *Client, o FetchOptions) *Fetcher { return &Fetcher{c: c, o: o} }

// Add begins to read a partition.
func (f *Fetcher) Add(p *Position) { f.positions = append(f.positions, p) }

// Drop stops reading a partition.
func (f *Fetcher) Drop(p *Position) {
	f.positions = slices.DeleteFunc(f.positions, func(q *Position) bool { return q == p })
	if p.sent {
		f.forgotten = append(f.forgotten, p)
	}
}

// restart forgets the session.
func (f *Fetcher) restart() {
	f.session, f.epoch, f.forgotten = 0, 0, nil
	for _, p := range f.positions {
		p.sent = false
	}
}

// Poll asks once. Metadata is refreshed when a leader is not known; an error means that nothing was read.
func (f *Fetcher) Poll() ([]Delivery, error) {
	if len(f.positions) == 0 {
		return nil, nil
	}
	addr := ""
	for _, p := range f.positions {
		t := f.c.Topic(p.Topic)
		if t == nil || f.c.Leader(p.Topic, p.Partition) == "" {
			if err := f.c.Refresh(p.Topic); err != nil {
				return nil, err
			}
			if t = f.c.Topic(p.Topic); t == nil || f.c.Leader(p.Topic, p.Partition) == "" {
				return nil, errUnknownTopic
			}
		}
		if p.id != t.ID {
			p.id, p.sent = t.ID, false
		}
		if addr == "" {
			addr = f.c.Leader(p.Topic, p.Partition)
		}
	}
	if x := f.c.conns[addr]; addr != f.addr || x == nil || !x.alive() {
		f.restart() // the broker closes a session with its connection's end, or soon after
		f.addr = addr
	}
	answer, err := f.c.Do(addr, f.request(addr))
	if err != nil {
		f.restart()
		return nil, err
	}
	r := answer.(*wire.FetchResponse)
	if r.ErrorCode != wire.ErrNone {
		f.restart()
		if r.ErrorCode == wire.ErrFetchSessionIdNotFound || r.ErrorCode == wire.ErrInvalidFetchSessionEpoch {
			return nil, nil
		}
		return nil, r.ErrorCode
	}
	f.forgotten = nil
	if f.o.Sessions {
		if f.session == 0 {
			f.session = r.SessionId
		}
		if f.session != 0 {
			f.epoch++
		}
	}
	return f.take(r), nil
}

// request is the next fetch: everything, or in a session what has changed.
func (f *Fetcher) request(addr string) *wire.FetchRequest {
	m := wire.NewFetchRequest()
	m.MaxWaitMs, m.MinBytes, m.MaxBytes = int32(f.o.MaxWait/time.Millisecond), f.o.MinBytes, f.o.MaxBytes
	m.SessionId, m.SessionEpoch = f.session, f.epoch
	if !f.o.Sessions {
		m.SessionId, m.SessionEpoch = 0, -1
	}
	for _, p := range f.positions {
		if f.c.Leader(p.Topic, p.Partition) != addr || f.session != 0 && p.sent && p.was == p.Offset {
			continue
		}
		p.sent, p.was = f.o.Sessions, p.Offset
		part := wire.NewFetchRequestPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.Partition, p.Offset, f.o.PartitionMaxBytes
		i := slices.IndexFunc(m.Topics, func(t wire.FetchRequestTopic) bool { return t.Topic == p.Topic })
		if i < 0 {
			i = len(m.Topics)
			m.Topics = append(m.Topics, wire.FetchRequestTopic{Topic: p.Topic, TopicId: p.id})
		}
		m.Topics[i].Partitions = append(m.Topics[i].Partitions, part)
	}
	for _, p := range f.forgotten {
		m.ForgottenTopicsData = append(m.ForgottenTopicsData, wire.FetchRequestForgottenTopic{Topic: p.Topic, TopicId: p.id, Partitions: []int32{p.Partition}})
	}
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
			if part.ErrorCode == wire.ErrNone {
				p.High, p.Stable, p.Start = part.HighWatermark, part.LastStableOffset, part.LogStartOffset
				var err error
				if d.Records, d.To, err = decode(part.Records.Bytes(), p.Offset, f.c.o.Coders); err != nil {
					f.c.violated(&Violation{fmt.Sprintf("Fetch of %s-%d at %d: %v", p.Topic, p.Partition, p.Offset, err)})
				}
				if d.To > part.HighWatermark {
					f.c.violated(&Violation{fmt.Sprintf("Fetch of %s-%d: records up to %d above the high watermark %d", p.Topic, p.Partition, d.To, part.HighWatermark)})
				}
				p.Offset = d.To
			}
			got = append(got, d)
		}
	}
	return got
}
