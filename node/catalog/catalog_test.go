package catalog

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawCommand(t *rapid.T, n int) Command {
	name := rapid.SampledFrom([]string{"a", "b", "c.d", "c_d", "e"}).Draw(t, "name")
	node := rapid.Int32Range(1, 3).Draw(t, "node")
	nodes := rapid.SliceOfN(rapid.SliceOfNDistinct(rapid.Int32Range(1, 4), 1, 3, rapid.ID), 0, 3)
	switch rapid.IntRange(0, 9).Draw(t, "command") {
	case 0:
		return RegisterBroker{Node: node, Directory: ID{byte(node)}, Lanes: node, Rack: name}
	case 1, 2, 3:
		return CreateTopic{
			ID: ID{1, byte(n)}, Name: name, Partitions: rapid.Int32Range(0, 5).Draw(t, "partitions"),
			Replication: rapid.Int16Range(0, 3).Draw(t, "replication"), Assignments: nodes.Draw(t, "assignments"),
			Configs: Configs{{"x", name}},
		}
	case 4:
		return DeleteTopic{Name: name}
	case 5:
		return CreatePartitions{Name: name, Count: rapid.Int32Range(0, 9).Draw(t, "count"), Assignments: nodes.Draw(t, "assignments")}
	case 6:
		return SetConfigs{
			Type: rapid.SampledFrom([]ResourceType{ResourceTopic, ResourceBroker, ResourceGroup}).Draw(t, "type"), Name: name,
			Full: rapid.Bool().Draw(t, "full"),
			Changes: []ConfigChange{{
				Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "config"),
				Op:   ConfigOp(rapid.Int8Range(0, 4).Draw(t, "op")), Value: rapid.SampledFrom([]string{"", "1", "1,2"}).Draw(t, "value"),
			}},
		}
	case 7:
		return AllocateProducerIDs{Node: node}
	case 8:
		return SetFeature{Name: name, Level: rapid.Int16Range(-1, 2).Draw(t, "level")}
	}
	return Format{ClusterID: name}
}

// TestReplicasAgree replays commands from their bytes, through checkpoints at random places, and compares.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live, replica, captured := Empty(), Empty(), Empty()
		records := map[string][]byte{}
		seen := map[uint64]bool{} // replica numbers
		for n := range rapid.IntRange(0, 60).Draw(t, "commands") {
			c := drawCommand(t, n)
			before := dump(live)
			decoded, err := DecodeCommand(Encode(c))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(Encode(decoded), Encode(c)) {
				t.Fatalf("%#v is decoded as %#v", c, decoded)
			}
			next, result := Apply(live, uint64(n+1), c)
			if got := dump(live); got != before {
				t.Fatalf("%#v changed a published image", c)
			}
			again, other := Apply(replica, uint64(n+1), decoded)
			if fmt.Sprint(result.Error, result.Message, result.ProducerID) != fmt.Sprint(other.Error, other.Message, other.ProducerID) {
				t.Fatalf("%#v: results %v and %v", c, result, other)
			}
			live, replica = next, again
			checkImage(t, live, seen)
			if rapid.IntRange(0, 9).Draw(t, "checkpoint") == 0 {
				replica, captured = checkpoint(t, replica, captured, records), replica
				captured = replica
			}
		}
		if dump(live) != dump(replica) {
			t.Fatalf("live\n%s\nreplica\n%s", dump(live), dump(replica))
		}
	})
}

func checkpoint(t *rapid.T, image, captured *Image, records map[string][]byte) *Image {
	for _, r := range Records(captured, image) {
		if r.Value == nil {
			delete(records, r.Key)
		} else {
			records[r.Key] = r.Value
		}
	}
	var all []Record
	for key, value := range records {
		all = append(all, Record{key, value})
	}
	restored, err := Restore(all)
	if err != nil {
		t.Fatal(err)
	}
	return restored
}

