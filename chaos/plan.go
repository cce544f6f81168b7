package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The kinds of faults. Those of the first group take a node away.
const (
	kill    = "kill"    // SIGKILL, and later a start
	pause   = "pause"   // SIGSTOP, and later SIGCONT
	restart = "restart" // SIGTERM, and a start at once
	isolate = "isolate" // nothing comes or goes between the node and the others
	cut     = "cut"     // the node's links to the others are reset and refused
	deaf    = "deaf"    // nothing comes from the others
	mute    = "mute"    // nothing goes to the others
	severed = "severed" // nothing comes or goes between the node and one other
	rot     = "rot"     // SIGTERM, some bytes of its segments change, and a start

	slow      = "slow"      // the node's links to the others are slow
	narrow    = "narrow"    // and carry few bytes
	lag       = "lag"       // the clients' links to the node are slow
	hangUp    = "hang-up"   // the clients' connections are reset and refused
	blackHole = "blackhole" // nothing comes or goes between clients and the node
)

var (
	away  = []string{kill, kill, kill, pause, pause, restart, restart, isolate, cut, deaf, mute, severed, rot, rot}
	aside = []string{slow, slow, narrow, lag, hangUp, blackHole}
)

// fault is one line of a plan.
type fault struct {
	Kind string
	// Gap is the quiet before it, on its track; For how long it lasts.
	Gap, For time.Duration
	// Node is whom it strikes; 0 is whoever leads Partition of the topic logTopic at that moment.
	Node, Partition int
	// Other is the other node of a severed link, counted on from the first.
	Other int
	// Whole says that an isolated node's clients do not reach it either.
	Whole bool
	Delay time.Duration
	Rate  int
	// Draw decides which bytes rot.
	Draw uint64
}

func (f fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s for %v", f.Kind, f.For.Round(time.Millisecond))
	switch f.Kind {
	case slow, lag:
		fmt.Fprintf(&b, " by %v", f.Delay.Round(time.Millisecond))
	case narrow:
		fmt.Fprintf(&b, " to %d bytes a second", f.Rate)
	case isolate:
		if f.Whole {
			b.WriteString(" with its clients")
		}
	}
	return b.String()
}

// track is a sequence of faults, one after the other. Each draw depends on the seed, the track and the fault's number
// alone, so that a longer plan begins like a shorter one.
type track struct {
	seed   uint64
	number uint64
	kinds  []string
	nodes  int
}

// fault draws the i-th fault of the track.
func (t track) fault(i uint64) fault {
	r := rand.New(rand.NewPCG(t.seed, t.number<<32|i))
	f := fault{Kind: t.kinds[r.IntN(len(t.kinds))], Gap: between(r, 500*time.Millisecond, 6*time.Second)}
	f.For = between(r, 200*time.Millisecond, 8*time.Second)
	// Long enough to fall behind, now and then; short enough to be hardly noticed, too.
	switch r.IntN(10) {
	case 0:
		f.For *= 4
	case 1, 2:
		f.For /= 10
	}
	if r.IntN(3) > 0 {
		f.Node = 1 + r.IntN(t.nodes)
	}
	f.Partition, f.Other = r.IntN(logPartitions), 1+r.IntN(max(1, t.nodes-1))
	f.Whole = r.IntN(2) == 0
	f.Delay = between(r, 5*time.Millisecond, 300*time.Millisecond)
	f.Draw = r.Uint64()
	f.Rate = 20_000 + r.IntN(2_000_000)
	return f
}

func between(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)))
}

// tracks are those of a cluster: as many that take nodes away as nodes may be missing, and one that only annoys.
func tracks(seed uint64, nodes int) []track {
	var list []track
	for i := range uint64((nodes - 1) / 2) {
		list = append(list, track{seed, i + 1, away, nodes})
	}
	return append(list, track{seed, 0, aside, nodes})
}
