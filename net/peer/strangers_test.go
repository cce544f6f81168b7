package peer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/sim"
)

// meet boots two nodes, lets them speak for two seconds while the second one sends, and looks at what they have seen.
func meet(t *testing.T, first, second func(o *Options, w *witness), look func(a, b *witness)) {
	t.Helper()
	w := sim.New(1, sim.Options{})
	defer w.Close()
	var witnesses [2]*witness
	for i, change := range []func(o *Options, w *witness){first, second} {
		w.AddNode(fmt.Sprintf("n%d", i+1)).Boot(func(h host.Host) {
			o := simOptions(int32(i+1), 1)
			witnesses[i] = newWitness(h, w.Fail)
			if change != nil {
				change(&o, witnesses[i])
			}
			l, err := Start(h, o, witnesses[i])
			if err != nil {
				w.Fail(err)
				return
			}
			for range 40 {
				send(h, l, int32(2-i), raftpb.MsgVote, 5)
				h.Clock.Sleep(50 * time.Millisecond)
			}
			l.Close()
			w.After(time.Second, w.Stop)
		})
	}
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	look(witnesses[0], witnesses[1])
}

// strangers are nodes that must not be let in, and what the other one is told of it.
var strangers = []struct {
	name    string
	change  func(o *Options, w *witness)
	refuses func(Hello) error
	reason  string
}{
	{name: "nobody"},
	{"another secret", func(o *Options, _ *witness) { o.Secret = []byte("guess") }, nil, "secret"},
	{"another directory", func(o *Options, _ *witness) { o.Self.Directory[5]++ }, func(h Hello) error {
		if h.Directory != (simOptions(2, 1)).Self.Directory {
			return errors.New("the disk of node 2 is another one")
		}
		return nil
	}, "another one"},
	{"an old copy", func(o *Options, _ *witness) { o.Self.Boots = 1 }, func(h Hello) error {
		if h.Node == 2 && h.Boots < 3 {
			return OldCopyError("node 2 runs on an old copy")
		}
		return nil
	}, "old copy"},
	{"another number", func(o *Options, _ *witness) { o.Self.Node = 3 }, nil, "node 3"},
	{"this node's number", func(o *Options, _ *witness) {
		o.Self.Node = 1
		o.Peers = []Address{{2, "n1:9"}}
	}, nil, "not 2"},
}

func TestStrangers(t *testing.T) {
	for _, s := range strangers {
		t.Run(s.name, func(t *testing.T) {
			meet(t, func(_ *Options, w *witness) { w.admit = s.refuses }, s.change, func(a, b *witness) {
				got := a.get(2)
				if known := s.change == nil; (got.received > 0) != known || (got.ups > 0) != known {
					t.Errorf("the first node saw %+v", got)
				}
				if told := b.get(1).oldCopy || a.get(2).oldCopy; told != (s.reason == "old copy") {
					t.Errorf("told with a proof that its directory is an old copy: %v", told)
				}
				text := b.get(1).refused + a.get(2).refused
				if !strings.Contains(text, s.reason) || s.reason == "" && text != "" {
					t.Errorf("the reason was %q", text)
				}
			})
		})
	}
}

// TestOldCopyNeedsProof: anybody could make a node stop otherwise.
func TestOldCopyNeedsProof(t *testing.T) {
	l := &Links{options: Options{Secret: []byte("ours")}}
	opening, reply := []byte("opening"), []byte("reply")
	for _, secret := range []string{"ours", "theirs"} {
		err := l.verified(&oldCopyRefusal{"an old copy", proof([]byte(secret), roleOldCopy, opening, reply)}, opening, reply)
		if _, old := errors.AsType[*oldCopyRefusal](err); old != (secret == "ours") {
			t.Errorf("with the secret %q it is believed: %v", secret, old)
		}
		if reason, ok := errors.AsType[refusedError](err); !ok || reason != "an old copy" {
			t.Errorf("the reason is %v", err)
		}
	}
}

// TestOldIncarnation: when a node comes back, what its former life had open is closed, though nobody said that it ended.
func TestOldIncarnation(t *testing.T) {
	if err := runOldIncarnation(); err != nil {
		t.Error(err)
	}
}

