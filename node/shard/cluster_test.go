package shard

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"millrace/net/peer"
	"millrace/node/catalog"
)

func threeControllers() []catalog.Member {
	var members []catalog.Member
	for n := range 3 {
		members = append(members, catalog.Member{Node: int32(n + 1), Directory: catalog.ID{byte(n + 1)}, Replica: uint64(n + 1), Generation: 1})
	}
	return members
}

// TestFounding decides what follows from answers.
func TestFounding(t *testing.T) {
	peers := []int32{1, 2, 3}
	empty := func(node int32) introduced {
		return introduced{node: node, directory: catalog.ID{byte(node)}, peers: peers}
	}
	formed := func(node int32) introduced {
		i := empty(node)
		i.cluster, i.controllers = "c", threeControllers()
		return i
	}
	with := func(i introduced, change func(*introduced)) introduced { change(&i); return i }
	for _, c := range []struct {
		name    string
		self    int32
		answers []introduced
		want    string
	}{
		{"nobody answers", 1, nil, "wait"},
		{"one is silent", 1, []introduced{empty(2)}, "wait"},
		{"all are empty", 1, []introduced{empty(2), empty(3)}, "found"},
		{"not the lowest", 2, []introduced{empty(1), empty(3)}, "wait"},
		{"one is formed", 2, []introduced{formed(1)}, "join"},
		{"the founder was wiped", 1, []introduced{empty(2), with(formed(3), func(i *introduced) { i.controllers[0].Directory = catalog.ID{9} })}, "error: is a member of cluster c with the data directory"},
		{"not a member", 3, []introduced{with(formed(1), func(i *introduced) { i.controllers = i.controllers[:2] })}, "error: is not a member"},
		{"other peers", 1, []introduced{with(empty(2), func(i *introduced) { i.peers = []int32{1, 2, 4} })}, "error: started with the peers 1, 2, 4"},
		{"another node's address", 1, []introduced{with(empty(3), func(i *introduced) { i.node = 2 })}, "error: correct the list"},
	} {
		f := founding{self: Identity{Node: c.self, Directory: catalog.ID{byte(c.self)}}, peers: peers, answers: map[int32]introduced{}}
		for i, a := range c.answers {
			at := a.node
			if c.name == "another node's address" {
				at = []int32{3}[i]
			}
			f.answers[at] = a
		}
		join, members, err := f.decide()
		got := "wait"
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case join != nil:
			got = "join"
		case members != nil:
			got = "found"
			if len(members) != len(peers) {
				t.Errorf("%s: founds with %v", c.name, members)
			}
		}
		if c.want != got && (!strings.HasPrefix(c.want, "error: ") || !strings.Contains(got, strings.TrimPrefix(c.want, "error: "))) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestAdmission decides who is let in.
func TestAdmission(t *testing.T) {
	image, _ := catalog.Apply(catalog.Empty(), 1, catalog.RegisterBroker{Node: 2, Directory: catalog.ID{2}, Incarnation: catalog.ID{7}, Boots: 5})
	self := &Identity{Node: 1, ClusterID: "c", Directory: catalog.ID{1}, Controllers: threeControllers()}
	peers := []int32{1, 2, 3, 4}
	for _, c := range []struct {
		name  string
		self  *Identity
		hello peer.Hello
		want  string
	}{
		{"a member", self, peer.Hello{Cluster: "c", Node: 2, Directory: [16]byte{2}, Boots: 6}, ""},
		{"the registered one", self, peer.Hello{Cluster: "c", Node: 2, Directory: [16]byte{2}, Incarnation: [16]byte{7}, Boots: 5}, ""},
		{"a member that has not heard yet", self, peer.Hello{Node: 3, Directory: [16]byte{3}, Boots: 1}, ""},
		{"another cluster", self, peer.Hello{Cluster: "d", Node: 2, Directory: [16]byte{2}, Boots: 6}, "belongs to cluster d"},
		{"a wiped disk", self, peer.Hello{Node: 2, Directory: [16]byte{8}, Boots: 1}, "this one is another"},
		{"an old copy", self, peer.Hello{Cluster: "c", Node: 2, Directory: [16]byte{2}, Incarnation: [16]byte{9}, Boots: 4}, "is an old copy"},
		{"a clone", self, peer.Hello{Cluster: "c", Node: 2, Directory: [16]byte{2}, Incarnation: [16]byte{9}, Boots: 5}, "is a copy"},
		{"no member", self, peer.Hello{Node: 4, Directory: [16]byte{4}, Boots: 1}, "is not a member"},
		{"a stranger", self, peer.Hello{Node: 5, Directory: [16]byte{5}, Boots: 1}, "is not among the peers"},
		{"anybody, before there is a cluster", &Identity{Node: 1}, peer.Hello{Cluster: "c", Node: 2, Directory: [16]byte{2}, Boots: 6}, ""},
	} {
		err := admit(c.self, peers, image, c.hello)
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", c.name, got, c.want)
		}
	}
}

