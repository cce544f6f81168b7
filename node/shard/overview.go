package shard

import (
	"millrace/net/peer"
	"millrace/node/catalog"
	"millrace/partition"
)

// Numbers are the node's, for its metrics.
func (s *Set) Numbers() *Numbers { return s.numbers }

// Links are the connections to the other nodes, for their numbers; nil in a cluster of one node.
func (s *Set) Links() *peer.Links { return s.links }

// Memory is what the partitions' machinery holds.
func (s *Set) Memory() partition.Memory { return s.partitions.Memory() }

// Overview is the state of all partitions and shards as this node sees them, for metrics and health.
type Overview struct {
	// Shards run here. Led are those that this node leads and serves, Leaderless those without a leader that can be heard,
	// Retired those whose replica here has lost its log, Behind those whose leader does not count this node as in sync.
	Shards, Led, Leaderless, Retired, Behind int
	// Topics and Partitions are those of the catalog; Offline are the partitions without a leader that can be heard.
	Topics, Partitions, Offline int
	// Held partitions have a replica here, of which Missing lack records. Of the partitions that are led from here
	// UnderReplicated have replicas that are not in sync, UnderMinInSync fewer in sync than min.insync.replicas asks for.
	Held, Missing, PartitionsLed, UnderReplicated, UnderMinInSync int
	// Bytes is the size of the segments of all partitions here, BytesLed of those led from here.
	Bytes, BytesLed int64
	// Lag is by how many entries each other node's log is behind, at most over the shards that are led from here; sorted by
	// node.
	Lag []Lag
	// Traffic is by topic, for those with any, in the order of the catalog.
	Traffic []TopicTraffic
}

// Lag is how far a node is behind as a follower.
type Lag struct {
	Node    int32
	Entries uint64
}

// TopicTraffic is the traffic of a topic's partitions here, together, and what they hold.
type TopicTraffic struct {
	Topic                                    *catalog.Topic
	BytesIn, RecordsIn, BytesOut, RecordsOut int64
	// Bytes is the size of the segments here.
	Bytes int64
}

// seen is what Overview knows of a shard.
type seen struct {
	shard                *Shard
	places               *directory
	here, serving, heard bool
	inSync, members      int
}

// Overview looks at everything. minInSync says what min.insync.replicas is for a topic; it is asked only when there are
// replicas that are not in sync. The work grows with the number of partitions: it is for scrapes, not for requests.
func (s *Set) Overview(minInSync func(*catalog.Topic) int) Overview {
	image := s.Catalog()
	out := Overview{Topics: image.Topics.Len()}
	shards := map[uint64]*seen{}
	for id, shard := range s.shards.Load().All {
		shards[uint64(id)] = s.addShard(&out, shard)
	}
	for _, t := range image.Topics.All {
		traffic := TopicTraffic{Topic: t}
		need := -1
		for i := range t.Partitions {
			at := shards[t.Partitions[i].Shard]
			if at == nil { // it does not run here
				leader, ok := s.Leader(t.Partitions[i].Shard)
				at = &seen{heard: ok && !leader.Offline}
				shards[t.Partitions[i].Shard] = at
			}
			out.Partitions++
			if !at.heard {
				out.Offline++
			}
			if !at.here {
				continue
			}
			place, ok := at.places.Get(key{Topic: t.ID, Index: int32(i)})
			if !ok {
				continue
			}
			out.addPartition(at, place, &traffic)
			if at.serving && at.inSync < at.members {
				if need < 0 {
					need = minInSync(t)
				}
				if at.inSync < min(need, at.members) {
					out.UnderMinInSync++
				}
			}
		}
		if traffic.BytesIn|traffic.BytesOut|traffic.RecordsIn|traffic.RecordsOut|traffic.Bytes != 0 {
			out.Traffic = append(out.Traffic, traffic)
		}
	}
	return out
}

// addShard looks at a shard that runs here.
func (s *Set) addShard(out *Overview, shard *Shard) *seen {
	status := shard.Status()
	leader, known := s.Leader(shard.id)
	at := &seen{
		shard: shard, places: shard.places.Load(), here: true, serving: status.Serving, heard: known && !leader.Offline,
		inSync: len(status.InSync), members: len(shard.members),
	}
	out.Shards++
	if status.Retired != "" {
		out.Retired++
	}
	if !at.heard {
		out.Leaderless++
	} else if !containsNode(leader.InSync, s.o.Node) {
		out.Behind++
	}
	if status.Serving {
		out.Led++
		for _, m := range status.Matches {
			if m.Node != s.o.Node {
				out.note(m.Node, status.Last-min(m.Match, status.Last))
			}
		}
	}
	return at
}

func containsNode(list []int32, node int32) bool {
	for _, n := range list {
		if n == node {
			return true
		}
	}
	return false
}

// note keeps the largest lag of a node.
func (v *Overview) note(node int32, entries uint64) {
	at := 0
	for at < len(v.Lag) && v.Lag[at].Node < node {
		at++
	}
	if at < len(v.Lag) && v.Lag[at].Node == node {
		v.Lag[at].Entries = max(v.Lag[at].Entries, entries)
		return
	}
	v.Lag = append(v.Lag, Lag{})
	copy(v.Lag[at+1:], v.Lag[at:])
	v.Lag[at] = Lag{node, entries}
}

func (v *Overview) addPartition(at *seen, p *place, t *TopicTraffic) {
	view := p.log.View()
	v.Held++
	v.Bytes += view.Bytes
	t.Bytes += view.Bytes
	if !view.Whole {
		v.Missing++
	}
	if at.serving {
		v.PartitionsLed++
		v.BytesLed += view.Bytes
		if at.inSync < at.members {
			v.UnderReplicated++
		}
	}
	t.BytesIn += p.traffic.BytesIn.Load()
	t.RecordsIn += p.traffic.RecordsIn.Load()
	t.BytesOut += p.traffic.BytesOut.Load()
	t.RecordsOut += p.traffic.RecordsOut.Load()
}

// Standing says whether this node can do its part now.
type Standing struct {
	// Controller is the node that leads the catalog, -1 when none can be heard.
	Controller int32
	// Fenced says that the catalog takes this node for dead.
	Fenced bool
	// Leaving says that the node has begun to stop.
	Leaving bool
	// Behind are the shards here in which this node is not in sync, or for which no leader is known; Retired those whose
	// log is lost here.
	Shards, Behind, Retired int
}

// Standing looks at the node's part in the cluster.
func (s *Set) Standing() Standing {
	out := Standing{Controller: s.Controller(), Leaving: s.leaving.Load() > 0 || s.stopped()}
	if r, ok := s.Catalog().Broker(s.o.Node); ok {
		out.Fenced = r.Fenced
	}
	for id, shard := range s.shards.Load().All {
		out.Shards++
		if shard.Status().Retired != "" {
			out.Retired++
			continue
		}
		if leader, ok := s.Leader(uint64(id)); !ok || leader.Offline || !containsNode(leader.InSync, s.o.Node) {
			out.Behind++
		}
	}
	return out
}
