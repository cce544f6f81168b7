package shard

import (
	"slices"
	"time"

	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
)

// awaitTimeout bounds how long another node waits for the partitions that it leads, before it is asked again.
const awaitTimeout = time.Second

// AwaitTopic waits until every partition of the topic is there and has a leader, as far as this node has heard, which
// takes a question to the leaders of partitions without a replica here; or until the deadline, then it returns false.
//
// A client that sends several batches at once must not find a partition missing at first and there in the middle of them:
// what follows a batch that was refused would be taken for the beginning.
func (s *Set) AwaitTopic(topic *catalog.Topic, deadline host.Instant) bool {
	w := s.host.Tasks.NewWaiter()
	s.changes.Add(w)
	defer s.changes.Remove(w)
	next := 0 // partitions before it were seen
	var asked map[int32]bool
	for {
		if _, ok := s.Catalog().TopicByID(topic.ID); !ok { // deleted again
			return false
		}
		ask := int32(-1)
		for ; next < len(topic.Partitions); next++ {
			there, leader := s.adopted(topic, next)
			if there || asked[leader] {
				continue
			}
			ask = leader
			break
		}
		switch {
		case next == len(topic.Partitions):
			return true
		case ask >= 0 && s.askAdopted(ask, topic.ID, deadline):
			if asked == nil {
				asked = map[int32]bool{}
			}
			asked[ask] = true
		case !w.WaitUntil(min(deadline, s.host.Clock.Now().Add(retryAfter))) && s.host.Clock.Now() >= deadline || s.over():
			return false
		}
	}
}

// adopted says whether a partition has a leader, and is there if there is a replica of it here. Otherwise leader is the
// node that can tell, -1 when none can now.
func (s *Set) adopted(topic *catalog.Topic, index int) (there bool, leader int32) {
	id := topic.Partitions[index].Shard
	led, ok := s.Leader(id)
	ok = ok && !led.Offline
	shard, here := s.shards.Load().Get(ordered.Int(id))
	if here {
		_, _, held := shard.Held(partition.ID{Topic: topic.ID, Index: int32(index)})
		if held || !ok || slices.Contains(led.InSync, s.o.Node) {
			return ok && held, -1
		}
		return false, led.Node // this replica is behind
	}
	made, known := s.Catalog().Shard(id)
	if !ok || !known {
		return false, -1
	}
	if _, member := made.Member(s.o.Node, s.identity.Directory); member {
		return false, -1 // it is just being started
	}
	return false, led.Node
}

// askAdopted asks a node whether the partitions of a topic that it leads are there.
func (s *Set) askAdopted(node int32, topic catalog.ID, deadline host.Instant) bool {
	if s.links == nil {
		return false
	}
	question := append([]byte{noteVersion}, topic[:]...)
	answer, err := s.links.Call(node, callAdopted, question, min(deadline, s.host.Clock.Now().Add(awaitTimeout)))
	if err != nil {
		return false
	}
	defer answer.Release()
	return len(answer.Bytes()) == 1 && answer.Bytes()[0] == 1
}

// serveAdopted waits until the partitions of a topic that are led from here are there, and answers 1, or 0 when it takes
// too long.
func (s *Set) serveAdopted(question []byte) ([]byte, error) {
	f := fields{b: question}
	if f.byte() != noteVersion {
		return nil, errNote
	}
	id := f.id()
	if err := f.done(); err != nil {
		return nil, err
	}
	w := s.host.Tasks.NewWaiter()
	s.changes.Add(w)
	defer s.changes.Remove(w)
	deadline := s.host.Clock.Now().Add(awaitTimeout)
	for {
		if topic, ok := s.Catalog().TopicByID(id); ok && s.holdsLed(topic) {
			return []byte{1}, nil
		}
		if s.over() || !w.WaitUntil(deadline) {
			return []byte{0}, nil
		}
	}
}

// holdsLed says whether every partition of a topic whose shard is led from here can be looked up.
func (s *Set) holdsLed(topic *catalog.Topic) bool {
	shards := s.shards.Load()
	for i, p := range topic.Partitions {
		if shard, here := shards.Get(ordered.Int(p.Shard)); here && shard.Status().Serving {
			if _, _, held := shard.Held(partition.ID{Topic: topic.ID, Index: int32(i)}); !held {
				return false
			}
		}
	}
	return true
}
