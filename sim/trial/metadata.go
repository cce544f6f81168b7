package trial

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"millrace/linearizability"
	"millrace/net/wire"
	"millrace/sim"
	"millrace/sim/client"
)

// Two or three administrators of one kind make, delete and look for topics of the same few names at the same time, and set
// a config of the first topic of the load. What they were told is one object for each name, and one for the config: a
// topic of the name is there, with an id of its own, or is not; the config is what was set last. See linearizability.
//
// In a cluster, a broker that does not hear what became of a CreateTopics proposes it again, as Kafka's brokers forward it
// again. When somebody has deleted the topic meanwhile, it is made twice, and nothing says that it may not be. So there each
// name has one administrator, who goes on with another name when an answer does not come; the others look.

// kindMetadata is an actor that does so.
const kindMetadata = "metadata"

// The names, the config, and how much of it there is: what has no answer makes a history hard to check.
const (
	metadataNames    = 2
	metadataConfig   = "delete.retention.ms"
	metadataUnknowns = 6 // of one actor
	metadataMost     = 40
)

// drawMetadata gives some plans such administrators.
func drawMetadata(d *sim.Draws, p *Plan) {
	if !d.Chance(0.25) {
		return
	}
	pause := time.Duration(d.Skewed(5, 200)) * time.Millisecond
	for range d.Between(2, 3) {
		p.Actors = append(p.Actors, ActorPlan{Kind: kindMetadata, OldVersion: d.Chance(0.3), Pause: pause, First: int(d.Below(int64(p.Nodes)))})
	}
}

// metadataActor is one administrator.
type metadataActor struct {
	trial    *trial
	who      int
	client   *client.Client
	unknowns int
	values   int
	own      string // the name that only this one changes, in a cluster
	names    int
}

func metadataName(i int64) string { return fmt.Sprint("metadata-", i) }

// rename goes on with a name that was never used.
func (x *metadataActor) rename() {
	x.names++
	x.own = fmt.Sprintf("metadata-%d-%d", x.who, x.names)
	x.trial.metadata = append(x.trial.metadata, x.own)
}

// tellMetadata is the task of an actor.
func (t *trial) tellMetadata(i int, name string, d *sim.Draws, a ActorPlan) {
	x := &metadataActor{trial: t, who: i, client: t.newClient(name, a)}
	defer x.client.Close()
	x.client.SetReplicas(t.topics[0].plan.Replicas)
	if len(t.brokers) > 1 {
		x.rename()
	}
	for n := 0; !t.stop && x.unknowns < metadataUnknowns && n < metadataMost; n++ {
		topic, seen := x.own, metadataName(d.Below(metadataNames))
		if len(t.brokers) == 1 {
			topic = seen
		} else {
			seen = t.metadata[d.Below(int64(len(t.metadata)))]
		}
		switch d.Below(6) {
		case 0, 1:
			x.create(topic, false)
		case 2:
			x.delete(topic)
		case 3:
			x.create(seen, true)
		case 4:
			x.set()
		default:
			if len(t.brokers) == 1 { // another broker may be late
				x.look(t.brokers[0], topic)
				x.get(t.brokers[0])
			}
		}
		t.rest(d, a)
	}
}

// begin is an operation that starts now.
func (x *metadataActor) begin(log string, kind linearizability.Kind) linearizability.Operation {
	return linearizability.Operation{Log: log, Client: 4000 + x.who, Kind: kind, Call: int64(x.trial.host.Clock.Now())}
}

// end adds an operation to the history. Any answer but success and the one refusal that says what there is leaves it open; what
// was not sent is left out.
func (x *metadataActor) end(op linearizability.Operation, err error, refused wire.ErrorCode) {
	t := x.trial
	op.Return = int64(t.host.Clock.Now())
	t.world.Note("oracle: metadata: %s of %s by %d: %x, %v", op.Kind, op.Log, x.who, op.Records, err)
	var code wire.ErrorCode
	switch {
	case err == nil:
	case refused != wire.ErrNone && client.IsCode(err, refused):
		op.Refused, op.Records = true, nil
	case errors.Is(err, client.ErrUnanswered), errors.As(err, &code): // an earlier try of the broker's may have done it
		t.check(op.Log, string(op.Kind), t.allStopping(err))
		op.Unknown = true
		x.unknowns++
	default:
		t.check(op.Log, string(op.Kind), t.allStopping(err))
		return
	}
	t.world.Reach("(metadata) an operation recorded")
	if op.Refused {
		t.world.Reach("(metadata) another one was faster")
	}
	t.oracle.history = append(t.oracle.history, op)
	if op.Unknown && op.Log == x.own {
		x.rename()
	}
}

