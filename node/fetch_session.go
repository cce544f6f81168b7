package node

import (
	"math"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

// fetchPartition is what a client wants of one partition, and what it was last told.
type fetchPartition struct {
	topic       string    // versions below 13
	id          wire.UUID // versions 13 and above
	index       int32
	offset      int64
	maxBytes    int32
	leaderEpoch int32 // what the client knows; -1 for none
	lastEpoch   int32 // of the record before offset; -1 for none

	// What the client was last told; -1 before the first answer and after an error.
	highWatermark, logStart int64
}

// fetchKey finds a partition of a session; one of topic and id is empty.
type fetchKey struct {
	topic string
	id    wire.UUID
	index int32
}

func (p *fetchPartition) key() fetchKey { return fetchKey{p.topic, p.id, p.index} }

// fetchSession is an incremental fetch session (KIP-227). It belongs to the write task of one connection.
type fetchSession struct {
	slot *sessionSlot
	// epoch is that of the next request.
	epoch int32
	// byID says that topics are named by id, so by versions 13 and above.
	byID bool
	// partitions are in the order in which they are served; byKey finds them.
	partitions []*fetchPartition
	byKey      map[fetchKey]*fetchPartition
}

// The epochs of requests that continue no session.
const (
	finalEpoch   int32 = -1 // no session is wanted, an old one is closed
	initialEpoch int32 = 0  // a new session is wanted, an old one is closed
)

func nextEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}

// requested lists the partitions of a request in order; of one that is named twice the last mention counts.
func requested(q *wire.FetchRequest) []*fetchPartition {
	n := 0
	for i := range q.Topics {
		n += len(q.Topics[i].Partitions)
	}
	list := make([]*fetchPartition, 0, n)
	memory := make([]fetchPartition, n) // one allocation for all
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			f := &t.Partitions[j]
			p := &memory[len(list)]
			*p = fetchPartition{topic: t.Topic, id: t.TopicId, index: f.Partition, highWatermark: -1, logStart: -1}
			p.want(f)
			list = append(list, p)
		}
	}
	return list
}

// want takes over what the client asks for now.
func (p *fetchPartition) want(f *wire.FetchRequestPartition) {
	p.offset, p.maxBytes, p.leaderEpoch, p.lastEpoch = f.FetchOffset, f.PartitionMaxBytes, f.CurrentLeaderEpoch, f.LastFetchedEpoch
}

// newFetchSession returns a session of those partitions.
func newFetchSession(slot *sessionSlot, byID bool, partitions []*fetchPartition) *fetchSession {
	s := &fetchSession{slot: slot, epoch: nextEpoch(initialEpoch), byID: byID, byKey: make(map[fetchKey]*fetchPartition, len(partitions))}
	for _, p := range partitions {
		if s.byKey[p.key()] == nil {
			s.partitions = append(s.partitions, p)
		} else {
			*s.byKey[p.key()] = *p
			continue
		}
		s.byKey[p.key()] = p
	}
	return s
}

// update takes over what an incremental request adds, changes and forgets.
func (s *fetchSession) update(q *wire.FetchRequest) {
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			f := &t.Partitions[j]
			key := fetchKey{t.Topic, t.TopicId, f.Partition}
			p := s.byKey[key]
			if p == nil {
				p = &fetchPartition{topic: t.Topic, id: t.TopicId, index: f.Partition, highWatermark: -1, logStart: -1}
				s.byKey[key] = p
				s.partitions = append(s.partitions, p)
			} else if mutant.On("fetch-session-keeps-offset") {
				continue
			}
			p.want(f)
		}
	}
	forgotten := make(map[*fetchPartition]bool)
	for i := range q.ForgottenTopicsData {
		t := &q.ForgottenTopicsData[i]
		for _, index := range t.Partitions {
			key := fetchKey{t.Topic, t.TopicId, index}
			if p := s.byKey[key]; p != nil {
				forgotten[p] = true
				delete(s.byKey, key)
			}
		}
	}
	if len(forgotten) == 0 {
		return
	}
	kept := s.partitions[:0]
	for _, p := range s.partitions {
		if !forgotten[p] {
			kept = append(kept, p)
		}
	}
	clear(s.partitions[len(kept):])
	s.partitions = kept
}

// rotate puts the partitions that gave records behind the others, so that each gets its turn when an answer is full.
func (s *fetchSession) rotate(gave func(i int) bool) {
	var last []*fetchPartition
	kept := s.partitions[:0]
	for i, p := range s.partitions {
		if gave(i) {
			last = append(last, p)
		} else {
			kept = append(kept, p)
		}
	}
	s.partitions = append(kept, last...)
}

// news notes what an answer says of the partition and tells whether an incremental answer must name it: it has records,
// an error or something else to say, or its high watermark or log start has moved.
func (p *fetchPartition) news(a *wire.FetchResponsePartitionData) bool {
	must := len(a.Records.Parts) > 0 || a.PreferredReadReplica >= 0 || a.DivergingEpoch.EndOffset >= 0
	if a.HighWatermark != p.highWatermark || a.LogStartOffset != p.logStart {
		must = true
	}
	p.highWatermark, p.logStart = a.HighWatermark, a.LogStartOffset
	if a.ErrorCode != wire.ErrNone {
		p.highWatermark, must = -1, true
	}
	return must
}
