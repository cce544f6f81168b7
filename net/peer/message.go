package peer

import (
	"encoding/binary"
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
)

const (
	messageSize  = 88 // with the item's header
	entrySize    = 28
	snapshotSize = 40
	beatSize     = 48

	flagReject   = 1
	flagSnapshot = 2
)

// streamOf says on which stream a raft message travels, or that it does not travel.
func streamOf(t raftpb.MessageType) (stream, bool) {
	switch t {
	case raftpb.MsgApp:
		return streamAppend, true
	case raftpb.MsgSnap:
		return streamBulk, true
	case raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp,
		raftpb.MsgTransferLeader, raftpb.MsgTimeoutNow, raftpb.MsgReadIndex, raftpb.MsgReadIndexResp:
		return streamControl, true
	}
	return 0, false
}

// isBeat says that the message goes into a pack of heartbeats.
func isBeat(m *raftpb.Message) bool {
	return (m.GetType() == raftpb.MsgHeartbeat || m.GetType() == raftpb.MsgHeartbeatResp) && len(m.GetContext()) <= math.MaxUint8 && len(m.Entries) == 0 &&
		!m.GetReject()
}

// headOf is about the number of bytes that a message takes in a frame without its payloads.
func headOf(m *raftpb.Message) int {
	n := messageSize + len(m.GetContext())
	for _, e := range m.GetEntries() {
		n += entrySize + len(e.GetData())
	}
	if s := m.GetSnapshot(); s != nil {
		c := s.GetMetadata().GetConfState()
		n += snapshotSize + len(s.GetData()) + 8*(len(c.GetVoters())+len(c.GetLearners())+len(c.GetVotersOutgoing())+len(c.GetLearnersNext()))
	}
	return n
}

// appendMessage appends a raft message as an item; sizes has the payload bytes of each entry.
func appendMessage(b []byte, shard uint64, m *raftpb.Message, payloads []Payload) []byte {
	le := binary.LittleEndian
	start := len(b)
	flags := uint8(0)
	if m.GetReject() {
		flags |= flagReject
	}
	if m.Snapshot != nil {
		flags |= flagSnapshot
	}
	b = append(b, itemMessage, uint8(m.GetType()), flags, 0, 0, 0, 0, 0)
	for _, v := range [...]uint64{shard, m.GetTo(), m.GetFrom(), m.GetTerm(), m.GetLogTerm(), m.GetIndex(), m.GetCommit(), m.GetRejectHint(), m.GetVote()} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, uint32(len(m.GetContext())))
	b = le.AppendUint32(b, uint32(len(m.GetEntries())))
	b = append(b, m.GetContext()...)
	for i, e := range m.GetEntries() {
		size := 0
		if len(payloads) > 0 {
			size = payloads[i].Size
		}
		b = le.AppendUint64(b, e.GetTerm())
		b = le.AppendUint64(b, e.GetIndex())
		b = le.AppendUint32(b, uint32(e.GetType()))
		b = le.AppendUint32(b, uint32(len(e.GetData())))
		b = le.AppendUint32(b, uint32(size))
		b = append(b, e.GetData()...)
	}
	if m.Snapshot != nil {
		b = appendSnapshot(b, m.Snapshot)
	}
	return endItem(b, start)
}

func appendSnapshot(b []byte, s *raftpb.Snapshot) []byte {
	le := binary.LittleEndian
	c := s.GetMetadata().GetConfState()
	b = le.AppendUint64(b, s.GetMetadata().GetIndex())
	b = le.AppendUint64(b, s.GetMetadata().GetTerm())
	lists := [...][]uint64{c.GetVoters(), c.GetLearners(), c.GetVotersOutgoing(), c.GetLearnersNext()}
	for _, l := range lists {
		b = le.AppendUint32(b, uint32(len(l)))
	}
	auto := uint32(0)
	if c.GetAutoLeave() {
		auto = 1
	}
	b = le.AppendUint32(b, auto)
	b = le.AppendUint32(b, uint32(len(s.GetData())))
	for _, l := range lists {
		for _, id := range l {
			b = le.AppendUint64(b, id)
		}
	}
	return append(b, s.GetData()...)
}

