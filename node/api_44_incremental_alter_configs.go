package node

import (
	"millrace/net/wire"
	"millrace/node/config"
)

// incrementalAlterConfigs sets, removes, appends to and subtracts from single configs of topics and brokers (KIP-339).
func (b *Broker) incrementalAlterConfigs(c *call, q *wire.IncrementalAlterConfigsRequest) wire.Message {
	a := wire.NewIncrementalAlterConfigsResponse()
	mentions := make(map[resourceKey]int)
	for i := range q.Resources {
		mentions[resourceKey{q.Resources[i].ResourceType, q.Resources[i].ResourceName}]++
	}
	for i := range q.Resources {
		r := &q.Resources[i]
		answer := wire.IncrementalAlterConfigsResponseAlterConfigsResourceResponse{ResourceType: r.ResourceType, ResourceName: r.ResourceName}
		if mentions[resourceKey{r.ResourceType, r.ResourceName}] > 1 {
			answer.ErrorCode, answer.ErrorMessage = wire.ErrInvalidRequest, text(sameTwice)
		} else {
			changes := make([]alteration, len(r.Configs))
			for j := range r.Configs {
				changes[j] = alteration{r.Configs[j].Name, config.Op(r.Configs[j].ConfigOperation), r.Configs[j].Value}
			}
			code, why := b.alter(c, r.ResourceType, r.ResourceName, false, changes, q.ValidateOnly)
			answer.ErrorCode, answer.ErrorMessage = code, text(why)
		}
		a.Responses = append(a.Responses, answer)
	}
	return a
}
