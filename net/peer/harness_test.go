package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
)

// pattern is n bytes that tell what they are the payload or the data of.
func pattern(seed uint64, n int) []byte {
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := range b {
		if i%8 == 0 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		b[i] = byte(x >> (8 * (i % 8)))
	}
	return b
}

// raftMessage makes a message whose every byte follows from its numbers.
func raftMessage(kind raftpb.MessageType, number uint64, sizes []int) *raftpb.Message {
	to, from, term, index, commit := uint64(2), uint64(1), number*3, number*1000, number+7
	m := &raftpb.Message{Type: &kind, To: &to, From: &from, Term: &term, Index: &index, Commit: &commit}
	if number%3 == 0 {
		m.Context = pattern(number, int(number%40))
	}
	if kind == raftpb.MsgAppResp && number%2 == 0 {
		reject, hint := true, number+9
		m.Reject, m.RejectHint = &reject, &hint
	}
	for i := range sizes {
		index, term, kind := index+uint64(i)+1, term, raftpb.EntryNormal
		m.Entries = append(m.Entries, &raftpb.Entry{Index: &index, Term: &term, Type: &kind, Data: pattern(index, sizes[i]%300)})
	}
	if kind == raftpb.MsgSnap {
		m.Snapshot = &raftpb.Snapshot{Data: pattern(number, 40_000), Metadata: &raftpb.SnapshotMetadata{
			Index: &index, Term: &term, ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, number}}}}
	}
	return m
}

// payloads are those of a message of raftMessage: in one or two parts, some of them to be loaded.
func payloads(h host.Host, m *raftpb.Message, sizes []int) []Payload {
	var list []Payload
	for i, n := range sizes {
		p := Payload{Size: n}
		content := pattern(m.Entries[i].GetIndex()+1, n)
		switch {
		case n == 0:
		case n%5 == 4:
			p.Load = func() (*host.Buffer, error) {
				b := h.Buffers.Get(n)
				copy(b.Bytes(), content)
				return b, nil
			}
		default:
			b := h.Buffers.Get(n)
			copy(b.Bytes(), content)
			p.Holds = []*host.Buffer{b}
			p.Parts = [][]byte{b.Bytes()[:n/2], b.Bytes()[n/2:]}
			if n%2 == 0 {
				p.Sums = []uint32{checksum(0, p.Parts[0]), checksum(0, p.Parts[1])}
			}
		}
		list = append(list, p)
	}
	return list
}

func releaseAll(list []Payload) {
	for _, p := range list {
		for _, b := range p.Holds {
			b.Release()
		}
	}
}

// sizesOf are the payloads of message number n of a stream; the shard's number is that of the message.
func sizesOf(kind raftpb.MessageType, number uint64) []int {
	if kind != raftpb.MsgApp {
		return nil
	}
	x := binary.LittleEndian.Uint64(pattern(number+99, 8))
	var sizes []int
	for range x % 4 {
		x /= 4
		sizes = append(sizes, []int{0, 10, 1000, 9_999, 50_000, 70_004, 200_000, 4096}[x%8])
		x /= 8
	}
	return sizes
}

// anyShard is the shard of messages of which whole says nothing.
const anyShard = 1 << 60

// small is all of a message but the data of its snapshot as text, and that data.
func small(m *raftpb.Message) (string, []byte) {
	s := m.Snapshot
	if s == nil {
		return m.String(), nil
	}
	without := &raftpb.Message{Type: m.Type, To: m.To, From: m.From, Term: m.Term, LogTerm: m.LogTerm, Index: m.Index, Entries: m.Entries, Commit: m.Commit,
		Vote: m.Vote, Snapshot: &raftpb.Snapshot{Metadata: s.Metadata}, Reject: m.Reject, RejectHint: m.RejectHint, Context: m.Context, Responses: m.Responses}
	return without.String(), s.Data
}

// whole says what is wrong with a message that was received.
func whole(m Message) error {
	if m.Shard == anyShard {
		return nil
	}
	kind := m.Raft.GetType()
	sizes := sizesOf(kind, m.Shard)
	want := raftMessage(kind, m.Shard, sizes)
	if isBeat(want) { // these fields do not travel
		want.Index = nil
	}
	got, gotData := small(m.Raft)
	wanted, wantedData := small(want)
	if got != wanted || !bytes.Equal(gotData, wantedData) {
		return fmt.Errorf("got message %s with %d bytes, want %s with %d", got, len(gotData), wanted, len(wantedData))
	}
	if len(m.Payloads) != len(sizes) {
		return fmt.Errorf("message %d has %d payloads, not %d", m.Shard, len(m.Payloads), len(sizes))
	}
	for i, p := range m.Payloads {
		got := bytes.Join(p.Parts, nil)
		if p.Size != sizes[i] || !bytes.Equal(got, pattern(want.Entries[i].GetIndex()+1, sizes[i])) {
			return fmt.Errorf("payload %d of message %d is wrong: %d bytes for %d", i, m.Shard, len(got), sizes[i])
		}
		if len(p.Sums) > 0 && p.Sums[0] != checksum(0, got) {
			return fmt.Errorf("the sum of payload %d of message %d is wrong", i, m.Shard)
		}
	}
	return nil
}

// counts is what a node has seen of another.
type counts struct {
	received, notes, dropped int
	up                       bool
	ups                      int
	hello                    Hello
	refused                  string
	oldCopy                  bool
	highest                  map[raftpb.MessageType]uint64
}