// appendBeat appends a heartbeat or the response to one to a pack.
func appendBeat(b []byte, shard uint64, m *raftpb.Message) []byte {
	le := binary.LittleEndian
	for _, v := range [...]uint64{shard, m.GetTo(), m.GetFrom(), m.GetTerm(), m.GetCommit()} {
		b = le.AppendUint64(b, v)
	}
	response := uint8(0)
	if m.GetType() == raftpb.MsgHeartbeatResp {
		response = 1
	}
	b = append(b, response, uint8(len(m.GetContext())), 0, 0, 0, 0, 0, 0)
	return append(b, m.GetContext()...)
}

// decoded is a raft message with what its fields point to, in one piece of memory.
type decoded struct {
	m                                                        raftpb.Message
	kind                                                     raftpb.MessageType
	to, from, term, logTerm, index, commit, rejectHint, vote uint64
	reject                                                   bool
	one                                                      [1]*raftpb.Entry // room for the usual number
}

func (d *decoded) message() *raftpb.Message {
	m := &d.m
	m.Type, m.To, m.From, m.Term = &d.kind, &d.to, &d.from, &d.term
	for _, f := range [...]struct {
		value *uint64
		field **uint64
	}{{&d.logTerm, &m.LogTerm}, {&d.index, &m.Index}, {&d.commit, &m.Commit}, {&d.rejectHint, &m.RejectHint}, {&d.vote, &m.Vote}} {
		if *f.value != 0 {
			*f.field = f.value
		}
	}
	if d.reject {
		m.Reject = &d.reject
	}
	return m
}

// decodedEntry is the same for an entry.
type decodedEntry struct {
	e           raftpb.Entry
	term, index uint64
	kind        raftpb.EntryType
}

// cursor takes values off the front of bytes; short says that there were too few.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.short, c.b = true, nil
		return nil
	}
	t := c.b[:n:n]
	c.b = c.b[n:]
	return t
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// decodeMessage reads the item of a raft message. Nothing of the result points into b. payloads gets the sizes of the
// payloads only; their bytes lie in the frame's payload section.
func decodeMessage(b []byte) (Message, error) {
	var m Message
	kind, flags := raftpb.MessageType(b[1]), b[2]
	if _, travels := streamOf(kind); !travels || flags&^(flagReject|flagSnapshot) != 0 {
		return m, fmt.Errorf("%w: raft message of type %d, flags %#x", errMalformed, kind, flags)
	}
	c := cursor{b: b[itemSize:]}
	d := &decoded{kind: kind, reject: flags&flagReject != 0}
	m.Shard = c.u64()
	for _, v := range [...]*uint64{&d.to, &d.from, &d.term, &d.logTerm, &d.index, &d.commit, &d.rejectHint, &d.vote} {
		*v = c.u64()
	}
	size, entries := uint64(c.u32()), uint64(c.u32())
	if entries*entrySize > uint64(len(c.b)) {
		return m, fmt.Errorf("%w: raft message with %d entries in %d bytes", errMalformed, entries, len(b))
	}
	m.Raft = d.message()
	m.Raft.Context = clone(c.take(size))
	m.Raft.Entries = d.one[:0]
	c.entries(&m, int(entries))
	if flags&flagSnapshot != 0 {
		m.Raft.Snapshot = c.snapshot()
	}
	if c.short || len(c.b) != 0 {
		return m, fmt.Errorf("%w: raft message of %d bytes", errMalformed, len(b))
	}
	return m, nil
}

