package shard

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/net/peer"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/mutant"
)

const (
	// askEvery is how often a node that belongs to no cluster yet asks the others.
	askEvery = 100 * time.Millisecond
	// askTimeout is how long one answer may take.
	askTimeout = time.Second
	// remindEvery is how often the log says what a start waits for.
	remindEvery = 10 * time.Second
	// mostControllers bounds the replicas of the catalog.
	mostControllers = 7
)

// alone says that the cluster has one node.
func (o *SetOptions) alone() bool { return len(o.Peers) <= 1 }

// peerNodes are the nodes that the peers name, in order.
func (o *SetOptions) peerNodes() []int32 {
	if o.alone() {
		return []int32{o.Node}
	}
	var nodes []int32
	for _, p := range o.Peers {
		nodes = append(nodes, p.Node)
	}
	slices.Sort(nodes)
	return nodes
}

// checkPeers says whether the peers can be those of this data directory.
func checkPeers(identity *Identity, o SetOptions) error {
	nodes := o.peerNodes()
	switch n := len(nodes); {
	case len(o.Peers) > 0 && !slices.ContainsFunc(o.Peers, func(p peer.Address) bool { return p.Node == o.Node }):
		return fmt.Errorf("the peers %s do not name this node, %d: list all nodes of the cluster, this one too", listNodes(nodes), o.Node)
	case len(slices.Compact(slices.Clone(nodes))) != n:
		return fmt.Errorf("the peers %s name a node twice: every node needs an id of its own", listNodes(nodes))
	case n%2 == 0 || n > mostControllers:
		return fmt.Errorf("%d peers: a cluster is made of 1, 3, 5 or 7 nodes", n)
	case !identity.formed() || slices.Equal(nodes, identity.nodes()):
		return nil
	case len(identity.Controllers) == 1:
		return fmt.Errorf("the data directory is a cluster of its own, of node %d alone, and cannot become part of one of the nodes %s: start it without peers, or choose an empty directory",
			identity.Node, listNodes(nodes))
	}
	return fmt.Errorf("the cluster was formed of the nodes %s, but the peers are %s: name the same nodes; their addresses may change, but nodes cannot be added or replaced this way",
		listNodes(identity.nodes()), listNodes(nodes))
}

// listNodes writes node ids for a sentence.
func listNodes(nodes []int32) string {
	var words []string
	for _, n := range nodes {
		words = append(words, strconv.Itoa(int(n)))
	}
	return strings.Join(words, ", ")
}

// introduction is what a node says of itself while clusters are formed: question and answer of a call. As JSON.
type introduction struct {
	Version   int    `json:"version"`
	Node      int32  `json:"node"`
	Directory string `json:"directory"`
	// Peers are the nodes that it was started with.
	Peers []int32 `json:"peers"`
	// Cluster and Controllers are of the cluster that it belongs to; empty when it belongs to none.
	Cluster     string           `json:"cluster,omitempty"`
	Controllers []metaController `json:"controllers,omitempty"`
}

const introductionVersion = 1

func introduce(identity *Identity, o *SetOptions) []byte {
	b, err := json.Marshal(introduction{
		Version: introductionVersion, Node: identity.Node, Directory: identity.Directory.String(), Peers: o.peerNodes(),
		Cluster: identity.ClusterID, Controllers: controllersToMeta(identity.Controllers),
	})
	if err != nil {
		panic(fmt.Sprintf("shard: introduction: %v", err))
	}
	return b
}

// introduced is a decoded introduction.
type introduced struct {
	node        int32
	directory   catalog.ID
	peers       []int32
	cluster     string
	controllers []catalog.Member
}

func decodeIntroduction(b []byte) (introduced, error) {
	var i introduction
	if err := json.Unmarshal(b, &i); err != nil {
		return introduced{}, fmt.Errorf("read an introduction: %w", err)
	}
	if i.Version != introductionVersion {
		return introduced{}, fmt.Errorf("an introduction of version %d: this release knows %d only", i.Version, introductionVersion)
	}
	out := introduced{node: i.Node, peers: i.Peers, cluster: i.Cluster}
	var err error
	if out.directory, err = catalog.ParseID(i.Directory); err != nil {
		return introduced{}, fmt.Errorf("read an introduction: %w", err)
	}
	out.controllers, err = controllersFromMeta(i.Controllers)
	return out, err
}

// founding is what an empty node knows about the others. The decision is pure; the flow is form.
type founding struct {
	self    Identity
	peers   []int32
	answers map[int32]introduced
}

// decide says what follows from the answers so far: the node joins the cluster that it is a member of, or founds one, or
// neither yet. A cluster is founded by the lowest node, when all nodes have said that they are empty: as long as one is
// silent it may belong to a cluster, in which this node has been before its disk was wiped.
func (f *founding) decide() (join *introduced, found []catalog.Member, err error) {
	members := []catalog.Member{{Node: f.self.Node, Directory: f.self.Directory}}
	for _, node := range f.peers {
		a, ok := f.answers[node]
		switch {
		case !ok:
			continue
		case a.node != node:
			return nil, nil, fmt.Errorf("the address of node %d in the list of peers is that of node %d: correct the list", node, a.node)
		case !slices.Equal(a.peers, f.peers):
			return nil, nil, fmt.Errorf("node %d was started with the peers %s, this one with %s: start all with the same nodes",
				node, listNodes(a.peers), listNodes(f.peers))
		case len(a.controllers) > 0:
			if err := f.joins(a); err != nil {
				return nil, nil, err
			}
			join = &a
		default:
			members = append(members, catalog.Member{Node: node, Directory: a.directory})
		}
	}
	if join != nil {
		return join, nil, nil
	}
	if len(members) == len(f.peers) && f.self.Node == f.peers[0] {
		return nil, members, nil
	}
	if mutant.On("formation-without-all") && len(members) > len(f.peers)/2 && f.self.Node == f.peers[0] {
		return nil, members, nil
	}
	return nil, nil, nil
}

