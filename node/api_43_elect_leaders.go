package node

import (
	"fmt"
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
)

// Kinds of elections.
const (
	preferredElection int8 = 0
	uncleanElection   int8 = 1
)

// Kafka's words.
const (
	electionNotNeeded    = "Leader election not needed for topic partition."
	preferredUnavailable = "The preferred leader was not available."
	noUncleanElection    = "No replica in sync is available, and this broker does not make one leader that may miss acknowledged records: bring the replicas back."
)

// electLeaders gives partitions to their preferred leaders, the first of their replicas (KIP-460). Partitions of one shard
// move together: to the node that all of them prefer.
//
// Versions: 1 knows unclean elections. A partition that has a leader needs none; one without gets none here, whatever its
// configuration says: ELIGIBLE_LEADERS_NOT_AVAILABLE.
func (b *Broker) electLeaders(c *call, q *wire.ElectLeadersRequest) wire.Message {
	e := electing{broker: b, image: c.newestCatalog(), kind: preferredElection, deadline: c.changeDeadline(q.TimeoutMs)}
	if c.Version >= 1 {
		e.kind = q.ElectionType
	}
	e.present = b.present(e.image)
	a := wire.NewElectLeadersResponse()
	if e.kind != preferredElection && e.kind != uncleanElection {
		a.ErrorCode = wire.ErrInvalidRequest
	}
	if q.TopicPartitions == nil {
		for _, t := range e.image.Topics.All {
			a.ReplicaElectionResults = append(a.ReplicaElectionResults, e.all(t))
		}
		return a
	}
	for i := range q.TopicPartitions {
		t := &q.TopicPartitions[i]
		r := wire.ElectLeadersResponseReplicaElectionResult{Topic: t.Topic}
		topic, ok := e.image.Topic(t.Topic)
		for _, index := range t.Partitions {
			code, why := wire.ErrNone, ""
			switch {
			case a.ErrorCode != wire.ErrNone:
				code, why = a.ErrorCode, fmt.Sprintf("Unknown election type %d", e.kind)
			case !ok:
				code, why = wire.ErrUnknownTopicOrPartition, "No such topic as "+t.Topic
			case index < 0 || int(index) >= len(topic.Partitions):
				code, why = wire.ErrUnknownTopicOrPartition, fmt.Sprintf("No such partition as %s-%d", t.Topic, index)
			default:
				code, why = e.elect(topic, int(index))
			}
			r.PartitionResult = append(r.PartitionResult, electionResult(index, code, why))
		}
		a.ReplicaElectionResults = append(a.ReplicaElectionResults, r)
	}
	return a
}

func electionResult(index int32, code wire.ErrorCode, why string) wire.ElectLeadersResponsePartitionResult {
	return wire.ElectLeadersResponsePartitionResult{PartitionId: index, ErrorCode: code, ErrorMessage: text(why)}
}

// electing is one request on its way.
type electing struct {
	broker   *Broker
	image    *catalog.Image
	present  []int32
	kind     int8
	deadline host.Instant
	// done are the shards that were asked to change their leader, with the outcome.
	done []electedShard
}

type electedShard struct {
	shard uint64
	code  wire.ErrorCode
	why   string
}

// all elects leaders for those partitions of a topic that need one.
func (e *electing) all(t *catalog.Topic) wire.ElectLeadersResponseReplicaElectionResult {
	r := wire.ElectLeadersResponseReplicaElectionResult{Topic: t.Name}
	for i := range t.Partitions {
		if code, why := e.elect(t, i); code != wire.ErrElectionNotNeeded {
			r.PartitionResult = append(r.PartitionResult, electionResult(int32(i), code, why))
		}
	}
	return r
}

func (e *electing) elect(t *catalog.Topic, index int) (wire.ErrorCode, string) {
	id := t.Partitions[index].Shard
	if i := slices.IndexFunc(e.done, func(d electedShard) bool { return d.shard == id }); i >= 0 {
		return e.done[i].code, e.done[i].why
	}
	l := e.broker.leadership(e.present, t, index)
	preferred := t.Partitions[index].Replicas[0]
	switch {
	case e.kind == uncleanElection && l.leader < 0:
		return wire.ErrEligibleLeadersNotAvailable, noUncleanElection
	case e.kind == uncleanElection || l.leader == preferred:
		return wire.ErrElectionNotNeeded, electionNotNeeded
	case !slices.Contains(e.present, preferred):
		return wire.ErrPreferredLeaderNotAvailable, preferredUnavailable
	}
	code, why := e.broker.cluster.ElectPreferred(t, index, e.deadline)
	switch code {
	case wire.ErrElectionNotNeeded: // it came to lead meanwhile
		code, why = wire.ErrNone, ""
	case wire.ErrPreferredLeaderNotAvailable:
		why = preferredUnavailable
	}
	e.done = append(e.done, electedShard{id, code, why})
	return code, why
}