// witness is a Handler that checks whatever it is told.
type witness struct {
	h     host.Host
	fail  func(error)
	admit func(Hello) error
	file  host.File // of serveFile bytes, for answers
	slow  time.Duration

	mu      sync.Mutex
	of      map[int32]*counts
	serving int
	most    int
}

const (
	askEcho = 1
	askFail = 2
	askFile = 3
	askWait = 4

	fileBytes = 300_000
)

func newWitness(h host.Host, fail func(error)) *witness {
	return &witness{h: h, fail: fail, of: make(map[int32]*counts)}
}

func (w *witness) counts(node int32) *counts {
	c := w.of[node]
	if c == nil {
		c = &counts{highest: make(map[raftpb.MessageType]uint64)}
		w.of[node] = c
	}
	return c
}

// get is a copy of what was seen of a node.
func (w *witness) get(node int32) counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *w.counts(node)
}

func (w *witness) Admit(h Hello) error {
	if w.admit != nil {
		return w.admit(h)
	}
	return nil
}

func (w *witness) Refused(node int32, reason string, oldCopy bool) {
	w.mu.Lock()
	w.counts(node).refused = reason
	w.counts(node).oldCopy = oldCopy
	w.mu.Unlock()
}

func (w *witness) Receive(from int32, m Message) {
	if err := whole(m); err != nil {
		w.fail(err)
	}
	w.mu.Lock()
	c := w.counts(from)
	c.received++
	c.highest[m.Raft.GetType()] = max(c.highest[m.Raft.GetType()], m.Shard)
	w.mu.Unlock()
	if m.Shard%4 == 0 { // keep it for a while
		for _, p := range m.Payloads {
			for _, b := range p.Holds {
				b.Retain()
			}
		}
		w.h.Tasks.Go("keeps", func() {
			w.h.Clock.Sleep(5 * time.Millisecond)
			if err := whole(m); err != nil {
				w.fail(fmt.Errorf("later: %w", err))
			}
			releaseAll(m.Payloads)
		})
	}
}

func (w *witness) Serve(from int32, kind uint8, request []byte) ([]host.Part, func(), error) {
	w.mu.Lock()
	w.serving++
	w.most = max(w.most, w.serving)
	w.mu.Unlock()
	done := func() {
		w.mu.Lock()
		w.serving--
		w.mu.Unlock()
	}
	if w.slow > 0 {
		w.h.Clock.Sleep(w.slow)
	}
	switch kind {
	case askEcho:
		return []host.Part{{Bytes: request[:len(request)/2]}, {}, {Bytes: request[len(request)/2:]}}, done, nil
	case askFile:
		off := int64(binary.LittleEndian.Uint32(request))
		return []host.Part{{Bytes: request}, {File: w.file, Off: off, Len: fileBytes - off}}, done, nil
	case askWait:
		w.h.Clock.Sleep(10 * time.Second)
	}
	done()
	return nil, nil, errors.New("no such thing")
}

func (w *witness) Told(from int32, kind uint8, note []byte) {
	if !bytes.Equal(note, pattern(uint64(kind), len(note))) {
		w.fail(errors.New("a note is wrong"))
	}
	w.mu.Lock()
	w.counts(from).notes++
	w.mu.Unlock()
}

func (w *witness) Dropped(to int32, shard uint64, m *raftpb.Message) {
	w.mu.Lock()
	w.counts(to).dropped++
	w.mu.Unlock()
}

func (w *witness) Up(node int32, h Hello) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts(node)
	if c.up || h.Node != node {
		w.fail(fmt.Errorf("node %d comes up twice, or as %d", node, h.Node))
	}
	c.up, c.hello = true, h
	c.ups++
}

func (w *witness) Down(node int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts(node)
	if !c.up {
		w.fail(fmt.Errorf("node %d goes down twice", node))
	}
	c.up = false
}

// askWith makes a call of a kind that follows from the number, and returns why there is no answer.
func askWith(h host.Host, l *Links, to int32, number uint64, patience time.Duration, fails func(error)) error {
	fail := func(err error) { fails(fmt.Errorf("call to %d: %w", to, err)) }
	deadline := h.Clock.Now().Add(patience)
	request := pattern(number, int(number%5000))
	var answer *host.Buffer
	var err error
	var want []byte
	switch number % 3 {
	case 0:
		want = request
		answer, err = l.Call(to, askEcho, request, deadline)
	case 1:
		_, err = l.Call(to, askFail, request, deadline)
		if err == nil {
			fail(errors.New("there is an answer to what cannot be answered"))
		}
		if errors.Is(err, ErrServed) {
			return nil
		}
	case 2:
		off := uint32(number * 1000 % fileBytes)
		request = binary.LittleEndian.AppendUint32(nil, off)
		want = append(request, pattern(1, fileBytes)[off:]...)
		answer, err = l.CallBulk(to, askFile, request, deadline)
	}
	switch {
	case err == nil:
		if !bytes.Equal(answer.Bytes(), want) {
			fail(errors.New("the answer is wrong"))
		}
		answer.Release()
	case !errors.Is(err, ErrNotConnected) && !errors.Is(err, ErrLost) && !errors.Is(err, ErrLate) && !errors.Is(err, ErrBusy):
		fail(err)
	}
	return err
}
