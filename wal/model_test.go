package wal_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"millrace/node/host"
	"millrace/wal"
)

// modelEntry is an entry as the model knows it.
type modelEntry struct {
	term          uint64
	kind          uint8
	data, payload []byte
	at            *wal.Location // set when it is durable
}

// modelShard is what one shard has appended: the log's promise in its simplest form.
type modelShard struct {
	hard    wal.HardState
	compact uint64
	entries map[uint64]modelEntry
	last    uint64
	state   map[string][]byte
	gone    bool
}

func newModelShard() *modelShard {
	return &modelShard{entries: map[uint64]modelEntry{}, state: map[string][]byte{}}
}

func (m *modelShard) clone() *modelShard {
	c := *m
	c.entries, c.state = maps.Clone(m.entries), maps.Clone(m.state)
	return &c
}

// apply does to the model what an append promises.
func (m *modelShard) apply(a wal.Append) {
	if a.Forget {
		*m = *newModelShard()
		m.gone = true
		return
	}
	m.gone = false
	if a.HardState != nil {
		m.hard = *a.HardState
	}
	if a.Compact > m.compact {
		m.compact = a.Compact
		m.last = max(m.last, m.compact)
	}
	if len(a.Entries) > 0 {
		first := a.Entries[0].Index
		maps.DeleteFunc(m.entries, func(i uint64, _ modelEntry) bool { return i >= first })
		for _, e := range a.Entries {
			m.entries[e.Index] = modelEntry{e.Term, e.Type, e.Data, bytes.Join(e.Payload.Parts, nil), new(wal.Location)}
			m.last = e.Index
		}
	}
	maps.DeleteFunc(m.entries, func(i uint64, _ modelEntry) bool { return i <= m.compact })
	for _, s := range a.State {
		if s.Value == nil {
			delete(m.state, s.Key)
		} else {
			m.state[s.Key] = s.Value
		}
	}
}

// text is the model as a string to compare and to read.
func (m *modelShard) text() string {
	if m.gone {
		return "gone"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "hard %v compact %d", m.hard, m.compact)
	for _, i := range slices.Sorted(maps.Keys(m.entries)) {
		e := m.entries[i]
		fmt.Fprintf(&b, "\n entry %d.%d type %d data %x payload %s", i, e.term, e.kind, e.data, short(e.payload))
	}
	for _, k := range slices.Sorted(maps.Keys(m.state)) {
		fmt.Fprintf(&b, "\n state %s = %s", k, short(m.state[k]))
	}
	return b.String()
}

func short(b []byte) string {
	if len(b) > 16 {
		sum := uint64(14695981039346656037)
		for _, c := range b {
			sum = (sum ^ uint64(c)) * 1099511628211
		}
		return fmt.Sprintf("%x…%d bytes %x", b[:8], len(b), sum)
	}
	return fmt.Sprintf("%x", b)
}

// modelOf is the model of a recovered shard. The payloads are read from the log, through read.
func modelOf(r wal.RecoveredShard, read func(wal.Location) (*host.Buffer, error)) (*modelShard, error) {
	m := newModelShard()
	m.hard, m.compact, m.last = r.HardState, r.Compact, r.Compact
	for _, e := range r.Entries {
		if e.Index != m.last+1 {
			return nil, fmt.Errorf("shard %d: recovered entry %d after %d", r.ID, e.Index, m.last)
		}
		m.last = e.Index
		b, err := read(e.At)
		if err != nil {
			return nil, fmt.Errorf("shard %d: payload of entry %d: %w", r.ID, e.Index, err)
		}
		m.entries[e.Index] = modelEntry{e.Term, e.Type, e.Data, bytes.Clone(b.Bytes()), &e.At}
		b.Release()
	}
	for i, s := range r.State {
		if i > 0 && r.State[i-1].Key >= s.Key {
			return nil, fmt.Errorf("shard %d: state is not sorted", r.ID)
		}
		m.state[s.Key] = s.Value
	}
	return m, nil
}
