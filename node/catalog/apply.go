package catalog

import (
	"fmt"
	"slices"
	"strings"

	"millrace/net/wire"
	"millrace/node/ordered"
)

// Apply decides a command: it returns the next image and the proposer's result. It is a pure function; index is the raft
// index of the command. A command that is refused changes nothing but the image's Index. Apply on a published image, with
// the new one thrown away, is how a request is validated without being made.
func Apply(image *Image, index uint64, c Command) (*Image, Result) {
	next := *image
	next.Index = index
	var result Result
	switch c := c.(type) {
	case Format:
		result = next.format(c)
	case RegisterBroker:
		result = next.registerBroker(c)
	case CreateTopic:
		result = next.createTopic(c)
	case DeleteTopic:
		result = next.deleteTopic(c)
	case CreatePartitions:
		result = next.createPartitions(c)
	case SetConfigs:
		result = next.setConfigs(c)
	case AllocateProducerIDs:
		result = next.allocateProducerIDs(c)
	case SetFeature:
		result = next.setFeature(c)
	case FenceBroker:
		result = next.fenceBroker(c)
	case UnregisterBroker:
		result = next.unregisterBroker(c)
	default:
		panic(fmt.Sprintf("catalog: command of type %T has no meaning", c))
	}
	if result.Error != wire.ErrNone {
		next = *image
		next.Index = index
	}
	result.Index = index
	return &next, result
}

func refuse(code wire.ErrorCode, format string, args ...any) Result {
	return Result{Error: code, Message: fmt.Sprintf(format, args...)}
}

func (i *Image) format(c Format) Result {
	if i.ClusterID == c.ClusterID && c.ClusterID != "" { // an earlier try
		return Result{}
	}
	if i.ClusterID != "" {
		return refuse(wire.ErrInvalidRequest, "there is a cluster already, with id %s", i.ClusterID)
	}
	i.ClusterID, i.Controllers = c.ClusterID, c.Controllers
	for _, m := range c.Controllers {
		i.NextReplica = max(i.NextReplica, m.Replica+1)
	}
	return Result{}
}

func (i *Image) registerBroker(c RegisterBroker) Result {
	was, ok := i.Broker(c.Node)
	if ok && was.Directory != c.Directory {
		return refuse(wire.ErrDuplicateBrokerRegistration,
			"node %d is registered with data directory %s; %s is another one", c.Node, was.Directory, c.Directory)
	}
	if c.Boots > 0 && ok {
		switch {
		case c.Boots < was.Boots:
			return refuse(wire.ErrDuplicateBrokerRegistration,
				"the data directory of node %d is an old copy: it has been started %d times, but the cluster has seen start %d", c.Node, c.Boots, was.Boots)
		case c.Boots == was.Boots && c.Incarnation != was.Incarnation:
			return refuse(wire.ErrDuplicateBrokerRegistration,
				"the data directory of node %d is a copy: another process runs on the original", c.Node)
		}
	}
	b := &Broker{
		Node: c.Node, Epoch: int64(i.Index), Incarnation: c.Incarnation, Directory: c.Directory, Rack: c.Rack,
		Listeners: c.Listeners, Lanes: max(c.Lanes, 1), Boots: c.Boots,
	}
	i.Brokers = i.Brokers.Set(ordered.Int(c.Node), b)
	return Result{BrokerEpoch: b.Epoch}
}

func (i *Image) fenceBroker(c FenceBroker) Result {
	was, ok := i.Broker(c.Node)
	switch {
	case !ok:
		return refuse(wire.ErrBrokerIdNotRegistered, "broker %d is not registered", c.Node)
	case was.Epoch != c.Epoch:
		return refuse(wire.ErrStaleBrokerEpoch, "broker %d has registered anew since", c.Node)
	case was.Fenced == c.Fenced:
		return Result{BrokerEpoch: was.Epoch}
	}
	b := *was
	b.Fenced = c.Fenced
	i.Brokers = i.Brokers.Set(ordered.Int(c.Node), &b)
	return Result{BrokerEpoch: b.Epoch}
}

func (i *Image) unregisterBroker(c UnregisterBroker) Result {
	was, ok := i.Broker(c.Node)
	switch {
	case !ok:
		return refuse(wire.ErrBrokerIdNotRegistered, "broker %d is not registered", c.Node)
	case !was.Fenced:
		return refuse(wire.ErrInvalidRequest, "broker %d is alive: stop it first, and try again when it is fenced", c.Node)
	}
	i.Brokers = i.Brokers.Delete(ordered.Int(c.Node))
	return Result{}
}

func (i *Image) allocateProducerIDs(c AllocateProducerIDs) Result {
	if _, ok := i.Broker(c.Node); !ok {
		return refuse(wire.ErrBrokerIdNotRegistered, "broker %d is not registered", c.Node)
	}
	first := i.NextProducerID
	i.NextProducerID += ProducerIDBlock
	return Result{ProducerID: first}
}

func (i *Image) setFeature(c SetFeature) Result {
	if c.Level < 0 || c.Name == "" {
		return refuse(wire.ErrInvalidRequest, "feature %q cannot have level %d", c.Name, c.Level)
	}
	if c.Level == 0 {
		i.Features = i.Features.Delete(ordered.String(c.Name))
	} else {
		i.Features = i.Features.Set(ordered.String(c.Name), c.Level)
	}
	return Result{}
}

// ResourceKey is the key of a resource in Image.Resources.
func ResourceKey(kind ResourceType, name string) ordered.String {
	return ordered.String(fmt.Sprintf("%d/%s", kind, name))
}

func (i *Image) setConfigs(c SetConfigs) Result {
	configs, result := c.change(i.Configs(c.Type, c.Name))
	if result.Error != wire.ErrNone {
		return result
	}
	if c.Type != ResourceTopic {
		key := ResourceKey(c.Type, c.Name)
		if len(configs) == 0 {
			i.Resources = i.Resources.Delete(key)
		} else {
			i.Resources = i.Resources.Set(key, &Resource{Type: c.Type, Name: c.Name, Configs: configs})
		}
		return Result{}
	}
	was, ok := i.Topic(c.Name)
	if !ok {
		return refuse(wire.ErrUnknownTopicOrPartition, "there is no topic %q", c.Name)
	}
	t := *was
	t.Configs = configs
	i.setTopic(&t)
	return Result{Topic: &t}
}

// change returns the configs of a resource as the command makes them from what they were.
func (c SetConfigs) change(was Configs) (Configs, Result) {
	configs := was
	if c.Full {
		configs = nil
	}
	for _, change := range c.Changes {
		current, set := configs.Get(change.Name)
		if !set {
			current = change.Default
		}
		switch change.Op {
		case ConfigSet:
			configs = configs.with(change.Name, change.Value)
		case ConfigDelete:
			configs = configs.without(change.Name)
		case ConfigAppend:
			list := splitList(current)
			for _, v := range splitList(change.Value) {
				if !slices.Contains(list, v) {
					list = append(list, v)
				}
			}
			configs = configs.with(change.Name, strings.Join(list, ","))
		case ConfigSubtract:
			remove := splitList(change.Value)
			list := slices.DeleteFunc(splitList(current), func(v string) bool { return slices.Contains(remove, v) })
			configs = configs.with(change.Name, strings.Join(list, ","))
		default:
			return nil, refuse(wire.ErrInvalidRequest, "unknown operation %d on config %q", change.Op, change.Name)
		}
	}
	return configs, Result{}
}

func splitList(s string) []string {
	if s == "" {
		return nil
	}
	list := strings.Split(s, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
