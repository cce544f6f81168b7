package node

import (
	"fmt"

	"millrace/net/wire"
	"millrace/node/catalog"
)

// createPartitions adds partitions to topics, or with validate_only says whether it would. The answer comes when they
// can be used.
func (b *Broker) createPartitions(c *call, q *wire.CreatePartitionsRequest) wire.Message {
	a := wire.NewCreatePartitionsResponse()
	mentions := make(map[string]int)
	for i := range q.Topics {
		mentions[q.Topics[i].Name]++
	}
	deadline := c.changeDeadline(q.TimeoutMs)
	_, failed := c.decidingCatalog(deadline)
	for i := range q.Topics {
		t := &q.Topics[i]
		r := wire.NewCreatePartitionsResponseTopicResult()
		r.Name = t.Name
		n := mentions[t.Name]
		switch {
		case n > 1:
			r.ErrorCode, r.ErrorMessage = wire.ErrInvalidRequest, text("Duplicate topic name.")
			mentions[t.Name] = -1
		case n < 0:
			continue // refused once
		case failed.Error != wire.ErrNone:
			r.ErrorCode, r.ErrorMessage = failed.Error, text(failed.Message)
		default:
			image := b.set.Catalog() // with what the topics before have changed
			command := catalog.CreatePartitions{Name: t.Name, Count: t.Count}
			for j := range t.Assignments {
				command.Assignments = append(command.Assignments, t.Assignments[j].BrokerIds)
			}
			result := checkGrowth(image, command, t.Assignments != nil)
			if result.Error == wire.ErrNone && !q.ValidateOnly {
				if result = b.set.Change(command, deadline); result.Error == wire.ErrNone {
					b.set.AwaitTopic(result.Topic, deadline)
				}
			}
			r.ErrorCode, r.ErrorMessage = result.Error, text(result.Message)
		}
		a.Results = append(a.Results, r)
	}
	return a
}

// checkGrowth says what is wrong with a command, in Kafka's words where the catalog has others.
func checkGrowth(image *catalog.Image, command catalog.CreatePartitions, assigned bool) catalog.Result {
	topic, ok := image.Topic(command.Name)
	if !ok {
		return catalog.Result{Error: wire.ErrUnknownTopicOrPartition}
	}
	if int(command.Count) == len(topic.Partitions) {
		return catalog.Result{Error: wire.ErrInvalidPartitions, Message: fmt.Sprintf("Topic already has %d partition(s).", command.Count)}
	}
	if more := int(command.Count) - len(topic.Partitions); assigned && len(command.Assignments) == 0 && more > 0 {
		return catalog.Result{Error: wire.ErrInvalidReplicaAssignment,
			Message: fmt.Sprintf("Attempted to add %d additional partition(s), but only 0 assignment(s) were specified.", more)}
	}
	_, result := catalog.Apply(image, image.Index+1, command)
	return result
}
