package node

import (
	"millrace/net/wire"
	"millrace/node/config"
)

// alterConfigs replaces all configs of resources: what the request does not name is no longer set. Kafka has deprecated
// it for incrementalAlterConfigs, and older clients still send it.
func (b *Broker) alterConfigs(c *call, q *wire.AlterConfigsRequest) wire.Message {
	a := wire.NewAlterConfigsResponse()
	mentions := make(map[resourceKey]int)
	for i := range q.Resources {
		mentions[resourceKey{q.Resources[i].ResourceType, q.Resources[i].ResourceName}]++
	}
	for i := range q.Resources {
		r := &q.Resources[i]
		answer := wire.AlterConfigsResponseResourceResponse{ResourceType: r.ResourceType, ResourceName: r.ResourceName}
		if mentions[resourceKey{r.ResourceType, r.ResourceName}] > 1 {
			answer.ErrorCode, answer.ErrorMessage = wire.ErrInvalidRequest, text(sameTwice)
		} else {
			changes := make([]alteration, len(r.Configs))
			for j := range r.Configs {
				changes[j] = alteration{r.Configs[j].Name, config.Set, r.Configs[j].Value}
			}
			code, why := b.alter(c, r.ResourceType, r.ResourceName, true, changes, q.ValidateOnly)
			answer.ErrorCode, answer.ErrorMessage = code, text(why)
		}
		a.Responses = append(a.Responses, answer)
	}
	return a
}
