package shard

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"millrace/net/peer"
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
)

// TestThreeNodes runs a cluster on the machine, with real parallelism: formed at once, used from all nodes, stopped, and
// started again.
func TestThreeNodes(t *testing.T) {
	var peers []peer.Address
	var dirs []string
	for n := range int32(3) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, peer.Address{Node: n + 1, Addr: l.Addr().String()})
		dirs = append(dirs, t.TempDir())
		l.Close()
	}
	var topic *catalog.Topic
	var all [3][]string
	for life := range 2 {
		sets, hosts := openThree(t, dirs, peers)
		if life == 0 {
			topic = createOnThree(t, hosts[1], sets[1])
		}
		for p := range topic.Partitions {
			leader := -1
			for n := range sets {
				if !sets[n].AwaitTopic(topic, deadline(hosts[n])) {
					t.Fatalf("node %d knows no leaders", n+1)
				}
			}
			for leader < 0 || !leads(sets[leader], topic, p) {
				node, _, _, _ := sets[0].PartitionLeader(topic, p)
				leader = int(node) - 1
				hosts[0].Clock.Sleep(1e6)
			}
			for n := range 20 {
				v := fmt.Sprint(life, " ", n)
				pending, err := send(sets[leader], topic, int32(p), -1, sequenced{}, v)
				want(t, hosts[leader], pending, err)
				all[p] = append(all[p], v)
			}
			if got, err := values(sets[leader], topic, int32(p)); err != nil || !slices.Equal(got, all[p]) {
				t.Fatalf("life %d: partition %d has %v (%v), want %v", life, p, got, err, all[p])
			}
		}
		for n := range sets {
			if err := sets[n].Close(); err != nil {
				t.Error(err)
			}
			if out := hosts[n].Buffers.Out(); out != 0 {
				t.Errorf("node %d: %d bytes of buffers are still held after Close", n+1, out)
			}
		}
	}
}

func leads(s *Set, topic *catalog.Topic, p int) bool {
	_, code := s.Lookup(topic.ID, int32(p))
	return code == wire.ErrNone
}

// openThree starts all nodes at once and registers them.
func openThree(t *testing.T, dirs []string, peers []peer.Address) (sets [3]*Set, hosts [3]host.Host) {
	var opening sync.WaitGroup
	for n := range sets {
		hosts[n] = newMachine(t, dirs[n])
		opening.Go(func() {
			o := smallOptions()
			o.Node, o.Peers = int32(n+1), peers
			var err error
			if sets[n], err = OpenSet(hosts[n], o); err == nil {
				err = register(hosts[n], sets[n])
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return sets, hosts
}

func createOnThree(t *testing.T, h host.Host, s *Set) *catalog.Topic {
	c := catalog.CreateTopic{ID: catalog.ID{1}, Name: "events", Partitions: 3, Replication: 3}
	if err := until(h, 30e9, "three brokers", func() bool { return s.Catalog().Brokers.Len() == 3 }); err != nil {
		t.Fatal(err)
	}
	r := s.Change(c, deadline(h))
	if r.Error != wire.ErrNone {
		t.Fatal(r)
	}
	return r.Topic
}