func runOldIncarnation() error {
	w := sim.New(3, sim.Options{})
	defer w.Close()
	a, b := w.AddNode("n1"), w.AddNode("n2")
	var links *Links
	var first, second *witness
	a.Boot(func(h host.Host) {
		o := simOptions(1, 1)
		o.Silence = 20 * time.Second
		first = newWitness(h, w.Fail)
		var err error
		if links, err = Start(h, o, first); err != nil {
			w.Fail(err)
		}
	})
	life := func(boots int) func(host.Host) {
		return func(h host.Host) {
			second = newWitness(h, w.Fail)
			if _, err := Start(h, simOptions(2, boots), second); err != nil {
				w.Fail(err)
			}
		}
	}
	b.Boot(life(1))
	w.After(time.Second, func() {
		b.Crash(sim.Power)
		w.After(100*time.Millisecond, func() { b.Boot(life(2)) })
	})
	w.After(3*time.Second, func() {
		if c := first.get(2); !c.up || c.hello.Boots != 2 || c.ups != 2 {
			w.Fail(fmt.Errorf("the node that came back is seen as %+v", c))
		}
		a.Go("looks", func() {
			if !links.Connected(2) || !send(links.host, links, 2, raftpb.MsgApp, 5) {
				w.Fail(errors.New("there is no connection"))
			}
			links.host.Clock.Sleep(time.Second)
			if second.get(1).highest[raftpb.MsgApp] != 5 { // a connection that only this end believes in would swallow it
				w.Fail(errors.New("what is sent to the node that came back does not arrive"))
			}
			w.Stop()
		})
	})
	return w.Run()
}

// TestSilence: a node that is cut off is down after Silence, and up again when the network is back.
func TestSilence(t *testing.T) {
	w := sim.New(4, sim.Options{})
	defer w.Close()
	var nodes [2]*sim.Node
	var seen [2]*witness
	for i := range nodes {
		nodes[i] = w.AddNode(fmt.Sprintf("n%d", i+1))
		nodes[i].Boot(func(h host.Host) {
			seen[i] = newWitness(h, w.Fail)
			if _, err := Start(h, simOptions(int32(i+1), 1), seen[i]); err != nil {
				w.Fail(err)
			}
		})
	}
	expect := func(at time.Duration, up bool, ups int) {
		w.After(at, func() {
			for i := range nodes {
				if c := seen[i].get(int32(2 - i)); c.up != up || c.ups != ups {
					w.Fail(fmt.Errorf("after %v node %d sees the other one up: %v, for the %d. time", at, i+1, c.up, c.ups))
				}
			}
		})
	}
	expect(990*time.Millisecond, true, 1)
	w.After(time.Second, func() { w.Clog(nodes[0], nodes[1], 800*time.Millisecond) })
	expect(1295*time.Millisecond, true, 1)
	expect(1430*time.Millisecond, false, 1)
	expect(1790*time.Millisecond, false, 1)
	expect(1810*time.Millisecond, true, 2)
	w.After(2*time.Second, func() { w.Clog(nodes[0], nodes[1], 10*time.Second) }) // long enough for the connections to be given up
	expect(11*time.Second, false, 2)
	expect(14*time.Second, true, 3)
	w.After(15*time.Second, w.Stop)
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}

// TestBounds: what does not fit into the queue is refused, and calls beyond the bound are, too.
func TestBounds(t *testing.T) {
	w := sim.New(5, sim.Options{})
	defer w.Close()
	var nodes [2]*sim.Node
	var server *witness
	for i := range nodes {
		nodes[i] = w.AddNode(fmt.Sprintf("n%d", i+1))
	}
	nodes[1].Boot(func(h host.Host) {
		o := simOptions(2, 1)
		o.Calls = 3
		server = newWitness(h, w.Fail)
		server.slow = 100 * time.Millisecond
		if _, err := Start(h, o, server); err != nil {
			w.Fail(err)
		}
	})
	nodes[0].Boot(func(h host.Host) {
		o := simOptions(1, 1)
		o.QueueBytes, o.MaxFrameBytes = 1<<20, 4<<20
		l, err := Start(h, o, newWitness(h, w.Fail))
		if err != nil {
			w.Fail(err)
			return
		}
		h.Clock.Sleep(time.Second)
		if busy := manyCalls(h, l, 10); busy != 7 {
			w.Fail(fmt.Errorf("%d of 10 calls were refused", busy))
		}
		if server.most > 3 || server.serving != 0 {
			w.Fail(fmt.Errorf("%d calls ran at once", server.most))
		}
		w.Clog(nodes[0], nodes[1], 300*time.Millisecond)
		taken := 0
		for range 100 {
			if sendBytes(h, l, 100_000) {
				taken++
			}
		}
		if taken < 10 || taken > 30 { // what is being sent counts until it has left
			w.Fail(fmt.Errorf("%d of 100 messages were taken", taken))
		}
		h.Clock.Sleep(2 * time.Second)
		if !sendBytes(h, l, 3<<20) || sendBytes(h, l, 5<<20) {
			w.Fail(errors.New("a message larger than the queue fits when nothing waits, one larger than a frame does not"))
		}
		h.Clock.Sleep(5 * time.Second)
		if n := l.peer(2).streams[streamAppend].bytes.Load(); n != 0 {
			w.Fail(fmt.Errorf("%d bytes are counted in an empty queue", n))
		}
		l.Close()
		if out := h.Buffers.Out(); out != 0 {
			w.Fail(fmt.Errorf("%d bytes of buffers are held", out))
		}
		w.Stop()
	})
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}

