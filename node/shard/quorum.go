package shard

import (
	"encoding/binary"
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
)

// Quorum is what the catalog's leader knows of the catalog's replicas.
type Quorum struct {
	Leader int32
	Term   uint64
	// Commit is the index up to which the catalog's log is committed.
	Commit uint64
	Voters []Voter
}

// Voter is a replica of the catalog.
type Voter struct {
	Node      int32
	Directory catalog.ID
	// Match is the index up to which its log is known to be durable.
	Match uint64
	// LastContact and LastCaughtUp are when it was last heard of and when it last had everything, in milliseconds since
	// 1970; -1 when that is not known.
	LastContact, LastCaughtUp int64
}

// Quorum asks the catalog's leader. Errors: NOT_CONTROLLER when none is known or it is just changing, REQUEST_TIMED_OUT.
func (s *Set) Quorum(deadline host.Instant) (Quorum, wire.ErrorCode) {
	leader := s.Controller()
	if leader < 0 {
		return Quorum{}, wire.ErrNotController
	}
	if leader == s.o.Node {
		return s.ownQuorum()
	}
	answer, err := s.links.Call(leader, callQuorum, nil, deadline)
	if err != nil {
		return Quorum{}, wire.ErrNotController
	}
	defer answer.Release()
	q, err := decodeQuorum(answer.Bytes())
	if err != nil {
		return Quorum{}, wire.ErrNotController
	}
	q.Leader = leader
	return q, wire.ErrNone
}

// ownQuorum is Quorum on the leader.
func (s *Set) ownQuorum() (Quorum, wire.ErrorCode) {
	shard, ok := s.shards.Load().Get(0)
	if !ok {
		return Quorum{}, wire.ErrNotController
	}
	status := shard.Status()
	if !status.Serving {
		return Quorum{}, wire.ErrNotController
	}
	wall, now := s.host.Clock.Wall().UnixMilli(), s.host.Clock.Now()
	ago := func(at host.Instant) int64 {
		if at == 0 {
			return -1
		}
		return wall - now.Sub(at).Milliseconds()
	}
	q := Quorum{Leader: s.o.Node, Term: status.Term, Commit: status.Commit}
	self := s.identity
	for _, m := range self.Controllers {
		v := Voter{Node: m.Node, Directory: m.Directory, LastContact: -1, LastCaughtUp: -1}
		if i := slices.IndexFunc(status.Matches, func(k Match) bool { return k.Node == m.Node }); i >= 0 {
			v.Match, v.LastContact, v.LastCaughtUp = status.Matches[i].Match, ago(status.Matches[i].LastContact), ago(status.Matches[i].CaughtUp)
		}
		if m.Node == s.o.Node {
			v.Match, v.LastContact, v.LastCaughtUp = status.Last, wall, wall
		}
		q.Voters = append(q.Voters, v)
	}
	return q, wire.ErrNone
}

func (s *Set) serveQuorum() ([]byte, error) {
	q, code := s.ownQuorum()
	if code != wire.ErrNone {
		return nil, errNote
	}
	return encodeQuorum(q), nil
}

func encodeQuorum(q Quorum) []byte {
	b := []byte{noteVersion}
	b = binary.AppendUvarint(b, q.Term)
	b = binary.AppendUvarint(b, q.Commit)
	b = binary.AppendUvarint(b, uint64(len(q.Voters)))
	for _, v := range q.Voters {
		b = binary.AppendVarint(b, int64(v.Node))
		b = append(b, v.Directory[:]...)
		b = binary.AppendUvarint(b, v.Match)
		b = binary.AppendVarint(b, v.LastContact)
		b = binary.AppendVarint(b, v.LastCaughtUp)
	}
	return b
}

func decodeQuorum(b []byte) (q Quorum, err error) {
	f := fields{b: b}
	if f.byte() != noteVersion {
		return q, errNote
	}
	q.Term, q.Commit = f.uint(), f.uint()
	for n := f.count(20); n > 0; n-- {
		q.Voters = append(q.Voters, Voter{Node: f.node(), Directory: f.id(), Match: f.uint(), LastContact: f.int(), LastCaughtUp: f.int()})
	}
	return q, f.done()
}
