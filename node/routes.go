package node

import (
	"slices"

	"millrace/net/wire"
)

// route says how the requests of one API key are answered.
type route struct {
	api    wire.API
	decode func() wire.Message
	// begin is set for staged routes: it runs in the read task, in the order of arrival, and returns the second stage.
	begin func(b *Broker, c *call, q wire.Message) func() wire.Message
	// handle does all the work in the write task.
	handle func(b *Broker, c *call, q wire.Message) wire.Message
	// numbers are counted for the metrics; set by the broker.
	numbers *apiNumbers
}

// pointer is a request type's pointer, which is the message.
type pointer[T any] interface {
	*T
	wire.Message
}

func apiOf[Q any, P pointer[Q]]() wire.API {
	api, _ := wire.Lookup(P(new(Q)).APIKey())
	return api
}

// on makes the route of an ordinary API.
func on[Q any, P pointer[Q]](f func(*Broker, *call, P) wire.Message) route {
	return route{
		api:    apiOf[Q, P](),
		decode: func() wire.Message { return P(new(Q)) },
		handle: func(b *Broker, c *call, q wire.Message) wire.Message { return f(b, c, q.(P)) },
	}
}

// staged makes the route of an API whose order is fixed in the read task.
func staged[Q any, P pointer[Q]](f func(*Broker, *call, P) func() wire.Message) route {
	return route{
		api:    apiOf[Q, P](),
		decode: func() wire.Message { return P(new(Q)) },
		begin:  func(b *Broker, c *call, q wire.Message) func() wire.Message { return f(b, c, q.(P)) },
	}
}

// routes lists what this broker serves, by key.
func routes() []route {
	return slices.Concat([]route{
		staged((*Broker).produce),
		on((*Broker).fetch),
		on((*Broker).listOffsets),
		on((*Broker).metadata),
		on((*Broker).findCoordinator),
		on((*Broker).apiVersions),
		on((*Broker).createTopics),
		on((*Broker).deleteTopics),
		on((*Broker).deleteRecords),
		on((*Broker).initProducerID),
		on((*Broker).offsetForLeaderEpoch),
		on((*Broker).describeConfigs),
		on((*Broker).alterConfigs),
		on((*Broker).describeLogDirs),
		on((*Broker).createPartitions),
		on((*Broker).electLeaders),
		on((*Broker).incrementalAlterConfigs),
		on((*Broker).describeQuorum),
		on((*Broker).updateFeatures),
		on((*Broker).describeCluster),
		on((*Broker).describeProducers),
		on((*Broker).unregisterBroker),
		on((*Broker).listConfigResources),
		on((*Broker).describeTopicPartitions),
		on((*Broker).listPartitionReassignments),
	}, groupRoutes(), securityRoutes())
}
