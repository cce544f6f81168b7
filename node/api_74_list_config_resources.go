package node

import (
	"slices"
	"strconv"

	"millrace/net/wire"
	"millrace/node/catalog"
)

// listConfigResources lists what has configs (KIP-1142).
//
// Versions: 0 lists client metrics only; 1 lists the kinds that are asked for, all when none is. There are no loggers.
func (b *Broker) listConfigResources(c *call, q *wire.ListConfigResourcesRequest) wire.Message {
	a := wire.NewListConfigResourcesResponse()
	kinds := q.ResourceTypes
	if c.Version == 0 {
		kinds = []int8{int8(catalog.ResourceClientMetrics)}
	}
	known := []int8{
		int8(catalog.ResourceTopic), int8(catalog.ResourceBroker), int8(catalog.ResourceBrokerLogger),
		int8(catalog.ResourceClientMetrics), int8(catalog.ResourceGroup),
	}
	for _, kind := range kinds {
		if !slices.Contains(known, kind) {
			a.ErrorCode = wire.ErrUnsupportedVersion
			return a
		}
	}
	image := c.newestCatalog()
	asked := func(kind catalog.ResourceType) bool { return len(kinds) == 0 || slices.Contains(kinds, int8(kind)) }
	add := func(kind catalog.ResourceType, name string) {
		a.ConfigResources = append(a.ConfigResources, wire.ListConfigResourcesResponseConfigResource{
			ResourceType: int8(kind), ResourceName: name,
		})
	}
	for _, kind := range []catalog.ResourceType{catalog.ResourceGroup, catalog.ResourceClientMetrics} {
		for _, r := range image.Resources.All {
			if r.Type == kind && asked(kind) {
				add(kind, r.Name)
			}
		}
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
	return a
}
