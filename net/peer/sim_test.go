package peer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/sim"
)

func simAddress(node int32) Address { return Address{node, fmt.Sprintf("n%d:9", node)} }

func simOptions(node int32, boots int) Options {
	o := Options{
		Self:   Hello{Cluster: "c", Node: node, Directory: [16]byte{byte(node)}, Incarnation: [16]byte{byte(node), byte(boots)}, Boots: uint64(boots)},
		Listen: fmt.Sprintf("n%d:9", node), Secret: []byte("secret"),
	}
	for n := range int32(3) {
		o.Peers = append(o.Peers, simAddress(n+1))
	}
	return o
}

// clique is three nodes that speak with each other in a world that breaks their connections.
type clique struct {
	w     *sim.World
	nodes [3]*sim.Node
	// lives of each node; the last ones are left at the end.
	links   [3]*Links
	witness [3]*witness
	closed  int
}

var kinds = []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgSnap, raftpb.MsgApp}

const (
	loadFor  = 3 * time.Second
	healedIn = 6 * time.Second
)

// live is the life of a process.
func (q *clique) live(i int, h host.Host) {
	node := int32(i + 1)
	w := newWitness(h, q.w.Fail)
	file, err := h.Disk.Open("f", host.Mode{})
	if errors.Is(err, host.ErrNotExist) {
		file, err = h.Disk.Create("f", 0, host.Mode{})
	}
	if err == nil {
		err = file.WriteAt(0, pattern(1, fileBytes))
	}
	if err != nil {
		q.w.Fail(err)
		return
	}
	w.file = file
	l, err := Start(h, simOptions(node, q.nodes[i].Boots()), w)
	if err != nil {
		q.w.Fail(err)
		return
	}
	q.links[i], q.witness[i] = l, w
	number := uint64(0)
	for q.w.Now() < loadFor {
		to := int32(h.Random.Uint64("to")%3) + 1
		number++
		send(h, l, to, kinds[h.Random.Uint64("kind")%uint64(len(kinds))], number)
		if number%7 == 0 {
			l.Tell(to, uint8(number), pattern(uint64(uint8(number)), int(number%500)))
		}
		if number%11 == 0 {
			h.Tasks.Go("asks", func() { q.ask(h, l, to, number, false) })
		}
		h.Clock.Sleep(time.Duration(h.Random.Uint64("sleep") % uint64(8*time.Millisecond)))
	}
}

// send makes a message and hands it over.
func send(h host.Host, l *Links, to int32, kind raftpb.MessageType, number uint64) bool {
	sizes := sizesOf(kind, number)
	m := raftMessage(kind, number, sizes)
	if isBeat(m) {
		m.Index = nil
	}
	p := payloads(h, m, sizes)
	held := append([]Payload(nil), p...)
	sent := l.Send(to, Message{Shard: number, Raft: m, Payloads: p})
	releaseAll(held)
	return sent
}

// ask makes a call and looks at the answer. must says that it has to work.
func (q *clique) ask(h host.Host, l *Links, to int32, number uint64, must bool) {
	if must {
		for tries := 0; ; tries++ {
			again := askWith(h, l, to, number, 5*time.Second, q.w.Fail)
			if again == nil || tries > 20 || errors.Is(again, ErrLate) {
				if again != nil {
					q.w.Fail(again)
				}
				return
			}
			h.Clock.Sleep(50 * time.Millisecond)
		}
	}
	_ = askWith(h, l, to, number, time.Duration(1+number%1000)*time.Millisecond, q.w.Fail)
}

