package wal

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// paperShard is what a shard has said, with the number of the group in which each piece of it was written last.
type paperShard struct {
	record  shardRecord
	at      int // group of the record
	entries []paperEntry
	states  map[string]paperState
}

type paperEntry struct {
	index, term uint64
	at          int
}

type paperState struct {
	value string
	at    int
}

// paperLog writes groups by the rules of the ledger: what lives in groups that are to be freed is written again first.
type paperLog struct {
	groups [][]scanned
	first  int // the oldest group that is needed
	shards map[uint64]*paperShard
}

func (p *paperLog) put(h recordHeader, body, value []byte) {
	n := len(p.groups) - 1
	h.data, h.payload = uint32(len(body)), uint32(len(value))
	p.groups[n] = append(p.groups[n], scanned{recordHeader: h, body: body, value: value, at: Location{file: uint64(n + 1)}})
}

func (p *paperLog) putRecord(id uint64) {
	s := p.shards[id]
	b := make([]byte, shardRecordBytes)
	s.record.put(b)
	p.put(recordHeader{kind: kindShard, shard: id}, b, nil)
	s.at = len(p.groups) - 1
}

func (p *paperLog) putEntry(id uint64, kind uint8, e *paperEntry) {
	e.at = len(p.groups) - 1
	p.put(recordHeader{kind: kind, shard: id, index: e.index, term: e.term}, fmt.Appendf(nil, "%d/%d", e.index, e.term), nil)
}

func (p *paperLog) putState(id uint64, key, value string) {
	p.put(recordHeader{kind: kindState, shard: id}, []byte(key), []byte(value))
	p.shards[id].states[key] = paperState{value, len(p.groups) - 1}
}

func (s *paperShard) last() uint64 {
	if n := len(s.entries); n > 0 {
		return s.entries[n-1].index
	}
	return s.record.compact
}

// append writes entries from some index on in the place of all that has it or a later one.
func (p *paperLog) append(t *rapid.T, id uint64) {
	s := p.shards[id]
	from := s.record.compact + 1 + uint64(rapid.IntRange(0, int(s.last()-s.record.compact)).Draw(t, "entries kept"))
	s.entries = s.entries[:from-s.record.compact-1]
	s.record.hard.Term++
	p.putRecord(id) // a group has hard states first
	for range rapid.IntRange(1, 3).Draw(t, "new entries") {
		e := paperEntry{index: s.last() + 1, term: s.record.hard.Term}
		p.putEntry(id, kindEntry, &e)
		s.entries = append(s.entries, e)
	}
}

func (p *paperLog) compact(t *rapid.T, id uint64) {
	s := p.shards[id]
	n := rapid.IntRange(0, len(s.entries)).Draw(t, "compacted")
	s.record.compact += uint64(n)
	s.entries = slices.Clone(s.entries[n:])
	p.putRecord(id)
}

// free writes again what lives in groups before one, which are not needed then.
func (p *paperLog) free(before int) {
	for _, id := range slices.Sorted(maps.Keys(p.shards)) {
		s := p.shards[id]
		if s.at < before {
			p.putRecord(id)
		}
		for i := range s.entries {
			if s.entries[i].at < before {
				p.putEntry(id, kindCopy, &s.entries[i])
			}
		}
		for _, key := range slices.Sorted(maps.Keys(s.states)) {
			if x := s.states[key]; x.at < before {
				p.putState(id, key, x.value)
			}
		}
	}
	p.first = max(p.first, before)
}

// step writes one group.
func (p *paperLog) step(t *rapid.T) {
	p.groups = append(p.groups, nil)
	id := uint64(rapid.IntRange(1, 2).Draw(t, "shard"))
	if p.shards[id] == nil {
		p.shards[id] = &paperShard{states: map[string]paperState{}}
		p.putRecord(id)
	}
	s := p.shards[id]
	key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
	switch rapid.SampledFrom([]string{"append", "append", "compact", "set", "delete", "forget", "free", "free"}).Draw(t, "group") {
	case "append":
		p.append(t, id)
	case "compact":
		p.compact(t, id)
	case "set":
		p.putState(id, key, fmt.Sprint(len(p.groups)))
	case "delete":
		delete(s.states, key)
		p.put(recordHeader{kind: kindDelete, shard: id}, []byte(key), nil)
	case "forget":
		delete(p.shards, id)
		p.put(recordHeader{kind: kindForget, shard: id}, nil, nil)
	case "free":
		p.free(rapid.IntRange(p.first, len(p.groups)-1).Draw(t, "freed before"))
	}
}

// recovered is what recovery makes of the groups from one on.
func (p *paperLog) recovered(from int) (map[uint64]string, error) {
	r := newRecovery()
	for i := from; i < len(p.groups); i++ {
		if err := r.add(groupHeader{sequence: uint64(i + 1), number: uint64(i + 1), first: 1}, slices.Clone(p.groups[i])); err != nil {
			return nil, err
		}
	}
	all := map[uint64]string{}
	for id, s := range r.shards {
		if err := s.whole(id); err != nil {
			return nil, err
		}
		text := fmt.Sprintf("%+v", s.record)
		for _, e := range s.entries {
			text += fmt.Sprintf(" %d/%d=%s", e.Index, e.Term, e.Data)
		}
		for _, key := range slices.Sorted(maps.Keys(s.states)) {
			text += fmt.Sprintf(" %s=%s", key, s.states[key].value)
		}
		all[id] = text
	}
	return all, nil
}

// TestRecoveryModel: from the oldest group that is needed on, recovery finds what was said, and so it does from every older one.
func TestRecoveryModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &paperLog{shards: map[uint64]*paperShard{}}
		for range rapid.IntRange(1, 25).Draw(t, "groups") {
			p.step(t)
		}
		want := map[uint64]string{}
		for id, s := range p.shards {
			text := fmt.Sprintf("%+v", s.record)
			for _, e := range s.entries {
				text += fmt.Sprintf(" %d/%d=%d/%d", e.index, e.term, e.index, e.term)
			}
			for _, key := range slices.Sorted(maps.Keys(s.states)) {
				text += fmt.Sprintf(" %s=%s", key, s.states[key].value)
			}
			want[id] = text
		}
		for _, from := range []int{p.first, 0} {
			if got, err := p.recovered(from); err != nil || !maps.Equal(got, want) {
				t.Fatalf("from group %d of %d: %v, %v instead of %v", from, len(p.groups), got, err, want)
			}
		}
	})
}