// TestNotes writes and reads what nodes tell each other, whole and cut off.
func TestNotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var leaders []*announced
		for range rapid.IntRange(0, 5).Draw(t, "leaders") {
			leaders = append(leaders, &announced{
				Leader: Leader{
					Shard: rapid.Uint64().Draw(t, "shard"), Term: rapid.Uint64().Draw(t, "term"),
					InSync: rapid.SliceOfN(rapid.Int32(), 1, 5).Draw(t, "in sync"),
				},
				sequence: rapid.Uint64().Draw(t, "sequence"),
			})
		}
		leaving := rapid.Bool().Draw(t, "leaving")
		full := rapid.Bool().Draw(t, "full")
		b := encodeLeaders(leaving, full, leaders)
		gotLeaving, gotFull, got, err := decodeLeaders(b)
		if err != nil || gotLeaving != leaving || gotFull != full || !reflect.DeepEqual(got, leaders) {
			t.Fatalf("%v is read as %v, %v", leaders, got, err)
		}
		if _, _, _, err := decodeLeaders(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a note that is cut off is read")
		}
		garbage := rapid.SliceOf(rapid.Byte()).Draw(t, "garbage")
		decodeLeaders(garbage)
		decodeBeat(garbage)
		decodeQuorum(garbage)
		decodeIntroduction(garbage)
		decodeFate(garbage)
	})
	q := Quorum{Term: 3, Commit: 9, Voters: []Voter{{Node: 2, Directory: catalog.ID{5}, Match: 8, LastContact: -1, LastCaughtUp: 77}}}
	if got, err := decodeQuorum(encodeQuorum(q)); err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("%+v is read as %+v, %v", q, got, err)
	}
	if got, err := decodeBeat(encodeBeat(beat{epoch: 7, incarnation: catalog.ID{3}})); err != nil || got.epoch != 7 || got.incarnation != (catalog.ID{3}) {
		t.Errorf("a heartbeat is read as %+v, %v", got, err)
	}
	if _, _, _, err := decodeLeaders([]byte{noteVersion, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}); err == nil {
		t.Error("a hostile count is read")
	}
}

// TestAnnouncementsHaveAnOrder takes announcements in any order: the highest term wins, then the leader's last word.
func TestAnnouncementsHaveAnOrder(t *testing.T) {
	a := func(term, sequence uint64, node int32) *announced {
		return &announced{Leader: Leader{Term: term, Node: node}, sequence: sequence}
	}
	inOrder := []*announced{a(1, 9, 1), a(2, 3, 2), a(2, 4, 2), a(5, 1, 1)}
	for i, older := range inOrder {
		for j, newer := range inOrder {
			if newer.newer(older) != (j > i) {
				t.Errorf("%+v after %+v: %v", newer, older, newer.newer(older))
			}
		}
	}
	if !slices.IsSortedFunc(inOrder, func(a, b *announced) int { return int(a.Term) - int(b.Term) }) {
		t.Error("the test's own order")
	}
}

// TestInTurn has the shards that one node leads taken over by different others.
func TestInTurn(t *testing.T) {
	first := map[int32]bool{}
	for id := range uint64(4) {
		s := &catalog.Shard{ID: id, Preferred: 2, Members: threeControllers()}
		members := inTurn(s)
		if len(members) != 3 || members[0].Node != 2 {
			t.Fatalf("members in turn: %v", members)
		}
		first[members[1].Node] = true
	}
	if len(first) != 2 {
		t.Errorf("only %v take over", first)
	}
}

// TestOldDirectories opens a directory of the release that knew clusters of one node only.
func TestOldDirectories(t *testing.T) {
	dir := t.TempDir()
	h := newMachine(t, dir)
	if err := replaceMeta(h.Disk, []byte(`{"format": 1, "cluster.id": "AAAAAAAAAAAAAAAAAAAAAA", "node.id": 1, "directory.id": "AQAAAAAAAAAAAAAAAAAAAA", "used": false}`)); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	id := s.Identity()
	if id.Boots != 1 || len(id.Controllers) != 1 || id.Controllers[0] != (catalog.Member{Node: 1, Directory: catalog.ID{1}, Replica: 1, Generation: 1}) {
		t.Errorf("identity %+v", id)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	several := smallOptions()
	several.Peers = []peer.Address{{Node: 1, Addr: "127.0.0.1:1"}, {Node: 2, Addr: "127.0.0.1:2"}, {Node: 3, Addr: "127.0.0.1:3"}}
	if _, err := OpenSet(newMachine(t, dir), several); err == nil || !strings.Contains(err.Error(), "a cluster of its own") {
		t.Errorf("with peers: %v", err)
	}
	several.Peers = several.Peers[:2]
	if _, err := OpenSet(newMachine(t, t.TempDir()), several); err == nil || !strings.Contains(err.Error(), "1, 3, 5 or 7") {
		t.Errorf("two peers: %v", err)
	}
}
