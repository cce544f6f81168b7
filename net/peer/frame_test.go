package peer

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/node/host/machine"
)

func newHost(t testing.TB) host.Host {
	t.Helper()
	h, _, err := machine.New(machine.Options{Dir: t.TempDir(), Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// flatten is the bytes of parts.
func flatten(parts []host.Part) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p.Bytes...)
	}
	return b
}

// build puts messages into frames.
func build(h host.Host, kind raftpb.MessageType, numbers ...uint64) []byte {
	s := &sender{l: &Links{host: h}}
	for _, n := range numbers {
		sizes := sizesOf(kind, n)
		m := raftMessage(kind, n, sizes)
		o := outgoing{message: Message{Shard: n, Raft: m, Payloads: payloads(h, m, sizes)}}
		o.size = headOf(m)
		for _, size := range sizes {
			o.size += size
		}
		s.batch = append(s.batch, o)
	}
	s.beats()
	for i := range s.batch {
		s.add(&s.batch[i], nil)
	}
	s.framer.end(0)
	b := flatten(s.framer.parts)
	for i := range s.batch {
		releaseAll(s.batch[i].message.Payloads)
	}
	for _, l := range s.loaded {
		l.Release()
	}
	return b
}

// parse reads frames until the end, and gives each whole one to each.
func parse(h host.Host, r io.Reader, s stream, each func(items []item)) error {
	in := &inbound{stream: s, reader: newReader(r, h.Buffers, 1<<20)}
	for {
		f, err := in.reader.next()
		if err != nil {
			return err
		}
		err = in.open(&f)
		if err == nil {
			each(in.items)
		}
		f.release()
		if in.items = in.items[:0]; err != nil {
			return err
		}
	}
}

// TestFrames sends messages of every kind and size through frames, read in pieces of all sizes.
func TestFrames(t *testing.T) {
	h := newHost(t)
	var numbers []uint64
	for n := range uint64(60) {
		numbers = append(numbers, n+1)
	}
	for _, kind := range kinds {
		b := build(h, kind, numbers...)
		s, _ := streamOf(kind)
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(b), "halves": iotest.HalfReader(bytes.NewReader(b)), "bytes": iotest.OneByteReader(bytes.NewReader(b)),
			"error with the last": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			var got []uint64
			frames := 0
			err := parse(h, r, s, func(items []item) {
				frames++
				for _, i := range items {
					if err := whole(i.message); err != nil {
						t.Fatalf("%v, %s: %v", kind, name, err)
					}
					got = append(got, i.message.Shard)
				}
			})
			if err != io.EOF || !slices.Equal(got, numbers) {
				t.Fatalf("%v, %s: got %v, then %v", kind, name, got, err)
			}
			if packed := s == streamControl; packed != (frames == 1) {
				t.Errorf("%v: %d frames", kind, frames)
			}
		}
	}
	if out := h.Buffers.Out(); out != 0 {
		t.Errorf("%d bytes of buffers are held", out)
	}
}

// thousand is the number of a message with one payload of 1,000 bytes.
func thousand() uint64 {
	for n := uint64(1); ; n++ {
		if sizes := sizesOf(raftpb.MsgApp, n); len(sizes) == 1 && sizes[0] == 1000 {
			return n
		}
	}
}

// TestEveryBitCounts flips each bit of a frame: no message comes out of it.
func TestEveryBitCounts(t *testing.T) {
	h := newHost(t)
	b := build(h, raftpb.MsgApp, thousand())
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		err := parse(h, bytes.NewReader(b), streamAppend, func(items []item) { t.Errorf("bit %d is wrong and a message comes out", i) })
		if err == io.EOF || err == nil {
			t.Errorf("bit %d: %v", i, err)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	for n := range len(b) {
		if err := parse(h, bytes.NewReader(b[:n]), streamAppend, func([]item) { t.Errorf("%d bytes are enough", n) }); n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of a frame: %v", n, err)
		}
	}
	if out := h.Buffers.Out(); out != 0 {
		t.Errorf("%d bytes of buffers are held", out)
	}
}

// TestStreamsKeepApart: a message on a stream of another kind ends the connection.
func TestStreamsKeepApart(t *testing.T) {
	h := newHost(t)
	for _, kind := range kinds {
		right, _ := streamOf(kind)
		b := build(h, kind, 1)
		for s := range streams {
			err := parse(h, bytes.NewReader(b), s, func([]item) {})
			if (s == right) != (err == io.EOF) {
				t.Errorf("%v on stream %d: %v", kind, s, err)
			}
		}
	}
	for kind := range raftpb.MessageType_name {
		if _, ok := streamOf(raftpb.MessageType(kind)); ok != (kind == 3 || kind == 4 || kind >= 5 && kind <= 9 || kind >= 13 && kind <= 18) {
			t.Errorf("%v travels: %v", raftpb.MessageType(kind), ok)
		}
	}
}

// framed puts a head and a payload into a frame with right checksums.
func framed(head, payload []byte) []byte {
	var f framer
	f.heads = append(f.begin(0), head...)
	f.carry([][]byte{payload}, nil)
	f.end(0)
	return flatten(f.parts)
}

// FuzzFrame has frames with right checksums and any head; what comes out is as large as what went in.
func FuzzFrame(f *testing.F) {
	h := newHost(f)
	for _, kind := range kinds {
		b := build(h, kind, 9)
		r := newReader(bytes.NewReader(b), h.Buffers, 1<<20)
		fr, err := r.next()
		if err != nil {
			f.Fatal(err)
		}
		var payload []byte
		if fr.payload != nil {
			payload = fr.payload.Bytes()
		}
		s, _ := streamOf(kind)
		f.Add(bytes.Clone(fr.head), bytes.Clone(payload), uint8(s))
		fr.release()
	}
	f.Add(appendNote(nil, 1, []byte("note")), []byte{}, uint8(0))
	f.Add(appendCall(nil, 1, 7, time.Second, []byte("call")), []byte{}, uint8(2))
	f.Fuzz(func(t *testing.T, head, payload []byte, s uint8) {
		if len(head)+len(payload) > 1<<19 {
			return
		}
		before := h.Buffers.Out()
		parse(h, bytes.NewReader(framed(head, payload)), stream(s)%streams, func(items []item) {
			carried := 0
			for _, i := range items {
				if i.kind != itemMessage {
					continue
				}
				if i.message.Raft == nil || len(i.message.Payloads) != len(i.message.Raft.Entries) {
					t.Fatal("a message without its payloads")
				}
				for _, p := range i.message.Payloads {
					carried += len(bytes.Join(p.Parts, nil))
					if p.Size != 0 && len(p.Parts) != 1 {
						t.Fatal("a payload without its bytes")
					}
				}
			}
			if carried != len(payload) {
				t.Fatalf("%d bytes of payloads come out of %d", carried, len(payload))
			}
		})
		parse(h, bytes.NewReader(head), stream(s)%streams, func([]item) {})
		if out := h.Buffers.Out(); out != before {
			t.Fatalf("%d bytes of buffers are held", out-before)
		}
	})
}

// FuzzGreeting: what can be read can be written again, the same.
func FuzzGreeting(f *testing.F) {
	g := greeting{version: version, oldest: oldest, stream: streamBulk, hello: Hello{Cluster: "a cluster", Node: 7, Boots: 9}, target: 3}
	f.Add(g.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeGreeting(b)
		if err != nil {
			return
		}
		again, err := decodeGreeting(g.encode())
		if err != nil || again != g {
			t.Fatalf("%+v becomes %+v (%v)", g, again, err)
		}
		_, _ = agree(&g)
	})
}
