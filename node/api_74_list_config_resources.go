package node

import (
	"slices"
	"strconv"

	"millrace/net/wire"
	"millrace/node/catalog"
)

// listConfigResources lists what has configs (KIP-1142).
//
// Versions: 0 lists client metrics only, of which there are none here; 1 lists the kinds that are asked for, all when
// none is.
func (b *Broker) listConfigResources(c *call, q *wire.ListConfigResourcesRequest) wire.Message {
	a := wire.NewListConfigResourcesResponse()
	if c.Version == 0 {
		return a
	}
	known := []int8{
		int8(catalog.ResourceTopic), int8(catalog.ResourceBroker), int8(catalog.ResourceBrokerLogger),
		int8(catalog.ResourceClientMetrics), int8(catalog.ResourceGroup),
	}
	for _, kind := range q.ResourceTypes {
		if !slices.Contains(known, kind) {
			a.ErrorCode = wire.ErrUnsupportedVersion
			return a
		}
	}
	image := c.newestCatalog()
	asked := func(kind catalog.ResourceType) bool {
		return len(q.ResourceTypes) == 0 || slices.Contains(q.ResourceTypes, int8(kind))
	}
	add := func(kind catalog.ResourceType, name string) {
		a.ConfigResources = append(a.ConfigResources, wire.ListConfigResourcesResponseConfigResource{
			ResourceType: int8(kind), ResourceName: name,
		})
	}
	if asked(catalog.ResourceBroker) {
		for _, broker := range image.Brokers.All {
			add(catalog.ResourceBroker, strconv.Itoa(int(broker.Node)))
		}
	}
	if asked(catalog.ResourceTopic) {
		for _, t := range image.Topics.All {
			add(catalog.ResourceTopic, t.Name)
		}
	}
	if asked(catalog.ResourceGroup) {
		for _, r := range image.Resources.All {
			if r.Type == catalog.ResourceGroup {
				add(catalog.ResourceGroup, r.Name)
			}
		}
	}
	return a
}
