// Package node is the broker: it wires the rooms together and answers Kafka's requests.
//
// # The way of a request
//
// net/server reads a frame and calls [Broker.handle] in the connection's read task. That looks the API up in the table
// of routes (routes.go), decodes the body, and makes a call. A handler is
//
//	func (b *Broker) heartbeat(c *call, q *wire.HeartbeatRequest) wire.Message
//
// It runs in the connection's write task, after the requests before it were answered, one at a time per connection as
// in Kafka, so it may wait, and what it reads is at least as new as every answer that the client has seen. A handler
// that waits for more than a bounded moment waits on c.waiter and looks at c.ending() whenever it is woken: the client
// has gone, or the node is stopping. A handler returns nil when nothing is to be answered.
//
// Produce alone has two stages: its begin runs in the read task and puts the batches in line in their shards, so that
// pipelined produces overlap; its finish waits for their fate in the write task.
//
// # Several nodes
//
// Any broker answers any request. What clients are told about leaders, replicas and brokers comes from what this node has
// heard (the interface cluster, which shard.Set implements): it is never waited for, may be a moment old, and carries leader
// epochs by which clients tell old from new. What changes the catalog goes to its leader and is answered when it is applied
// here; it is decided on the newest image (decidingCatalog), and so are the answers of administrative reads (newestCatalog).
//
//	Produce             only where the partition is led; elsewhere NOT_LEADER_OR_FOLLOWER with the leader, for which the
//	                    answer waits half a second if there is none. What follows a refused batch is refused, too
//	                    (produce_order.go)
//	Fetch               from any replica, below its applied end (fetch_replicas.go). Above it the fetch waits; that an
//	                    offset does not exist is only said after the replica has confirmed that it is up to date
//	ListOffsets, OffsetForLeaderEpoch, committed offsets, lists and descriptions of groups
//	                    only where the partition is led, after a ReadIndex of its shard: a leader that was deposed and does
//	                    not know it says nothing
//	coordinators        every node has a task for each partition of __consumer_offsets; it answers where the partition is
//	                    led and says NOT_COORDINATOR elsewhere. A new leader reads the partition from its own log before it
//	                    answers; a commit is answered when it is applied
//
// What groups have not read yet is measured by a task of each node for the groups that it coordinates (groups_lag.go); with
// why they rebalance it is told in a tagged field of DescribeGroups (groups_told.go), and in the metrics.
//
// A node that stops in order moves its leadership away first, tells who still comes where to go, and then closes.
//
// There is one file per API key, api_NN_name.go, named like the key's number, and one line per API in the table of
// routes. What is in the table is what ApiVersions advertises.
package node