// entries reads n entries; those of a MsgApp must follow its index. Their data goes into one piece of memory.
func (c *cursor) entries(m *Message, n int) {
	if n == 0 {
		m.Raft.Entries = nil
		return
	}
	all := make([]decodedEntry, n)
	m.Raft.Entries = append(m.Raft.Entries, make([]*raftpb.Entry, n)...)
	m.Payloads = make([]Payload, n)
	data := make([]byte, 0, len(c.b)-n*entrySize)
	for i := range all {
		e := &all[i]
		e.term, e.index, e.kind = c.u64(), c.u64(), raftpb.EntryType(c.u32())
		size := uint64(c.u32())
		m.Payloads[i].Size = int(c.u32())
		at := len(data)
		data = append(data, c.take(size)...)
		c.short = c.short || e.kind > raftpb.EntryConfChangeV2 || m.Raft.GetType() == raftpb.MsgApp && e.index != m.Raft.GetIndex()+uint64(i)+1
		e.e.Term, e.e.Index, e.e.Type = &e.term, &e.index, &e.kind
		if size > 0 {
			e.e.Data = data[at:len(data):len(data)]
		}
		m.Raft.Entries[i] = &e.e
	}
}

func (c *cursor) snapshot() *raftpb.Snapshot {
	index, term := c.u64(), c.u64()
	var counts [4]uint64
	for i := range counts {
		counts[i] = uint64(c.u32())
	}
	auto := c.u32() != 0
	size := uint64(c.u32())
	var lists [4][]uint64
	for i, n := range counts {
		ids := cursor{b: c.take(8 * n)}
		for len(ids.b) > 0 {
			lists[i] = append(lists[i], ids.u64())
		}
	}
	conf := &raftpb.ConfState{Voters: lists[0], Learners: lists[1], VotersOutgoing: lists[2], LearnersNext: lists[3]}
	if auto {
		conf.AutoLeave = &auto
	}
	return &raftpb.Snapshot{Data: clone(c.take(size)), Metadata: &raftpb.SnapshotMetadata{ConfState: conf, Index: &index, Term: &term}}
}

// beat takes one message off a pack of heartbeats.
func (c *cursor) beat() Message {
	d := &decoded{kind: raftpb.MsgHeartbeat}
	m := Message{Shard: c.u64()}
	for _, v := range [...]*uint64{&d.to, &d.from, &d.term, &d.commit} {
		*v = c.u64()
	}
	tail := c.take(8)
	if c.short {
		return m
	}
	if tail[0] != 0 {
		d.kind = raftpb.MsgHeartbeatResp
	}
	m.Raft = d.message()
	m.Raft.Context = clone(c.take(uint64(tail[1])))
	return m
}

// clone copies bytes; none stay none.
func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

// carried is what the fields of a Payload that was received point to.
type carried struct {
	part [1][]byte
	sum  [1]uint32
	hold [1]*host.Buffer
}

// cut gives the payloads of a message their bytes, which lie one after the other in hold from at on, and returns where
// they end. sum is the CRC32C of what lies before; that of the end is returned, too.
func (m *Message) cut(hold *host.Buffer, at int, sum uint32) (int, uint32, error) {
	var all []carried
	for i := range m.Payloads {
		p := &m.Payloads[i]
		if p.Size == 0 {
			continue
		}
		if all == nil {
			all = make([]carried, len(m.Payloads)-i)
		}
		c := &all[0]
		all = all[1:]
		if hold == nil || p.Size > len(hold.Bytes())-at {
			return 0, 0, fmt.Errorf("%w: a payload of %d bytes is not in its frame", errMalformed, p.Size)
		}
		part := hold.Bytes()[at : at+p.Size : at+p.Size]
		c.part[0], c.hold[0] = part, hold
		p.Parts, p.Holds = c.part[:], c.hold[:]
		if len(part) >= joinFrom {
			c.sum[0] = checksum(0, part)
			p.Sums = c.sum[:]
		}
		sum = extend(sum, part, p.Sums, 0)
		at += p.Size
	}
	return at, sum, nil
}
