package ledger

import (
	"fmt"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/sim"
)

var begin = map[string]int64{"ada": 100, "ben": 100, "cleo": 100}

const (
	services  = 2
	transfers = 25
	patience  = time.Minute
)

// run is one seed: the ledger's services make transfers while the brokers are in trouble; then everybody reads to the
// end, and what must hold is checked.
func run(seed uint64, naive bool) (hash uint64, err error) {
	w := sim.New(seed, sim.Options{Limit: 10 * time.Minute})
	defer w.Close()
	w.SetNet(sim.NetProfile{Reset: 0.3, ResetWithin: 3000, Small: 0.1, Slow: 0.01})
	cluster, clients := NewCluster(w, 3), w.AddNode("clients")
	for i := range cluster.Nodes {
		cluster.Start(i)
	}
	clients.Boot(func(h host.Host) {
		err := work(h, w, cluster, clients, naive)
		if err != nil {
			w.Fail(err)
		}
		w.Stop()
	})
	err = w.Run()
	return w.Hash(), err
}

// work is the clients' side of a run.
func work(h host.Host, w *sim.World, cluster *Cluster, clients *sim.Node, naive bool) error {
	var all []*Service
	for i := range services {
		s := Open(h, fmt.Sprint("service ", i), cluster.Addrs, begin)
		defer s.Close()
		s.Accounts.Naive = naive
		all = append(all, s)
	}
	if err := all[0].Create(3); err != nil {
		return err
	}
	cluster.Trouble(w.Draws("trouble"), clients, w.Now()+8*time.Second)
	confirmed := map[string]bool{}
	var left []*host.Future[error]
	for i, s := range all {
		d, done := w.Draws(fmt.Sprint("service ", i)), host.NewFuture[error](h.Tasks)
		left = append(left, done)
		h.Tasks.Go("service", func() {
			for n := range transfers {
				t := Transfer{ID: fmt.Sprintf("%d-%d", i, n), From: sim.Pick(d, accountNames...), To: sim.Pick(d, accountNames...), Amount: d.Between(1, 60)}
				if err := s.Transfer(t, patience); err != nil {
					done.Set(err)
					return
				}
				confirmed[t.ID] = true
				h.Clock.Sleep(time.Duration(d.Skewed(20, 800)) * time.Millisecond)
			}
			done.Set(nil)
		})
	}
	for _, done := range left {
		if err := done.Get(); err != nil {
			return err
		}
	}
	return check(h, all, cluster, confirmed)
}

// check is what must hold.
func check(h host.Host, all []*Service, cluster *Cluster, confirmed map[string]bool) error {
	// Somebody who reads everything from the beginning, and who is right.
	reference := Open(h, "reference", cluster.Addrs, begin)
	defer reference.Close()
	for deadline := h.Clock.Now().Add(patience); len(reference.Accounts.Done)+len(reference.Accounts.Refused) < services*transfers; {
		if err := reference.Follow(); err != nil {
			reference.lookAround()
		}
		if h.Clock.Now() > deadline {
			return fmt.Errorf("the ledger has %s, and not all that was confirmed", reference.Accounts)
		}
	}
	for _, s := range all {
		for s.Accounts.Next < reference.Accounts.Next {
			if err := s.Follow(); err != nil {
				s.lookAround()
			}
		}
		switch a := s.Accounts; {
		case a.Total() != 300:
			return fmt.Errorf("there is %d instead of 300: %s", a.Total(), a)
		case a.Next == reference.Accounts.Next && a.String() != reference.Accounts.String():
			return fmt.Errorf("a service has %s, and the log says %s", a, reference.Accounts)
		}
	}
	for id := range confirmed { //door:ordered any of them may be named
		if !reference.Accounts.Done[id] && !reference.Accounts.Refused[id] {
			return fmt.Errorf("transfer %s was confirmed and is not in the ledger", id)
		}
	}
	return nil
}

// TestLedger runs seeds; each of them twice must go the same way.
func TestLedger(t *testing.T) {
	seeds := uint64(15)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		hash, err := run(seed, false)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if again, _ := run(seed, false); seed < 2 && again != hash {
			t.Errorf("seed %d: hash %x, and the second time %x", seed, hash, again)
		}
	}
}

// TestLedgerThatCountsTwice: the usual bug of such programs is found by a seed.
func TestLedgerThatCountsTwice(t *testing.T) {
	for seed := range uint64(60) {
		if _, err := run(seed, true); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Error("a ledger that counts repeated entries twice was not found in 60 seeds")
}

// Example is all that it takes to run a seed of one's own.
func Example() {
	_, err := run(1, false)
	fmt.Println(err)
	// Output: <nil>
}
