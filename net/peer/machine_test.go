package peer

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/node/host/machine"
)

// freeAddresses are n addresses of this machine that were free just now.
func freeAddresses(t testing.TB, h host.Host, n int) []Address {
	t.Helper()
	var list []Address
	for i := range n {
		l, err := h.Transport.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Address{int32(i + 1), l.Addr()})
		defer l.Close()
	}
	return list
}

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: ", what)
		}
	}
}

// TestOnTheMachine lets three nodes speak over real connections, with real parallelism, while one of them comes and goes.
func TestOnTheMachine(t *testing.T) {
	h := newHost(t)
	addresses := freeAddresses(t, h, 3)
	fail := func(err error) { t.Error(err) }
	file, err := h.Disk.Create("f", 0, host.Mode{})
	if err != nil || file.WriteAt(0, pattern(1, fileBytes)) != nil {
		t.Fatal("no file")
	}
	defer file.Close()
	start := func(node int32, boots int) (*Links, *witness) {
		w := newWitness(h, fail)
		w.file = file
		o := simOptions(node, boots)
		o.Listen, o.Peers = addresses[node-1].Addr, addresses
		o.Silence = 10 * time.Second // the test may have to wait for a processor
		l, err := Start(h, o, w)
		if err != nil {
			t.Fatal(err)
		}
		return l, w
	}
	var running sync.WaitGroup
	var over atomic.Bool
	load := func(l *Links, self int32, over *atomic.Bool) {
		running.Go(func() {
			for number := uint64(1); !over.Load(); number++ {
				to := int32(number%3) + 1
				if to == self {
					continue
				}
				send(h, l, to, kinds[number/3%uint64(len(kinds))], number)
				l.Tell(to, uint8(number), pattern(uint64(uint8(number)), int(number%500)))
				if number%20 == 0 {
					running.Go(func() {
						if err := askWith(h, l, to, number, time.Second, fail); err != nil && !over.Load() && to != 3 && self != 3 {
							t.Errorf("call from %d to %d: %v", self, to, err)
						}
					})
				}
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	a, first := start(1, 1)
	b, second := start(2, 1)
	await(t, "two nodes see each other", func() bool { return first.get(2).up && second.get(1).up })
	load(a, 1, &over)
	load(b, 2, &over)
	for boots := range 4 {
		c, third := start(3, boots+1)
		await(t, "the third node is seen", func() bool { return first.get(3).up && second.get(3).up && third.get(1).up && third.get(2).up })
		var enough atomic.Bool
		load(c, 3, &enough)
		await(t, "the third node is heard", func() bool { return first.get(3).received > 50*boots && third.get(1).received > 50 })
		enough.Store(true)
		c.Close()
		await(t, "the third node is missed", func() bool { return !first.get(3).up && !second.get(3).up })
	}
	over.Store(true)
	running.Wait()
	a.Close()
	b.Close()
	if c := first.get(2); c.ups != 1 || second.get(1).ups != 1 {
		t.Errorf("the first two nodes have lost sight of each other: %+v", c)
	}
	await(t, "all buffers are given back", func() bool { return h.Buffers.Out() == 0 })
}

// sink is a Handler that counts.
type sink struct {
	received atomic.Int64
	bytes    atomic.Int64
	up       atomic.Int64
}

func (s *sink) Admit(Hello) error           { return nil }
func (s *sink) Refused(int32, string, bool) {}
func (s *sink) Receive(_ int32, m Message) {
	for _, p := range m.Payloads {
		s.bytes.Add(int64(p.Size))
	}
	s.received.Add(1)
}
func (s *sink) Serve(int32, uint8, []byte) ([]host.Part, func(), error) { return nil, nil, nil }
func (s *sink) Told(int32, uint8, []byte)                               {}
func (s *sink) Dropped(int32, uint64, *raftpb.Message)                  {}
func (s *sink) Up(int32, Hello)                                         { s.up.Add(1) }
func (s *sink) Down(int32)                                              {}

// pair is two nodes that see each other.
func pair(b *testing.B) (h host.Host, from *Links, to *sink) {
	h, _, err := machine.New(machine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	addresses := freeAddresses(b, h, 2)
	var links [2]*Links
	var sinks [2]*sink
	for i := range links {
		o := Options{Self: Hello{Node: int32(i + 1)}, Listen: addresses[i].Addr, Peers: addresses}
		sinks[i] = &sink{}
		var err error
		if links[i], err = Start(h, o, sinks[i]); err != nil {
			b.Fatal(err)
		}
	}
	await(b, "the nodes see each other", func() bool {
		return sinks[0].up.Load() > 0 && links[0].peer(2).streams[streamAppend].ready.Load() > 0
	})
	b.Cleanup(func() { links[0].Close(); links[1].Close() })
	return h, links[0], sinks[1]
}

// BenchmarkAppend sends entries with payloads of a size, whose sums are known, as many as fit.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 128 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			h, l, to := pair(b)
			body := h.Buffers.Get(size)
			defer body.Release()
			sum := checksum(0, body.Bytes())
			m := raftMessage(raftpb.MsgApp, 7, []int{200})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				for !l.Send(2, Message{Shard: 7, Raft: m, Payloads: []Payload{{Size: size, Parts: [][]byte{body.Bytes()}, Sums: []uint32{sum}, Holds: []*host.Buffer{body}}}}) {
					time.Sleep(50 * time.Microsecond)
				}
			}
			await(b, "everything arrives", func() bool { return to.received.Load() == int64(b.N) })
		})
	}
}

// BenchmarkVotes sends small messages one at a time: each is heard before the next.
func BenchmarkVotes(b *testing.B) {
	_, l, to := pair(b)
	m := raftMessage(raftpb.MsgAppResp, 7, nil)
	b.ReportAllocs()
	for i := range b.N {
		l.Send(2, Message{Shard: 7, Raft: m})
		for to.received.Load() <= int64(i) {
			time.Sleep(time.Microsecond)
		}
	}
}

// BenchmarkBeats sends heartbeats of many shards at once.
func BenchmarkBeats(b *testing.B) {
	_, l, to := pair(b)
	m := raftMessage(raftpb.MsgHeartbeat, 7, nil)
	b.ReportAllocs()
	for i := range b.N {
		for !l.Send(2, Message{Shard: uint64(i), Raft: m}) {
			time.Sleep(50 * time.Microsecond)
		}
	}
	await(b, "everything arrives", func() bool { return to.received.Load() == int64(b.N) })
}
