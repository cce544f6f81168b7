package node

import (
	"errors"
	"fmt"
	"strconv"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/config"
	"millrace/node/host/mutant"
)

// alteration is one change of a config that a client asks for.
type alteration struct {
	name  string
	op    config.Op
	value *string
}

// alter changes the configs of one resource, or with validate only says whether it would. full replaces everything that
// was set.
func (b *Broker) alter(c *call, kind int8, name string, full bool, changes []alteration, validate bool) (wire.ErrorCode, string) {
	image, failed := c.decidingCatalog(c.changeDeadline(0))
	if failed.Error != wire.ErrNone {
		return failed.Error, failed.Message
	}
	if code, why := b.checkResource(image, catalog.ResourceType(kind), name); code != wire.ErrNone {
		return code, why
	}
	command := catalog.SetConfigs{Type: catalog.ResourceType(kind), Name: name, Full: full || mutant.On("config-increment-replaces")}
	was := image.Configs(command.Type, name)
	seen := make(map[string]bool)
	for _, change := range changes {
		if seen[change.name] {
			return wire.ErrInvalidRequest, "Error due to duplicate config keys"
		}
		seen[change.name] = true
		done, code, why := checkAlteration(command.Type, was, change)
		if code != wire.ErrNone {
			return code, why
		}
		command.Changes = append(command.Changes, done)
	}
	after, result := catalog.Apply(image, image.Index+1, command)
	if result.Error != wire.ErrNone {
		return result.Error, result.Message
	}
	if err := b.checkTogether(after, command.Type, name); err != nil {
		return wire.ErrInvalidConfig, err.Error()
	}
	if validate {
		return wire.ErrNone, ""
	}
	result = b.set.Change(command, c.changeDeadline(0))
	return result.Error, result.Message
}

// checkTogether says what is wrong with all configs of a resource as they would be.
func (b *Broker) checkTogether(after *catalog.Image, kind catalog.ResourceType, name string) error {
	switch kind {
	case catalog.ResourceTopic:
		return b.layers(after).CheckTopic(after.Configs(kind, name))
	case catalog.ResourceGroup:
		return b.layers(after).CheckGroup(after.Configs(kind, name))
	}
	return nil
}

// checkResource says whether configs of the resource can be changed.
func (b *Broker) checkResource(image *catalog.Image, kind catalog.ResourceType, name string) (wire.ErrorCode, string) {
	switch kind {
	case catalog.ResourceTopic:
		if name == "" {
			return wire.ErrInvalidRequest, "Default topic resources are not allowed."
		}
		if why := topicNameFault(name); why != "" {
			return wire.ErrInvalidTopicException, why
		}
		if _, ok := image.Topic(name); !ok {
			return wire.ErrUnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", name)
		}
	case catalog.ResourceBroker:
		if name == "" {
			break
		}
		id, err := strconv.Atoi(name)
		if err != nil {
			return wire.ErrInvalidRequest, "Node id must be an integer, but it is: " + name
		}
		if id != int(b.config.NodeID) {
			return wire.ErrInvalidRequest, fmt.Sprintf("Unexpected broker id, expected %d, but received %d", b.config.NodeID, id)
		}
	case catalog.ResourceGroup:
		if name == "" {
			return wire.ErrInvalidRequest, "Default group resources are not allowed."
		}
	case catalog.ResourceClientMetrics:
		if name == "" {
			return wire.ErrInvalidRequest, "Subscription name can't be empty"
		}
	case catalog.ResourceBrokerLogger:
		if name != strconv.Itoa(int(b.config.NodeID)) {
			return wire.ErrInvalidRequest, fmt.Sprintf("Unexpected node id. Expected %d, but received %s", b.config.NodeID, name)
		}
		return wire.ErrInvalidRequest, noLoggers
	default:
		return wire.ErrInvalidRequest, fmt.Sprintf("Unknown resource type %d", kind)
	}
	return wire.ErrNone, ""
}

// noLoggers is told to who wants to change log levels as Kafka's brokers let them.
const noLoggers = "this broker has no loggers whose levels can be changed; start it with --log-level"

// checkAlteration checks one change and puts its value into canonical form.
func checkAlteration(kind catalog.ResourceType, was catalog.Configs, change alteration) (catalog.ConfigChange, wire.ErrorCode, string) {
	done := catalog.ConfigChange{Name: change.name, Op: catalog.ConfigOp(change.op)}
	if change.op < config.Set || change.op > config.Subtract {
		return done, wire.ErrInvalidRequest, fmt.Sprintf("Unknown %v on config %s", change.op, change.name)
	}
	if change.op == config.Delete {
		return done, wire.ErrNone, ""
	}
	invalid := wire.ErrInvalidConfig
	var k *config.Key
	switch kind {
	case catalog.ResourceTopic:
		if k = config.TopicKey(change.name); k == nil {
			return done, wire.ErrInvalidConfig, "Unknown topic config name: " + change.name
		}
	case catalog.ResourceGroup:
		if k = config.GroupKey(change.name); k == nil {
			return done, wire.ErrInvalidConfig, "Unknown group config name: " + change.name
		}
	case catalog.ResourceClientMetrics:
		invalid = wire.ErrInvalidRequest
		if k = config.MetricsKey(change.name); k == nil {
			return done, wire.ErrInvalidRequest, "Unknown client metrics configuration: " + change.name
		}
		if code, why := checkMetrics(change); code != wire.ErrNone {
			return done, code, why
		}
	default:
		invalid = wire.ErrInvalidRequest // Kafka's answer to a value that a broker config cannot have
		if k = config.BrokerKey(change.name); k == nil {
			k = config.ForeignKey(change.name)
		}
		if k == nil { // kept and told, as in Kafka, where it may be meant for a plugin
			k = &config.Key{Name: change.name, Kind: config.String}
		}
		if k.Fixed {
			return done, wire.ErrInvalidRequest, fmt.Sprintf("Cannot update these configs dynamically: [%s]", change.name)
		}
	}
	if change.value == nil {
		return done, wire.ErrInvalidRequest, "Null value not supported for : " + change.name
	}
	var current *string
	if v, ok := was.Get(change.name); ok {
		current = &v
	}
	value, err := k.Alter(change.op, current, *change.value)
	if err != nil {
		if change.op != config.Set {
			invalid = wire.ErrInvalidConfig
		}
		return done, invalid, err.Error()
	}
	// Appending and subtracting are left to the catalog, which knows the value at the time of the change.
	done.Value, done.Default = *change.value, k.Default
	if change.op == config.Set {
		done.Value = *value
	}
	return done, wire.ErrNone, ""
}

// checkMetrics checks a value of a subscription to client metrics.
func checkMetrics(change alteration) (wire.ErrorCode, string) {
	if change.value == nil {
		return wire.ErrNone, ""
	}
	err := config.CheckMetrics(change.name, *change.value)
	var illegal *config.Invalid
	switch {
	case err == nil:
		return wire.ErrNone, ""
	case errors.As(err, &illegal) && change.name == "match":
		return wire.ErrInvalidConfig, err.Error()
	}
	return wire.ErrInvalidRequest, err.Error()
}

// resourceKey tells resources of a request apart.
type resourceKey struct {
	kind int8
	name string
}

// sameTwice is the answer to a resource that a request names more than once.
const sameTwice = "Each resource must appear at most once."
