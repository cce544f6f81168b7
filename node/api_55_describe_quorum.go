package node

import (
	"time"

	"millrace/net/wire"
)

// metadataTopic is the name by which Kafka's tools know the catalog's log.
const metadataTopic = "__cluster_metadata"

// describeQuorum tells how far the replicas of the catalog are (KIP-595), as if its log were Kafka's metadata topic. The
// catalog's leader knows; any broker asks it.
//
// Versions: 1 tells when replicas were heard of; 2 their directories, and where the controllers are.
func (b *Broker) describeQuorum(c *call, q *wire.DescribeQuorumRequest) wire.Message {
	a := wire.NewDescribeQuorumResponse()
	a.ErrorMessage = new(string)
	for i := range q.Topics {
		t := &q.Topics[i]
		topic := wire.DescribeQuorumResponseTopicData{TopicName: t.TopicName}
		for _, p := range t.Partitions {
			d := wire.DescribeQuorumResponsePartitionData{PartitionIndex: p.PartitionIndex, ErrorMessage: new(string)}
			if t.TopicName == metadataTopic && p.PartitionIndex == 0 {
				b.describeCatalog(c, a, &d)
			} else {
				d.ErrorCode, d.ErrorMessage = wire.ErrUnknownTopicOrPartition, text(notHosted)
			}
			topic.Partitions = append(topic.Partitions, d)
		}
		a.Topics = append(a.Topics, topic)
	}
	return a
}

// describeCatalog fills in the one partition that there is, and where its voters are. Kafka's ends are the offset after the
// last record.
func (b *Broker) describeCatalog(c *call, a *wire.DescribeQuorumResponse, d *wire.DescribeQuorumResponsePartitionData) {
	q, code := b.cluster.Quorum(c.now().Add(5 * time.Second))
	if code != wire.ErrNone {
		d.ErrorCode, d.LeaderId = wire.ErrNotLeaderOrFollower, -1
		d.ErrorMessage = text("The catalog has no leader at the moment.")
		return
	}
	d.LeaderId, d.LeaderEpoch, d.HighWatermark = q.Leader, int32(q.Term), int64(q.Commit)+1
	for _, v := range q.Voters {
		d.CurrentVoters = append(d.CurrentVoters, wire.DescribeQuorumResponseReplicaState{
			ReplicaId: v.Node, ReplicaDirectoryId: wire.UUID(v.Directory), LogEndOffset: int64(v.Match) + 1,
			LastFetchTimestamp: v.LastContact, LastCaughtUpTimestamp: v.LastCaughtUp,
		})
	}
	if len(a.Nodes) > 0 {
		return
	}
	if len(b.config.Peers) == 0 { // alone: nobody connects to its catalog
		a.Nodes = append(a.Nodes, wire.DescribeQuorumResponseNode{NodeId: b.config.NodeID})
	}
	for _, p := range b.config.Peers {
		name, port, err := splitAddress(p.Addr)
		if err != nil {
			continue
		}
		a.Nodes = append(a.Nodes, wire.DescribeQuorumResponseNode{NodeId: p.Node, Listeners: []wire.DescribeQuorumResponseListener{
			{Name: "CONTROLLER", Host: name, Port: uint16(port)},
		}})
	}
}