// joins says whether this node is a member of the cluster that a formed node tells of.
func (f *founding) joins(a introduced) error {
	i := slices.IndexFunc(a.controllers, func(m catalog.Member) bool { return m.Node == f.self.Node })
	switch {
	case i < 0:
		return fmt.Errorf("node %d is not a member of cluster %s, which was formed of the nodes %s: nodes cannot be added yet",
			f.self.Node, a.cluster, listNodes(f.peers))
	case a.controllers[i].Directory != f.self.Directory && !mutant.On("wiped-node-votes"):
		return errors.New(wiped(f.self.Node, a.cluster, a.controllers[i].Directory))
	}
	return nil
}

// wiped is the sentence for a node that comes with another data directory than the cluster knows.
func wiped(node int32, cluster string, known catalog.ID) string {
	return fmt.Sprintf("node %d is a member of cluster %s with the data directory %s, and this one is another: "+
		"start it with the directory that it had, or restore that; if the disk is lost, this replica is retired, since it may have acknowledged "+
		"what it no longer has, and the cluster goes on with the other nodes", node, cluster, known)
}

// form waits until the node belongs to a cluster, and makes that durable.
func (s *Set) form() error {
	f := founding{self: s.identity, peers: s.o.peerNodes(), answers: map[int32]introduced{}}
	w := s.host.Tasks.NewWaiter()
	if s.o.Cancel != nil {
		s.o.Cancel.Watch(w)
		defer s.o.Cancel.Unwatch(w)
	}
	s.cluster.refused.Watch(w)
	s.host.Log.Info("this node belongs to no cluster yet, and waits for all of its peers", "peers", listNodes(f.peers))
	remind := s.host.Clock.Now().Add(remindEvery)
	for {
		s.askPeers(&f)
		join, members, err := f.decide()
		if err != nil {
			return err
		}
		identity := s.identity
		switch {
		case join != nil && s.o.ClusterID != "" && s.o.ClusterID != join.cluster:
			return fmt.Errorf("the other nodes belong to cluster %s, not to %s: start all with the same cluster id", join.cluster, s.o.ClusterID)
		case join != nil:
			identity.ClusterID, identity.Controllers = join.cluster, join.controllers
		case members != nil:
			if err := identity.found(s.host, s.o.ClusterID, members); err != nil {
				return err
			}
		}
		if identity.formed() {
			identity.Used = true // the write-ahead log is there, and from now on this replica votes
			if err := writeMeta(s.host.Disk, identity); err != nil {
				return err
			}
			s.identity = identity
			s.cluster.formed(identity)
			s.host.Log.Info("this node belongs to a cluster", "cluster", identity.ClusterID, "nodes", listNodes(identity.nodes()), "founder", members != nil)
			return nil
		}
		if now := s.host.Clock.Now(); now >= remind {
			remind = now.Add(remindEvery)
			s.host.Log.Warn("still waiting for peers to form the cluster: all of them must be running", "silent", listNodes(f.silent()))
		}
		if err := s.pause(w, askEvery); err != nil {
			return err
		}
	}
}

// silent are the peers without an answer.
func (f *founding) silent() []int32 {
	return slices.DeleteFunc(slices.Clone(f.peers), func(n int32) bool {
		_, ok := f.answers[n]
		return ok || n == f.self.Node
	})
}

// askPeers asks every peer once. What one has said before does not count any more.
func (s *Set) askPeers(f *founding) {
	question := introduce(&s.identity, &s.o)
	clear(f.answers)
	for _, node := range f.peers {
		if node == s.o.Node {
			continue
		}
		answer, err := s.links.Call(node, callIntroduce, question, s.host.Clock.Now().Add(askTimeout))
		if err != nil {
			continue
		}
		i, err := decodeIntroduction(answer.Bytes())
		answer.Release()
		if err != nil {
			s.host.Log.Warn("a peer could not be understood", "peer", node, "error", err)
			continue
		}
		f.answers[node] = i
	}
}

// pause waits for a while. It returns why there is no sense in waiting: the node was told to stop, or is refused.
func (s *Set) pause(w host.Waiter, d time.Duration) error {
	w.WaitUntil(s.host.Clock.Now().Add(d))
	if s.cancelled() {
		return errStopped
	}
	if reason, ok := s.cluster.refused.Try(); ok {
		return errors.New(reason)
	}
	return nil
}

// cancelled says that who opened the set no longer wants it.
func (s *Set) cancelled() bool {
	if s.o.Cancel == nil {
		return false
	}
	_, ok := s.o.Cancel.Try()
	return ok
}
