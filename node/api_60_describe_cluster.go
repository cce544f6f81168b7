package node

import (
	"fmt"

	"millrace/net/wire"
)

// describeCluster lists the brokers (KIP-700).
//
// Versions: 1 asks for brokers or controllers; this listener is the brokers'. 2 can list fenced brokers too.
func (b *Broker) describeCluster(c *call, q *wire.DescribeClusterRequest) wire.Message {
	a := wire.NewDescribeClusterResponse()
	const brokers, controllers = 1, 2
	a.EndpointType = brokers
	switch {
	case c.Version >= 1 && q.EndpointType == controllers:
		a.ErrorCode = wire.ErrMismatchedEndpointType
		a.ErrorMessage = text("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
		return a
	case c.Version >= 1 && q.EndpointType != brokers:
		a.ErrorCode = wire.ErrUnsupportedEndpointType
		a.ErrorMessage = text(fmt.Sprintf("Unsupported endpoint type %d", q.EndpointType))
		return a
	}
	image := c.newestCatalog()
	a.ClusterId, a.ControllerId = image.ClusterID, b.controller()
	for _, e := range c.endpoints(image) {
		if e.fenced && !q.IncludeFencedBrokers {
			continue
		}
		a.Brokers = append(a.Brokers, wire.DescribeClusterResponseBroker{
			BrokerId: e.node, Host: e.host, Port: e.port, Rack: text(e.rack), IsFenced: e.fenced,
		})
	}
	if q.IncludeClusterAuthorizedOperations {
		a.ClusterAuthorizedOperations = clusterOperations
	}
	return a
}
