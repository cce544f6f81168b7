package node

import (
	"fmt"
	"io"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
)

// Names of topics that coordinators keep their state in.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
	shareTopic        = "__share_group_state"
)

// isInternal says that only coordinators write to a topic.
func isInternal(name string) bool {
	return name == offsetsTopic || name == transactionsTopic || name == shareTopic
}

// longestTopicName is Kafka's bound: with partition and suffix, the name must fit into a file name.
const longestTopicName = 249

// topicNameFault says why a name cannot be a topic's, "" when it can.
func topicNameFault(name string) string {
	switch {
	case name == "":
		return "Topic name is invalid: the empty string is not allowed"
	case name == ".", name == "..":
		return fmt.Sprintf("Topic name is invalid: '%s' is not allowed", name)
	case len(name) > longestTopicName:
		return fmt.Sprintf("Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, longestTopicName)
	}
	bad := strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	})
	if bad >= 0 {
		return fmt.Sprintf("Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return ""
}

// Bits of the operations that everybody may do as long as there are no ACLs: 1 << Kafka's AclOperation code.
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
	groupOperations   = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11
)

// noOperations is told to who did not ask for operations.
const noOperations int32 = -1 << 31

// malformedRequest is what Kafka's brokers say of INVALID_REQUEST when they have nothing better.
const malformedRequest = "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."

// notHosted is what they say of UNKNOWN_TOPIC_OR_PARTITION.
const notHosted = "This server does not host this topic-partition."

// text is an optional string of the protocol: null when empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// changeDeadline is until when a change of the catalog is waited for, given the client's timeout. A commit takes
// milliseconds; a shorter timeout would only make the outcome unknown.
func (c *call) changeDeadline(timeoutMs int32) host.Instant {
	return c.now().Add(max(time.Duration(timeoutMs)*time.Millisecond, 5*time.Second))
}

// newTopicID draws an id for a topic. If the source fails it is zero, which the catalog refuses.
func (b *Broker) newTopicID() (id catalog.ID) {
	if _, err := io.ReadFull(b.host.Secure, id[:]); err != nil {
		b.host.Log.Error("draw a topic id", "error", err)
		return catalog.ID{}
	}
	return id
}

// nodes is how many brokers there are, those included that have yet to register.
func (b *Broker) nodes(image *catalog.Image) int {
	return max(len(b.config.Peers), image.Brokers.Len())
}

// replication is the replication factor of a topic for which nobody chose one. Only what somebody has set may be more than
// there are brokers, and then only for a topic that is asked for: those that are made on the way must not fail for it.
func (b *Broker) replication(image *catalog.Image, name string, onTheWay bool) int16 {
	n := int16(b.layers(image).Int(name))
	if _, set := b.static[name]; set && !onTheWay {
		return n
	}
	return min(n, int16(b.nodes(image)))
}

// awaitBrokers waits until as many brokers have registered as a topic needs, in a cluster that has just been made.
func (b *Broker) awaitBrokers(replication int16, deadline host.Instant) {
	if b.set.Catalog().Brokers.Len() >= int(replication) || int(replication) > len(b.config.Peers) {
		return
	}
	w := b.host.Tasks.NewWaiter()
	b.set.WatchCatalog(w)
	defer b.set.UnwatchCatalog(w)
	for b.set.Catalog().Brokers.Len() < int(replication) {
		if !w.WaitUntil(deadline) {
			return
		}
	}
}

// createTopic makes a topic and waits until its partitions can be used.
func (b *Broker) createTopic(t catalog.CreateTopic, deadline host.Instant) catalog.Result {
	t.ID = b.newTopicID()
	b.awaitBrokers(t.Replication, min(deadline, b.host.Clock.Now().Add(5*time.Second)))
	result := b.set.Change(t, deadline)
	if result.Error == wire.ErrNone {
		b.set.AwaitTopic(result.Topic, deadline)
	}
	return result
}

// autoCreate makes a topic that a client uses without having made it. One that is there already is no error.
func (b *Broker) autoCreate(image *catalog.Image, name string, deadline host.Instant) catalog.Result {
	if why := topicNameFault(name); why != "" {
		return catalog.Result{Error: wire.ErrInvalidTopicException, Message: why}
	}
	layers := b.layers(image)
	t := catalog.CreateTopic{
		Name: name, Partitions: int32(layers.Int("num.partitions")),
		Replication: b.replication(image, "default.replication.factor", true),
	}
	result := b.createTopic(t, deadline)
	if result.Error == wire.ErrTopicAlreadyExists {
		topic, ok := b.set.Catalog().Topic(name)
		if !ok {
			return catalog.Result{Error: wire.ErrUnknownTopicOrPartition}
		}
		b.set.AwaitTopic(topic, deadline)
		return catalog.Result{Topic: topic}
	}
	return result
}

// topicName is a key of Image.Topics.
func topicName(name string) ordered.String { return ordered.String(name) }
