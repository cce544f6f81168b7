//go:build mutants

package peer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/sim"
)

// TestMutantsAreFound plants this room's bugs one by one; each must be found by what a handler sees.
func TestMutantsAreFound(t *testing.T) {
	trials := map[string]func(t *testing.T) error{
		"peer-payload-missing":      func(t *testing.T) error { return runUnreadable() },
		"peer-checksum-ignored":     runRot,
		"peer-refused-admitted":     func(t *testing.T) error { return runRefused() },
		"peer-old-incarnation-kept": func(t *testing.T) error { return runOldIncarnation() },
		"peer-drop-not-reported":    func(t *testing.T) error { return runUnreadable() },
	}
	for _, m := range mutant.All() {
		if !strings.HasPrefix(m.Name, "peer-") {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			if err := trials[m.Name](t); err != nil {
				t.Fatal("without the bug: ", err)
			}
			mutant.Enable(m.Name)
			defer mutant.Enable("")
			err := trials[m.Name](t)
			if err == nil {
				t.Fatal("not found")
			}
			t.Logf("found: %v", err)
		})
	}
}

// runRefused lets a node in whose disk is another one.
func runRefused() error {
	w := sim.New(7, sim.Options{})
	defer w.Close()
	first := (*witness)(nil)
	w.AddNode("n1").Boot(func(h host.Host) {
		first = newWitness(h, w.Fail)
		first.admit = func(Hello) error { return errors.New("another disk") }
		if _, err := Start(h, simOptions(1, 1), first); err != nil {
			w.Fail(err)
		}
	})
	w.AddNode("n2").Boot(func(h host.Host) {
		l, err := Start(h, simOptions(2, 1), newWitness(h, w.Fail))
		if err != nil {
			w.Fail(err)
			return
		}
		for range 20 {
			h.Clock.Sleep(50 * time.Millisecond)
			send(h, l, 1, raftpb.MsgVote, 5)
		}
		if first.get(2).received > 0 {
			w.Fail(errors.New("a vote of a node that was refused counts"))
		}
		w.Stop()
	})
	return w.Run()
}

// runRot changes bytes on their way.
func runRot(t *testing.T) error {
	h := newHost(t)
	b := build(h, raftpb.MsgApp, thousand())
	b[len(b)-7] ^= 0x10
	var wrong error
	_ = parse(h, bytes.NewReader(b), streamAppend, func(items []item) {
		for _, i := range items {
			wrong = errors.Join(wrong, whole(i.message))
		}
	})
	return wrong
}

// runUnreadable sends messages of which some have a payload that cannot be read, and others break off.
func runUnreadable() error {
	w := sim.New(8, sim.Options{})
	defer w.Close()
	a, b := w.AddNode("n1"), w.AddNode("n2")
	var second *witness
	b.Boot(func(h host.Host) {
		second = newWitness(h, w.Fail)
		if _, err := Start(h, simOptions(2, 1), second); err != nil {
			w.Fail(err)
		}
	})
	a.Boot(func(h host.Host) {
		first := newWitness(h, w.Fail)
		l, err := Start(h, simOptions(1, 1), first)
		if err != nil {
			w.Fail(err)
			return
		}
		h.Clock.Sleep(time.Second)
		number := thousand()
		m := raftMessage(raftpb.MsgApp, number, []int{1000})
		unreadable := []Payload{{Size: 1000, Load: func() (*host.Buffer, error) { return nil, errors.New("rot") }}}
		if !l.Send(2, Message{Shard: number, Raft: m, Payloads: unreadable}) {
			w.Fail(errors.New("not taken"))
		}
		h.Clock.Sleep(time.Second)
		w.Clog(a, b, 10*time.Second)
		sent := 0
		for range 50 {
			if sendBytes(h, l, 100_000) {
				sent++
			}
		}
		h.Clock.Sleep(5 * time.Second) // the connections are given up meanwhile
		if c := first.get(2); c.dropped < sent/2 {
			w.Fail(fmt.Errorf("%d messages were taken, %d reported as dropped, and the network was away", sent, c.dropped))
		}
		w.Stop()
	})
	return w.Run()
}
