package catalog

import (
	"fmt"
	"slices"
	"testing"

	"millrace/net/wire"
	"pgregory.net/rapid"
)

// drawBrokers registers brokers in racks, some of them fenced.
func drawBrokers(t *rapid.T, image *Image, fenced bool) *Image {
	racks := rapid.IntRange(0, 4).Draw(t, "racks")
	for node := range rapid.Int32Range(1, 9).Draw(t, "brokers") {
		rack := ""
		if racks > 0 {
			rack = fmt.Sprint("rack", rapid.IntRange(1, racks).Draw(t, "rack"))
		}
		image, _ = Apply(image, image.Index+1, RegisterBroker{Node: node, Directory: ID{byte(node)}, Rack: rack, Lanes: rapid.Int32Range(1, 4).Draw(t, "lanes")})
		if b, _ := image.Broker(node); fenced && rapid.IntRange(0, 4).Draw(t, "fenced") == 0 {
			image, _ = Apply(image, image.Index+1, FenceBroker{Node: node, Epoch: b.Epoch, Fenced: true})
		}
	}
	return image
}

// racksOf counts the racks of some nodes; nodes without a rack count each.
func racksOf(image *Image, nodes []int32) int {
	racks := map[string]bool{}
	for _, n := range nodes {
		b, _ := image.Broker(n)
		rack := b.Rack
		if rack == "" {
			rack = fmt.Sprint("node", n)
		}
		racks[rack] = true
	}
	return len(racks)
}

// TestPlacement places topics and looks at what must hold: replicas on different brokers, in as many racks as there are,
// led by brokers that are alive; leaders even within a topic; few member sets; no more lanes than wanted.
func TestPlacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		image := drawBrokers(t, Empty(), true)
		var all, unfenced []int32
		for node, b := range image.Brokers.All {
			all = append(all, int32(node))
			if !b.Fenced {
				unfenced = append(unfenced, int32(node))
			}
		}
		for n := range rapid.IntRange(1, 6).Draw(t, "topics") {
			replication := rapid.IntRange(1, 5).Draw(t, "replication")
			c := CreateTopic{ID: ID{9, byte(n)}, Name: fmt.Sprint("t", n), Partitions: rapid.Int32Range(1, 12).Draw(t, "partitions"), Replication: int16(replication)}
			next, result := Apply(image, image.Index+1, c)
			if possible := replication <= len(all) && len(unfenced) > 0; possible != (result.Error == wire.ErrNone) {
				t.Fatalf("replication %d over %v, unfenced %v: %v", replication, all, unfenced, result)
			}
			if image = next; result.Error != wire.ErrNone {
				continue
			}
			leads := map[int32]int{}
			for _, p := range result.Topic.Partitions {
				checkReplicas(t, image, p, replication, unfenced)
				leads[p.Replicas[0]]++
			}
			fewest, most := len(result.Topic.Partitions), 0
			for _, node := range unfenced {
				fewest, most = min(fewest, leads[node]), max(most, leads[node])
			}
			if most > fewest+1 {
				t.Fatalf("leaders are uneven: %v", leads)
			}
		}
		checkShards(t, image, len(all))
	})
}

func checkReplicas(t *rapid.T, image *Image, p Partition, replication int, unfenced []int32) {
	if len(p.Replicas) != replication || len(slices.Compact(slices.Sorted(slices.Values(p.Replicas)))) != replication {
		t.Fatalf("replicas %v", p.Replicas)
	}
	if !slices.Contains(unfenced, p.Replicas[0]) {
		t.Fatalf("led by the fenced broker %d", p.Replicas[0])
	}
	if len(unfenced) >= replication {
		if slices.ContainsFunc(p.Replicas, func(n int32) bool { return !slices.Contains(unfenced, n) }) {
			t.Fatalf("replicas %v, unfenced are %v", p.Replicas, unfenced)
		}
		if want := min(replication, racksOf(image, unfenced)); racksOf(image, p.Replicas) < want && len(unfenced) == image.Brokers.Len() {
			t.Fatalf("replicas %v are in %d racks, want %d", p.Replicas, racksOf(image, p.Replicas), want)
		}
	}
}

func checkShards(t *rapid.T, image *Image, brokers int) {
	lanes, sets := map[string]int32{}, map[int]map[string]bool{}
	for _, s := range image.Shards.All {
		key := leaderKey(s.Preferred, s.nodes())
		lanes[key]++
		if b, _ := image.Broker(s.Preferred); lanes[key] > b.Lanes {
			t.Fatalf("broker %d has %d lanes over %v, wants %d", s.Preferred, lanes[key], s.nodes(), b.Lanes)
		}
		if sets[len(s.Members)] == nil {
			sets[len(s.Members)] = map[string]bool{}
		}
		sets[len(s.Members)][setKey(s.nodes())] = true
	}
	for size, of := range sets {
		if len(of) > 2*brokers { // those of all brokers and those of the unfenced
			t.Fatalf("%d sets of %d among %d brokers", len(of), size, brokers)
		}
	}
}

// TestScatter checks that a broker shares partitions with enough others to spread its load when it is lost.
func TestScatter(t *testing.T) {
	image := Empty()
	for node := range int32(9) {
		image, _ = Apply(image, image.Index+1, RegisterBroker{Node: node, Directory: ID{byte(node)}, Rack: fmt.Sprint(node % 3), Lanes: 2})
	}
	_, r := Apply(image, image.Index+1, CreateTopic{ID: ID{1}, Name: "t", Partitions: 900, Replication: 3})
	if r.Error != wire.ErrNone {
		t.Fatal(r)
	}
	shares, replicas := map[int32]map[int32]bool{}, map[int32]int{}
	for _, p := range r.Topic.Partitions {
		for _, a := range p.Replicas {
			replicas[a]++
			if shares[a] == nil {
				shares[a] = map[int32]bool{}
			}
			for _, b := range p.Replicas {
				shares[a][b] = true
			}
		}
	}
	for node := range int32(9) {
		if n := len(shares[node]) - 1; n < 4 || replicas[node] < 240 || replicas[node] > 360 {
			t.Errorf("broker %d shares with %d others and has %d replicas", node, n, replicas[node])
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	image := Empty()
	for node := range int32(3) {
		image, _ = Apply(image, image.Index+1, RegisterBroker{Node: node, Directory: ID{byte(node)}, Lanes: 2})
	}
	for n := 0; b.Loop(); n++ {
		image, _ = Apply(image, image.Index+1, CreateTopic{ID: ID{1, byte(n), byte(n >> 8), byte(n >> 16)}, Name: fmt.Sprint("t", n), Partitions: 10, Replication: 3})
	}
}
