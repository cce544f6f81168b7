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
// There is one file per API key, api_NN_name.go, named like the key's number, and one line per API in the table of
// routes. What is in the table is what ApiVersions advertises.
package node
