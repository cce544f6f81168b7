package node

import (
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
)

// metadata answers which topics there are, where their partitions are, and which brokers.
//
// Versions: 0 lists all topics when none is named, from 1 on null means all; 4 may forbid auto-creation, before it is
// always allowed; 7 tells leader epochs; 8 the allowed operations; 10 names topics by id in answers, 12 in requests.
// A topic that is created on the way is answered with its partitions at once, where Kafka answers
// UNKNOWN_TOPIC_OR_PARTITION and lets the client ask again. A topic that is not known here may have been made a moment ago
// through another node, so the catalog's leader is asked before it is denied. A node that is alone in its cluster is
// announced by the address that the client's connection came to, unless one is configured.
func (b *Broker) metadata(c *call, q *wire.MetadataRequest) wire.Message {
	a := wire.NewMetadataResponse()
	image := b.set.Catalog()
	d := metadataRun{broker: b, call: c, present: b.present(image)}
	byID := false
	for i := range q.Topics {
		t := &q.Topics[i]
		if c.Version < 12 && (!t.TopicId.IsZero() || t.Name == nil) {
			return refuseMetadata(a, q)
		}
		byID = byID || !t.TopicId.IsZero()
	}
	if missing(image, q) {
		image = c.newestCatalog()
		d.present = b.present(image)
	}
	switch {
	case q.Topics == nil || c.Version == 0 && len(q.Topics) == 0:
		for _, t := range image.Topics.All {
			a.Topics = append(a.Topics, d.topic(t))
		}
	case byID:
		a.Topics = d.topicsByID(image, q)
	default:
		create := (q.AllowAutoTopicCreation || c.Version < 4) && b.layers(image).Bool("auto.create.topics.enable")
		a.Topics = d.namedTopics(image, q, create)
	}
	if q.IncludeTopicAuthorizedOperations {
		for i := range a.Topics {
			a.Topics[i].TopicAuthorizedOperations = topicOperations // also of one that is not there, as in Kafka
		}
	}
	for _, e := range c.endpoints(image) {
		if e.fenced && e.node != b.config.NodeID {
			continue // as in Kafka: clients would only try in vain
		}
		a.Brokers = append(a.Brokers, wire.MetadataResponseBroker{NodeId: e.node, Host: e.host, Port: e.port, Rack: text(e.rack)})
	}
	a.ClusterId, a.ControllerId = text(image.ClusterID), b.controller()
	if q.IncludeClusterAuthorizedOperations {
		a.ClusterAuthorizedOperations = clusterOperations
	}
	return a
}

// topicsByID answers for topics by id, each once, and leaves out what has none.
func (d *metadataRun) topicsByID(image *catalog.Image, q *wire.MetadataRequest) []wire.MetadataResponseTopic {
	var list []wire.MetadataResponseTopic
	seen := make(map[wire.UUID]bool, len(q.Topics))
	for i := range q.Topics {
		id := q.Topics[i].TopicId
		if id.IsZero() || seen[id] {
			continue
		}
		seen[id] = true
		if t, ok := image.TopicByID(id); ok {
			list = append(list, d.topic(t))
		} else {
			list = append(list, missingTopic(nil, id, wire.ErrUnknownTopicId))
		}
	}
	return list
}

// namedTopics answers for topics by name, each once, and creates what is missing if that is allowed.
func (d *metadataRun) namedTopics(image *catalog.Image, q *wire.MetadataRequest, create bool) []wire.MetadataResponseTopic {
	b, c := d.broker, d.call
	list := make([]wire.MetadataResponseTopic, 0, len(q.Topics))
	seen := make(map[string]bool, len(q.Topics))
	for i := range q.Topics {
		if q.Topics[i].Name == nil {
			list = append(list, missingTopic(text(""), wire.UUID{}, wire.ErrInvalidRequest))
			continue
		}
		name := *q.Topics[i].Name
		if seen[name] {
			continue
		}
		seen[name] = true
		t, ok := image.Topic(name)
		code := wire.ErrUnknownTopicOrPartition
		switch {
		case ok:
		case topicNameFault(name) != "":
			code = wire.ErrInvalidTopicException
		case create && name == offsetsTopic:
			code = b.ensureOffsetsTopic(c)
			t, ok = b.set.Catalog().Topic(name)
		case isInternal(name): // of a coordinator that is not here
		case create:
			result := b.autoCreate(image, name, c.now().Add(5*time.Second))
			t, ok, code = result.Topic, result.Error == wire.ErrNone, result.Error
		}
		if ok {
			list = append(list, d.topic(t))
		} else {
			list = append(list, missingTopic(&name, wire.UUID{}, code))
		}
	}
	return list
}

// missing says that the request names a topic that the image does not have.
func missing(image *catalog.Image, q *wire.MetadataRequest) bool {
	return slices.ContainsFunc(q.Topics, func(t wire.MetadataRequestTopic) bool {
		ok := true
		if !t.TopicId.IsZero() {
			_, ok = image.TopicByID(t.TopicId)
		} else if t.Name != nil && topicNameFault(*t.Name) == "" {
			_, ok = image.Topic(*t.Name)
		}
		return !ok
	})
}

// metadataRun is one request on its way.
type metadataRun struct {
	broker  *Broker
	call    *call
	present []int32
}

// topic is one topic of the answer.
func (d *metadataRun) topic(t *catalog.Topic) wire.MetadataResponseTopic {
	a := wire.NewMetadataResponseTopic()
	a.Name, a.TopicId, a.IsInternal = &t.Name, wire.UUID(t.ID), isInternal(t.Name)
	a.Partitions = make([]wire.MetadataResponsePartition, len(t.Partitions))
	for i := range t.Partitions {
		l := d.broker.leadership(d.present, t, i)
		p := &a.Partitions[i]
		p.SetDefaults()
		p.PartitionIndex, p.ErrorCode, p.LeaderId, p.LeaderEpoch = int32(i), l.code, l.leader, l.epoch
		p.ReplicaNodes, p.IsrNodes, p.OfflineReplicas = t.Partitions[i].Replicas, l.inSync, l.offline
	}
	return a
}

func missingTopic(name *string, id wire.UUID, code wire.ErrorCode) wire.MetadataResponseTopic {
	a := wire.NewMetadataResponseTopic()
	a.Name, a.TopicId, a.ErrorCode = name, id, code
	a.IsInternal = name != nil && isInternal(*name)
	return a
}

// refuseMetadata answers a request that names topics in a way that its version does not know.
func refuseMetadata(a *wire.MetadataResponse, q *wire.MetadataRequest) wire.Message {
	for i := range q.Topics {
		t := &q.Topics[i]
		empty := ""
		if t.Name == nil {
			t.Name = &empty
		}
		a.Topics = append(a.Topics, missingTopic(t.Name, t.TopicId, wire.ErrInvalidRequest))
	}
	return a
}