// runClique is one seed.
func runClique(seed uint64) error {
	w := sim.New(seed, sim.Options{Limit: 10 * time.Minute})
	defer w.Close()
	q := &clique{w: w}
	d := w.Draws("plan")
	w.SetNet(sim.NetProfile{
		Refuse: sim.Pick(d, 0, 0.2), Reset: sim.Pick(d, 0, 0.2, 0.8), ResetWithin: sim.Pick[int64](d, 100, 3_000, 1_000_000),
		Small: sim.Pick(d, 0, 0.3), Slow: sim.Pick(d, 0, 0.01, 0.2),
	})
	for i := range q.nodes {
		q.nodes[i] = w.AddNode(fmt.Sprintf("n%d", i+1))
		w.After(time.Duration(d.Below(int64(200*time.Millisecond))), func() { q.nodes[i].Boot(func(h host.Host) { q.live(i, h) }) })
	}
	for range d.Below(4) {
		i, how := int(d.Below(3)), sim.Pick(d, sim.Power, sim.Kill)
		at, rest := time.Duration(d.Between(int64(300*time.Millisecond), int64(loadFor))), time.Duration(d.Skewed(1_000_000, 900_000_000))
		w.After(at, func() {
			if !q.nodes[i].Running() {
				return
			}
			q.nodes[i].Crash(how)
			w.After(rest, func() { q.nodes[i].Boot(func(h host.Host) { q.live(i, h) }) })
		})
	}
	for range d.Below(6) {
		q.breaks(d)
	}
	w.After(loadFor, func() {
		w.SetNet(sim.NetProfile{})
		for _, a := range q.nodes {
			for _, b := range q.nodes {
				w.Heal(a, b)
			}
		}
	})
	w.After(loadFor+healedIn, q.healed)
	return w.Run()
}

// breaks has something happen to the network between two nodes, or to one of them.
func (q *clique) breaks(d *sim.Draws) {
	w := q.w
	i, at, long := d.Below(3), time.Duration(d.Below(int64(loadFor))), time.Duration(d.Skewed(10_000_000, 2_000_000_000))
	a, b := q.nodes[i], q.nodes[(i+1+d.Below(2))%3]
	what := sim.Pick(d,
		func() { w.Clog(a, b, long) },
		func() { w.ClogWay(a, b, long) },
		func() {
			w.Cut(a, b)
			w.After(long, func() { w.Heal(a, b) })
		},
		func() {
			w.Cut(a, b)
			w.Cut(b, a)
		},
		func() { w.SlowLink(a, b, long/10, long) },
		func() { w.ResetAll(a, b) },
		func() { w.HalfOpen(a, b) },
		func() {
			if a.Running() {
				a.Pause(long)
			}
		},
	)
	w.After(at, what)
}

// healed asks for everything of everybody, once the world is sound.
func (q *clique) healed() {
	for i, n := range q.nodes {
		n.Go("last", func() {
			l, witness := q.links[i], q.witness[i]
			h := l.host
			for to := int32(1); to <= 3; to++ {
				if to == int32(i+1) {
					continue
				}
				// A connection that was made before may still break: what counts is that it is there again soon.
				var c counts
				for range 20 {
					if c = witness.get(to); c.up && c.hello == *q.links[to-1].self.Load() {
						break
					}
					h.Clock.Sleep(10 * time.Millisecond)
				}
				if !c.up || c.hello != *q.links[to-1].self.Load() {
					q.w.Fail(fmt.Errorf("node %d sees node %d up: %v, as %+v", i+1, to, c.up, c.hello))
				}
				for range 20 {
					for _, kind := range kinds {
						send(h, l, to, kind, 1_000_000+uint64(kind))
					}
					h.Clock.Sleep(50 * time.Millisecond)
				}
				for k := range uint64(3) {
					q.ask(h, l, to, 999+k, true)
				}
			}
		})
	}
	q.w.After(6*time.Second, func() {
		for i, n := range q.nodes {
			for from := int32(1); from <= 3; from++ {
				if from == int32(i+1) {
					continue
				}
				c := q.witness[i].get(from)
				for _, kind := range kinds {
					if c.highest[kind] < 1_000_000 {
						q.w.Fail(fmt.Errorf("node %d did not get the last %v of node %d", i+1, kind, from))
					}
				}
			}
			n.Go("close", func() {
				q.links[i].Close()
				q.witness[i].file.Close()
				if q.closed++; q.closed == len(q.nodes) {
					q.w.After(time.Second, q.leaks)
				}
			})
		}
	})
}

func (q *clique) leaks() {
	for _, n := range q.nodes {
		if leaks := n.Leaks(); len(leaks) > 0 {
			q.w.Fail(fmt.Errorf("%s keeps %v", n.Name(), leaks))
		}
	}
	q.w.Stop()
}

func TestClique(t *testing.T) {
	for seed := range uint64(12) {
		if err := runClique(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