// sendBytes sends an entry with a payload of zeros. Its number is one of which whole knows nothing.
func sendBytes(h host.Host, l *Links, n int) bool {
	m := raftMessage(raftpb.MsgApp, 1, []int{n})
	b := h.Buffers.Get(n)
	defer b.Release()
	copy(b.Bytes(), pattern(m.Entries[0].GetIndex()+1, n))
	return l.Send(2, Message{Shard: anyShard, Raft: m, Payloads: []Payload{{Size: n, Parts: [][]byte{b.Bytes()}, Holds: []*host.Buffer{b}}}})
}

// manyCalls makes calls at once and returns how many were refused.
func manyCalls(h host.Host, l *Links, n int) int {
	busy, left := 0, host.NewCounter(h.Tasks)
	over := host.NewFuture[struct{}](h.Tasks)
	left.Add(int64(n))
	for range n {
		h.Tasks.Go("asks", func() {
			_, err := l.Call(2, askFail, nil, h.Clock.Now().Add(5*time.Second))
			if errors.Is(err, ErrBusy) {
				busy++
			}
			if left.Add(-1) == 0 {
				over.Set(struct{}{})
			}
		})
	}
	over.Get()
	return busy
}

// TestNoise has strangers send all kinds of bytes to a listener, which goes on serving its peers.
func TestNoise(t *testing.T) {
	w := sim.New(6, sim.Options{})
	defer w.Close()
	var seen [2]*witness
	for i := range seen {
		w.AddNode(fmt.Sprintf("n%d", i+1)).Boot(func(h host.Host) {
			seen[i] = newWitness(h, w.Fail)
			if _, err := Start(h, simOptions(int32(i+1), 1), seen[i]); err != nil {
				w.Fail(err)
			}
		})
	}
	opening := envelope(noteOpening, (&greeting{version: version, oldest: oldest, target: 1, hello: simOptions(4, 1).Self}).encode())
	third := (*witness)(nil)
	late := func() {
		w.AddNode("n3").Boot(func(h host.Host) {
			third = newWitness(h, w.Fail)
			if _, err := Start(h, simOptions(3, 1), third); err != nil {
				w.Fail(err)
			}
		})
	}
	w.AddNode("stranger").Boot(func(h host.Host) {
		for i, noise := range [][]byte{
			nil, []byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 100_000), opening[:50], opening, append(opening[:len(opening):len(opening)], make([]byte, 5000)...),
			append(opening[:len(opening):len(opening)], envelope(noteProof, make([]byte, 32))...), envelope(noteOpening, make([]byte, 1000)),
			envelope(noteRefusal, []byte("no")), append(opening[:len(opening):len(opening)], envelope(noteRefusal, []byte("no"))...), envelope(noteBegin, nil),
		} {
			for range 5 {
				c, err := h.Transport.Dial("n1:9", h.Clock.Now().Add(time.Second))
				if err != nil {
					w.Fail(fmt.Errorf("noise %d: %w", i, err))
					return
				}
				_, _ = c.Send(host.Part{Bytes: noise})
				h.Tasks.Go("reads", func() {
					n, _ := io.Copy(io.Discard, c)
					if n > 1000 {
						w.Fail(fmt.Errorf("noise %d is answered by %d bytes", i, n))
					}
					c.Close()
				})
			}
		}
		w.After(0, late)
		for range 4 * maxStrangers { // more than may wait; they are silent, and one who can prove who it is gets in among them
			h.Clock.Sleep(300 * time.Microsecond)
			if c, err := h.Transport.Dial("n1:9", h.Clock.Now().Add(time.Second)); err == nil {
				h.Tasks.Go("waits", func() { _, _ = io.Copy(io.Discard, c); c.Close() })
			}
		}
		if !seen[0].get(3).up || !third.get(1).up {
			w.Fail(errors.New("the third node does not get in"))
		}
		h.Clock.Sleep(5 * time.Second)
		for i := range seen {
			if c := seen[i].get(int32(2 - i)); !c.up {
				w.Fail(fmt.Errorf("node %d does not see its peer", i+1))
			}
		}
		if c := seen[0].get(4); c.refused != "" || c.ups != 0 {
			w.Fail(fmt.Errorf("a stranger was heard: %+v", c))
		}
		w.Stop()
	})
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}
