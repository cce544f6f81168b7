package node

import (
	"fmt"
	"strconv"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/config"
)

// describeConfigs tells what is in force for topics and for this broker, and why.
//
// Versions: 1 tells sources and synonyms, 3 types and documentation. A broker named "" stands for what was set for all
// brokers. Configs that mean nothing here are not listed, though Kafka has them.
func (b *Broker) describeConfigs(c *call, q *wire.DescribeConfigsRequest) wire.Message {
	a := wire.NewDescribeConfigsResponse()
	image := c.newestCatalog()
	seen := make(map[resourceKey]bool)
	for i := range q.Resources {
		r := &q.Resources[i]
		answer := wire.NewDescribeConfigsResponseResult()
		answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
		key := resourceKey{r.ResourceType, r.ResourceName}
		if seen[key] && len(q.Resources) > mostDoubleResources {
			continue
		}
		seen[key] = true
		entries, code, why := b.describeResource(image, r)
		answer.ErrorCode, answer.ErrorMessage = code, &why
		for j := range entries {
			answer.Configs = append(answer.Configs, describeEntry(&entries[j], q))
		}
		a.Results = append(a.Results, answer)
	}
	return a
}

// mostDoubleResources is in how large a request a resource is answered each time that it is named: a small request must
// not earn a large answer.
const mostDoubleResources = 1000

func (b *Broker) describeResource(image *catalog.Image, r *wire.DescribeConfigsRequestResource) ([]config.Entry, wire.ErrorCode, string) {
	layers := b.layers(image)
	names := r.ConfigurationKeys
	if len(names) == 0 {
		names = nil
	}
	switch kind := catalog.ResourceType(r.ResourceType); kind {
	case catalog.ResourceTopic:
		if why := topicNameFault(r.ResourceName); why != "" {
			return nil, wire.ErrInvalidTopicException, why
		}
		t, ok := image.Topic(r.ResourceName)
		if !ok {
			return nil, wire.ErrUnknownTopicOrPartition, ""
		}
		return layers.DescribeTopic(t.Configs, names), wire.ErrNone, ""
	case catalog.ResourceBroker:
		if r.ResourceName == "" {
			return layers.DescribeBroker(names, true), wire.ErrNone, ""
		}
		id, err := strconv.Atoi(r.ResourceName)
		if err != nil {
			return nil, wire.ErrInvalidRequest, "Broker id must be an integer, but it is: " + r.ResourceName
		}
		if id != int(b.config.NodeID) {
			return nil, wire.ErrInvalidRequest,
				fmt.Sprintf("Unexpected broker id, expected %d or empty string, but received %d", b.config.NodeID, id)
		}
		return layers.DescribeBroker(names, false), wire.ErrNone, ""
	case catalog.ResourceGroup:
		if r.ResourceName == "" {
			return nil, wire.ErrInvalidRequest, "Group name must not be empty"
		}
		return layers.DescribeGroup(image.Configs(kind, r.ResourceName), names), wire.ErrNone, ""
	case catalog.ResourceClientMetrics:
		if r.ResourceName == "" {
			return nil, wire.ErrInvalidRequest, "Client metrics subscription name must not be empty"
		}
		return config.DescribeMetrics(image.Configs(kind, r.ResourceName), names), wire.ErrNone, ""
	case catalog.ResourceBrokerLogger:
		if r.ResourceName == "" {
			return nil, wire.ErrInvalidRequest, "Broker id must not be empty"
		}
		if id, err := strconv.Atoi(r.ResourceName); err != nil || id != int(b.config.NodeID) {
			return nil, wire.ErrInvalidRequest, fmt.Sprintf("Unexpected broker id, expected %d but received %s", b.config.NodeID, r.ResourceName)
		}
		return nil, wire.ErrInvalidRequest, noLoggers
	default:
		return nil, wire.ErrInvalidRequest, malformedRequest
	}
}

func describeEntry(e *config.Entry, q *wire.DescribeConfigsRequest) wire.DescribeConfigsResponseResourceResult {
	a := wire.NewDescribeConfigsResponseResourceResult()
	a.Name, a.Value, a.ReadOnly = e.Key.Name, e.Value, e.Key.Fixed
	a.ConfigSource, a.ConfigType, a.IsSensitive = int8(e.Source), int8(e.Key.Kind), e.Key.Sensitive()
	if a.IsSensitive {
		a.Value = nil
	}
	if q.IncludeDocumentation {
		a.Documentation = &e.Key.Doc
	}
	if q.IncludeSynonyms {
		for i := range e.Settings {
			s := &e.Settings[i]
			synonym := wire.DescribeConfigsResponseSynonym{Name: s.Name, Value: &s.Value, Source: int8(s.Source)}
			if a.IsSensitive {
				synonym.Value = nil
			}
			a.Synonyms = append(a.Synonyms, synonym)
		}
	}
	return a
}
