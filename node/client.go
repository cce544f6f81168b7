package node

import (
	"millrace/net/server"
	"millrace/node/catalog"
	"millrace/node/config"
	"millrace/node/host/mutant"
)

// client is what the node keeps of a connection.
type client struct {
	// Of the read task: the configuration in force for topics that were produced to.
	configs    map[catalog.ID]cachedConfig
	turnedAway turnedAway

	// Of the write task, which runs the handlers.
	softwareName, softwareVersion string
	session                       *fetchSession
	scratch                       [256]byte // short answers are put together here
}

// cachedConfig is right as long as what it was computed from is the same: images share what did not change.
type cachedConfig struct {
	topic           *catalog.Topic
	broker, cluster *catalog.Resource
	config          config.Topic
}

// cachedTopics is how many topics' configurations a connection keeps.
const cachedTopics = 32

func clientOf(c *server.Connection) *client {
	if c.State == nil {
		c.State = &client{}
	}
	return c.State.(*client)
}

// topicConfig is what is in force for a topic, computed anew only after a change. For the read task.
func (k *client) topicConfig(b *Broker, image *catalog.Image, t *catalog.Topic) config.Topic {
	broker, _ := image.Resources.Get(b.brokerResource)
	cluster, _ := image.Resources.Get(b.clusterResource)
	if have, ok := k.configs[t.ID]; ok && have.topic == t && have.broker == broker && (have.cluster == cluster || mutant.On("config-of-all-brokers-not-seen")) {
		return have.config
	}
	if k.configs == nil || len(k.configs) >= cachedTopics {
		k.configs = make(map[catalog.ID]cachedConfig)
	}
	c := b.topicConfig(image, t)
	k.configs[t.ID] = cachedConfig{t, broker, cluster, c}
	return c
}

// endSession gives the connection's fetch session up.
func (k *client) endSession(b *Broker) {
	if k.session != nil {
		b.sessions.release(k.session.slot)
		k.session = nil
	}
}
