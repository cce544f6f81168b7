package shard

import (
	"go.etcd.io/raft/v3/raftpb"

	"millrace/wal"
)

// Peers carries raft messages to the other replicas of a shard. Send must not block. What cannot be sent is dropped;
// when that is found out later, Shard.Unreachable is to be called.
type Peers interface {
	// Send sends m, which never changes, to the replica m.To, which lives on a node; false says that it was dropped. A
	// MsgApp has one payload for each of its entries, other messages have none. Payloads are retained by Send as long as
	// it needs them. Context must arrive as it is, also that of heartbeats and their answers, as must the Data of the
	// entries of MsgReadIndex and MsgReadIndexResp.
	Send(shard uint64, node int32, m *raftpb.Message, payloads []Carried) bool
}

// Carried is the payload of an entry that is sent: in memory, or, when the entry was applied some time ago, at a place in
// the write-ahead log, where whoever sends it reads it (wal.Log.ReadPayload). When that fails, the message is dropped and
// reported with Shard.Unreachable. Both are empty when the entry has no payload.
type Carried struct {
	Payload wal.Payload
	At      wal.Location
}

// mostUnread bounds the payloads of messages that the shard has not looked at, in bytes, and mostMessages the events
// that wait when a message comes: a peer that floods the shard is not listened to.
const (
	mostUnread   = 128 << 20
	mostMessages = 4 * inboxSize
)

// Receive takes a message of another replica of the shard, which must not change any more, with the payload of each of
// its entries if it is a MsgApp. It does not block, and retains the payloads that it keeps. A message that is not for
// this replica, or not whole, is dropped: raft sends again what matters.
func (s *Shard) Receive(m *raftpb.Message, payloads []wal.Payload) {
	size := 0
	for _, p := range payloads {
		size += p.Size()
	}
	if s.unread.Load()+int64(size) > mostUnread || s.inbox.Len() > mostMessages {
		return
	}
	for _, p := range payloads {
		p.Retain()
	}
	s.unread.Add(int64(size))
	if !s.inbox.Post(&received{m, payloads, size}) {
		s.unread.Add(int64(-size))
		release(payloads)
	}
}

func release(payloads []wal.Payload) {
	for _, p := range payloads {
		p.Release()
	}
}

// Tick advances raft's clock. It is to be called every TickEvery while Status.Quiet is false.
func (s *Shard) Tick() { s.inbox.Post(tick{}) }

// Suspect says that a node seems to be dead: when it led, the others elect a new leader at once.
func (s *Shard) Suspect(node int32) { s.inbox.Post(suspect(node)) }

// Heard says that a node that was suspected, or never heard of, is there.
func (s *Shard) Heard(node int32) { s.inbox.Post(heard(node)) }

// Unreachable says that messages to a node were dropped.
func (s *Shard) Unreachable(node int32) { s.inbox.Post(unreachable(node)) }

// ReadIndex is for reads that must not be stale, on any replica: the result comes when everything that was committed
// before the call is applied here. It may never come while the shard has no leader; an error comes when the node stops.
func (s *Shard) ReadIndex() *Pending { return s.request(&request{kind: askReadIndex}) }

// Transfer moves the leadership to the replica on a node, or, with -1, to the one that is nearest to have everything. The
// target must be in sync; if it does not take over within an election timeout the leader goes on. Nothing happens on a
// replica that does not lead.
func (s *Shard) Transfer(node int32) { s.inbox.Post(transfer(node)) }

// Campaign makes this replica try to become leader.
func (s *Shard) Campaign() { s.inbox.Post(campaign{}) }
