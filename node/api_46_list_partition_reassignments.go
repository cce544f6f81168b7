package node

import "millrace/net/wire"

// listPartitionReassignments lists which partitions are on their way to other brokers: none, since partitions do not move
// yet. (AlterPartitionReassignments is not served.)
func (b *Broker) listPartitionReassignments(*call, *wire.ListPartitionReassignmentsRequest) wire.Message {
	return wire.NewListPartitionReassignmentsResponse()
}
