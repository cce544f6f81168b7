package shard

import (
	"go.etcd.io/raft/v3/raftpb"

	"millrace/wal"
)

// Peers carries raft messages to the other replicas of a shard. Send must not block. What cannot be sent is dropped, and
// reported with Shard.Unreachable.
type Peers interface {
	// Send sends m to the replica m.To. payloads has one payload for each of m's entries; they are retained by Send as
	// long as it needs them. An entry whose payload is not in memory any more has a Location instead.
	Send(shard uint64, m *raftpb.Message, payloads []Carried)
}

// Carried is the payload of an entry that is sent: in memory, or in the write-ahead log.
type Carried struct {
	Payload wal.Payload
	At      wal.Location
}

// Unreachable says that messages to a replica were dropped.
func (s *Shard) Unreachable(replica uint64) { s.inbox.Post(unreachable(replica)) }

type unreachable uint64

func (u unreachable) happen(r *replica) {
	if !r.dead {
		r.node.ReportUnreachable(uint64(u))
	}
}
