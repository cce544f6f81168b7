package node

import (
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
)

// deleteTopics removes topics with everything in them.
//
// Versions: before 6 topics are named, from 6 on by name or by id; 5 answers messages. With delete.topic.enable=false
// the answer is TOPIC_DELETION_DISABLED, INVALID_REQUEST before version 3.
func (b *Broker) deleteTopics(c *call, q *wire.DeleteTopicsRequest) wire.Message {
	wanted := q.Topics
	for i := range q.TopicNames {
		wanted = append(wanted, wire.DeleteTopicsRequestDeleteTopicState{Name: &q.TopicNames[i]})
	}
	a := wire.NewDeleteTopicsResponse()
	deadline := c.changeDeadline(q.TimeoutMs)
	image, failed := c.decidingCatalog(deadline)
	if failed.Error != wire.ErrNone {
		image = b.set.Catalog() // only to say what is wrong with the request
	}
	double := doubleTopics(image, wanted)
	for i := range wanted {
		t := &wanted[i]
		r := wire.NewDeleteTopicsResponseDeletableTopicResult()
		r.Name, r.TopicId = t.Name, t.TopicId
		switch {
		case double[i].again:
			continue
		case !b.layers(image).Bool("delete.topic.enable") && c.Version < 3:
			r.ErrorCode = wire.ErrInvalidRequest
		case !b.layers(image).Bool("delete.topic.enable"):
			r.ErrorCode = wire.ErrTopicDeletionDisabled
		case t.Name != nil && !t.TopicId.IsZero():
			r.ErrorCode, r.ErrorMessage = wire.ErrInvalidRequest, text("You may not specify both topic name and topic id.")
		case t.Name == nil && t.TopicId.IsZero():
			r.ErrorCode, r.ErrorMessage = wire.ErrInvalidRequest, text("Neither topic name nor id were specified.")
		case double[i].why != "":
			r.ErrorCode, r.ErrorMessage, r.TopicId = wire.ErrInvalidRequest, text(double[i].why), double[i].id
		case failed.Error != wire.ErrNone:
			r.ErrorCode, r.ErrorMessage = failed.Error, text(failed.Message)
		default:
			b.deleteOne(t, deadline, &r)
		}
		a.Responses = append(a.Responses, r)
	}
	return a
}

// doubleTopic says of a topic of a request that it is named more than once, and how. It is answered once.
type doubleTopic struct {
	why   string
	id    wire.UUID
	again bool
}

// doubleTopics finds what a request names more than once: by the same name, by the same id, or by both in different
// places, which is answered under the name.
func doubleTopics(image *catalog.Image, wanted []wire.DeleteTopicsRequestDeleteTopicState) []doubleTopic {
	names := make(map[string]int)
	ids := make(map[wire.UUID]int)
	for i := range wanted {
		if t := &wanted[i]; t.Name != nil && t.TopicId.IsZero() {
			names[*t.Name]++
		} else if t.Name == nil {
			ids[t.TopicId]++
		}
	}
	double := make([]doubleTopic, len(wanted))
	seen := make(map[string]bool)
	for i := range wanted {
		t, d := &wanted[i], &double[i]
		switch {
		case t.Name == nil && t.TopicId.IsZero() || t.Name != nil && !t.TopicId.IsZero():
			continue // refused for itself
		case t.Name == nil && ids[t.TopicId] > 1:
			d.why, d.id = "Duplicate topic id.", t.TopicId
		case t.Name == nil:
			topic, ok := image.TopicByID(t.TopicId)
			d.again = ok && names[topic.Name] > 0
			continue
		case names[*t.Name] > 1:
			d.why = "Duplicate topic name."
		default:
			if topic, ok := image.Topic(*t.Name); ok && ids[wire.UUID(topic.ID)] > 0 {
				d.why, d.id = "The provided topic name maps to an ID that was already supplied.", wire.UUID(topic.ID)
			}
			continue
		}
		key := t.TopicId.String() + orEmpty(t.Name)
		d.again, seen[key] = seen[key], true
	}
	return double
}

func (b *Broker) deleteOne(t *wire.DeleteTopicsRequestDeleteTopicState, deadline host.Instant, r *wire.DeleteTopicsResponseDeletableTopicResult) {
	command := catalog.DeleteTopic{ID: catalog.ID(t.TopicId)}
	if t.Name != nil {
		command.Name = *t.Name
	}
	result := b.set.Change(command, deadline)
	switch r.ErrorCode = result.Error; result.Error {
	case wire.ErrNone:
		r.Name, r.TopicId = &result.Topic.Name, wire.UUID(result.Topic.ID)
	case wire.ErrUnknownTopicOrPartition:
		r.ErrorMessage = text(notHosted)
	case wire.ErrUnknownTopicId:
		r.ErrorMessage = text("This server does not host this topic ID.")
	default:
		r.ErrorMessage = text(result.Message)
	}
}
