package shard

import (
	"encoding/binary"
	"errors"
	"io"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
)

// PositionQuery asks the leader of a partition where it starts and ends and, if Offset is not negative, of when the first
// record at or behind that offset is.
type PositionQuery struct {
	Topic  catalog.ID
	Index  int32
	Offset int64
}

// Position is the answer. Known is false when the node does not lead the partition.
type Position struct {
	Known      bool
	Start, End int64
	// Timestamp is the first timestamp of the batch that holds the record, in milliseconds since 1970: -1 when it was not
	// asked for, there is no such record, or it cannot be read now.
	Timestamp int64
}

// positionsAtOnce is how many partitions one call asks about.
const positionsAtOnce = 1000

// Positions asks a node about partitions that it leads, by one call for a thousand of them. What it answers is for the
// eyes of people: a leader that was deposed and does not know it yet answers as well. False when not all is answered by
// the deadline.
func (s *Set) Positions(node int32, queries []PositionQuery, deadline host.Instant) ([]Position, bool) {
	if node == s.o.Node {
		return s.ownPositions(queries), true
	}
	if s.links == nil {
		return nil, false
	}
	all := make([]Position, 0, len(queries))
	for len(queries) > 0 {
		n := min(len(queries), positionsAtOnce)
		answer, err := s.links.CallBulk(node, callPositions, encodePositionQueries(queries[:n]), deadline)
		if err != nil {
			return nil, false
		}
		some, err := decodePositions(answer.Bytes())
		answer.Release()
		if err != nil || len(some) != n {
			return nil, false
		}
		all, queries = append(all, some...), queries[n:]
	}
	return all, true
}

func (s *Set) ownPositions(queries []PositionQuery) []Position {
	all := make([]Position, len(queries))
	for i, q := range queries {
		all[i].Timestamp = -1
		at, code := s.Lookup(q.Topic, q.Index)
		if code != wire.ErrNone {
			continue
		}
		v := at.Log.View()
		all[i] = Position{Known: true, Start: v.LogStart, End: v.End, Timestamp: -1}
		if from := max(q.Offset, v.LogStart); q.Offset >= 0 && from < v.End {
			all[i].Timestamp = timeOf(at.Log, from)
		}
	}
	return all
}

// horizonBit of a batch's attributes says that compaction has put another time in the place of the first timestamp.
const horizonBit = 1 << 6

// timeOf is the first timestamp of the batch that holds an offset, or of the next one. The record's own may be a little
// later, which would take the decompression of the batch to know.
func timeOf(log *partition.Log, offset int64) int64 {
	r, err := log.Read(offset, 1, true)
	if err != nil {
		return -1
	}
	defer r.Release()
	head := make([]byte, 0, batch.HeaderSize)
	for _, p := range r.Parts {
		want := batch.HeaderSize - len(head)
		if p.File == nil {
			head = append(head, p.Bytes[:min(want, len(p.Bytes))]...)
			continue
		}
		want = int(min(int64(want), p.Len))
		part := make([]byte, want)
		if n, err := p.File.ReadAt(part, p.Off); err != nil && !(errors.Is(err, io.EOF) && n == want) {
			return -1
		}
		head = append(head, part...)
	}
	h, err := batch.Parse(head)
	switch {
	case err != nil:
		return -1
	case h.LogAppendTime(), h.Attributes&horizonBit != 0:
		return h.MaxTimestamp
	}
	return h.BaseTimestamp
}

func (s *Set) servePositions(question []byte) ([]byte, error) {
	queries, err := decodePositionQueries(question)
	if err != nil {
		return nil, err
	}
	return encodePositions(s.ownPositions(queries)), nil
}

func encodePositionQueries(queries []PositionQuery) []byte {
	b := binary.AppendUvarint([]byte{noteVersion}, uint64(len(queries)))
	for _, q := range queries {
		b = append(b, q.Topic[:]...)
		b = binary.AppendVarint(b, int64(q.Index))
		b = binary.AppendVarint(b, q.Offset)
	}
	return b
}

func decodePositionQueries(b []byte) ([]PositionQuery, error) {
	f := fields{b: b}
	if f.byte() != noteVersion {
		return nil, errNote
	}
	n := f.count(18)
	if n > positionsAtOnce {
		return nil, errNote
	}
	queries := make([]PositionQuery, 0, n)
	for ; n > 0; n-- {
		queries = append(queries, PositionQuery{Topic: f.id(), Index: f.node(), Offset: f.int()})
	}
	return queries, f.done()
}

func encodePositions(all []Position) []byte {
	b := binary.AppendUvarint([]byte{noteVersion}, uint64(len(all)))
	for _, p := range all {
		if !p.Known {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = binary.AppendVarint(b, p.Start)
		b = binary.AppendVarint(b, p.End)
		b = binary.AppendVarint(b, p.Timestamp)
	}
	return b
}

func decodePositions(b []byte) ([]Position, error) {
	f := fields{b: b}
	if f.byte() != noteVersion {
		return nil, errNote
	}
	all := make([]Position, f.count(1))
	for i := range all {
		all[i].Timestamp = -1
		if f.byte() == 1 {
			all[i] = Position{Known: true, Start: f.int(), End: f.int(), Timestamp: f.int()}
		}
	}
	return all, f.done()
}
