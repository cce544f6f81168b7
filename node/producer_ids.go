package node

import (
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
)

// producerIDs gives out producer ids from blocks that the catalog reserves for this broker. What is left of a block is
// given up when the node stops: ids are never used twice.
type producerIDs struct {
	requests *host.Queue[*host.Future[producerID]]
}

// producerID is an id, or why there is none.
type producerID struct {
	id  int64
	err wire.ErrorCode
}

func startProducerIDs(b *Broker) *producerIDs {
	p := &producerIDs{requests: host.NewQueue[*host.Future[producerID]](b.host.Tasks, 1024, nil)}
	b.host.Tasks.Go("node.producer-ids", func() { p.run(b) })
	return p
}

func (p *producerIDs) run(b *Broker) {
	var next, end int64
	var waiting []*host.Future[producerID]
	for more := true; more; {
		waiting, more = p.requests.Take(waiting[:0])
		for _, f := range waiting {
			answer := producerID{id: -1}
			if next == end {
				c := catalog.AllocateProducerIDs{Node: b.config.NodeID}
				result := b.set.Change(c, b.host.Clock.Now().Add(10*time.Second))
				if answer.err = result.Error; answer.err == wire.ErrNone {
					next, end = result.ProducerID, result.ProducerID+catalog.ProducerIDBlock
				}
			}
			if next < end {
				answer = producerID{id: next}
				next++
			}
			f.Set(answer)
		}
	}
}

// take waits for an id until the deadline, or as long as the call lives.
func (p *producerIDs) take(c *call, deadline host.Instant) producerID {
	f := host.NewFuture[producerID](c.broker.host.Tasks)
	if !p.requests.Put(f) {
		return producerID{id: -1, err: wire.ErrCoordinatorNotAvailable}
	}
	if answer, ok := await(c, f, deadline); ok {
		return answer
	}
	return producerID{id: -1, err: wire.ErrRequestTimedOut}
}

func (p *producerIDs) stop() { p.requests.Close() }