// dump is everything in an image, as its checkpoint would say it.
func dump(i *Image) string {
	var b bytes.Buffer
	for _, r := range Records(Empty(), i) {
		fmt.Fprintf(&b, "%s %x\n", r.Key, r.Value)
	}
	return b.String()
}

// checkImage checks what must hold between the parts of an image.
func checkImage(t *rapid.T, i *Image, seen map[uint64]bool) {
	load := map[uint64]int32{}
	for name, topic := range i.Topics.All {
		if other, ok := i.TopicByID(topic.ID); !ok || other != topic || string(name) != topic.Name {
			t.Fatalf("topic %s is not found by its id", name)
		}
		if len(topic.Partitions) == 0 {
			t.Fatalf("topic %s has no partitions", name)
		}
		for n, p := range topic.Partitions {
			load[p.Shard]++
			s, ok := i.Shard(p.Shard)
			if !ok || s.Preferred != p.Replicas[0] || !slices.Equal(s.nodes(), slices.Sorted(slices.Values(p.Replicas))) {
				t.Fatalf("partition %s-%d on %v is in shard %d %v", name, n, p.Replicas, p.Shard, s)
			}
		}
		if !slices.IsSortedFunc(topic.Configs, func(a, b Config) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }) {
			t.Fatalf("configs of %s are not sorted", name)
		}
	}
	if i.Topics.Len() != i.byID.Len() || i.Topics.Len() != i.byMetric.Len() {
		t.Fatal("the maps of topics differ")
	}
	replicas := map[uint64]bool{}
	for id, s := range i.Shards.All {
		if s.Partitions != load[uint64(id)] || s.ID != uint64(id) || s.ID >= i.NextShard {
			t.Fatalf("shard %d says %d partitions, has %d", id, s.Partitions, load[uint64(id)])
		}
		for _, m := range s.Members {
			if replicas[m.Replica] || m.Replica >= i.NextReplica {
				t.Fatalf("replica number %d is issued twice", m.Replica)
			}
			replicas[m.Replica] = true
			seen[m.Replica] = true
		}
	}
}

func TestHostileCommands(t *testing.T) {
	whole := Encode(CreateTopic{ID: ID{1}, Name: "t", Assignments: [][]int32{{1}}, Configs: Configs{{"a", "b"}}})
	for n := range whole {
		if _, err := DecodeCommand(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for a command", n, len(whole))
		}
	}
	for _, b := range [][]byte{
		append(slices.Clone(whole), 0),
		{kindCreateTopic, 1},
		{kindRegisterBroker, 2},
		{99, 0},
		{kindCreatePartitions, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, // a hostile count
	} {
		if c, err := DecodeCommand(b); err == nil {
			t.Errorf("%x is taken for %#v", b, c)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add(Encode(CreateTopic{ID: ID{1}, Name: "t", Partitions: 3, Replication: 1}))
	f.Add(Encode(SetConfigs{Type: ResourceTopic, Name: "t", Changes: []ConfigChange{{Name: "a"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		again, err := DecodeCommand(Encode(c))
		if err != nil || !bytes.Equal(Encode(again), Encode(c)) {
			t.Fatalf("%#v is decoded as %#v, %v", c, again, err)
		}
	})
}

func TestIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id ID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		got, err := ParseID(id.String())
		if err != nil || got != id || len(id.String()) != 22 {
			t.Fatalf("%v is read as %v, %v", id, got, err)
		}
	})
	if _, err := ParseID("short"); err == nil {
		t.Fatal("a short id is taken")
	}
}

func BenchmarkCreateTopic(b *testing.B) {
	image, _ := Apply(Empty(), 1, RegisterBroker{Node: 1, Lanes: 2})
	for n := uint64(2); b.Loop(); n++ {
		next, result := Apply(image, n, CreateTopic{ID: ID{byte(n), byte(n >> 8), byte(n >> 16)}, Name: fmt.Sprint("t", n), Partitions: 1, Replication: 1})
		if result.Error == 0 {
			image = next
		}
	}
}
