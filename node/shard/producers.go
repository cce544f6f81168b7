package shard

import (
	"millrace/node/host"
	"millrace/partition"
)

// askProducers asks the task of a shard, to which they belong, for the producers of a partition.
type askProducers struct {
	partition partition.ID
	answer    *host.Future[[]partition.ProducerState]
}

func (e askProducers) happen(r *replica) {
	var list []partition.ProducerState
	if p := r.partitions[e.partition]; p != nil {
		list = p.log.Producers().List()
	}
	e.answer.Set(list)
}

// Producers tells what is known of the idempotent producers of a partition, of what is applied here. The answer never comes
// when the shard ends meanwhile: wait with a deadline.
func (s *Shard) Producers(p partition.ID) *host.Future[[]partition.ProducerState] {
	f := host.NewFuture[[]partition.ProducerState](s.host.Tasks)
	s.inbox.Post(askProducers{p, f})
	return f
}