// topicHash identifies the id of a topic in a history.
func topicHash(id wire.UUID) []uint64 {
	if id.IsZero() {
		return nil
	}
	return []uint64{binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])}
}

// create makes a topic, or asks whether it could be made, which says whether it is there.
func (x *metadataActor) create(topic string, validate bool) {
	kind := linearizability.Create
	if validate {
		kind = linearizability.Describe
	}
	op := x.begin(topic, kind)
	id, err := x.client.MakeTopic(topic, 1, validate)
	switch {
	case !validate:
		op.Records = topicHash(id)
	case client.IsCode(err, wire.ErrTopicAlreadyExists):
		op.Kind = linearizability.Create
	case err != nil: // nothing was to be done
		x.trial.check(topic, "validate", x.trial.allStopping(err))
		return
	}
	x.end(op, err, wire.ErrTopicAlreadyExists)
}

func (x *metadataActor) delete(topic string) {
	op := x.begin(topic, linearizability.Delete)
	x.end(op, x.client.DeleteTopic(topic), wire.ErrUnknownTopicOrPartition)
}

// set sets the config to what it never was.
func (x *metadataActor) set() {
	t := x.trial
	x.values++
	value := fmt.Sprint(86_400_000 + 1000*(x.who+1) + x.values)
	op := x.begin(t.configLog(), linearizability.Commit)
	op.Records = []uint64{linearizability.Hash(nil, []byte(value))}
	x.end(op, x.client.AlterTopic(t.topics[0].plan.Name, metadataConfig, &value), wire.ErrNone)
}

// look looks for a topic.
func (x *metadataActor) look(b *broker, topic string) {
	op := x.begin(topic, linearizability.Describe)
	id, err := x.client.TopicID(b.addr(), topic)
	if err != nil {
		x.trial.check(topic, "metadata", err)
		return
	}
	op.Records = topicHash(id)
	x.end(op, nil, wire.ErrNone)
}

// get looks at the config.
func (x *metadataActor) get(b *broker) {
	t := x.trial
	op := x.begin(t.configLog(), linearizability.Committed)
	value, err := x.client.TopicConfig(b.addr(), t.topics[0].plan.Name, metadataConfig)
	if err != nil {
		t.check(t.configLog(), "describe configs", err)
		return
	}
	if value != metadataDefault {
		op.Records = []uint64{linearizability.Hash(nil, []byte(value))}
	}
	x.end(op, nil, wire.ErrNone)
}

// metadataDefault is the config's value before anybody has set it.
const metadataDefault = "86400000"

func (t *trial) configLog() string { return "config of " + t.topics[0].plan.Name }

func (b *broker) addr() string { return b.node.Name() + ":9092" }

// finalMetadata lets every broker say what there is, when nothing breaks any more and each has had the time to hear of it.
func (t *trial) finalMetadata() {
	x := &metadataActor{trial: t, who: 99, client: t.newClient("metadata at the end", ActorPlan{})}
	defer x.client.Close()
	for i := range t.plan.Actors {
		if t.plan.Actors[i].Kind != kindMetadata {
			continue
		}
		t.host.Clock.Sleep(settling)
		for _, b := range t.whole() {
			for n := range int64(metadataNames) {
				x.look(b, metadataName(n))
			}
			for _, name := range t.metadata {
				x.look(b, name)
			}
			x.get(b)
		}
		return
	}
}

// settling is how long a broker may take to hear of what was changed, when nothing breaks.
const settling = 5 * time.Second
