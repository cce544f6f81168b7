package shard

import (
	"encoding/binary"
	"slices"

	"go.etcd.io/raft/v3"

	"millrace/net/wire"
	"millrace/node/host/mutant"
)

const (
	// readContextSize is the size of the context that names a read to raft: the incarnation's nonce and a number. A
	// confirmation of a read of an earlier incarnation must not be taken for one of a later read.
	readContextSize = 16
	// mostFlights is how many confirmations may be under way; who asks meanwhile shares the next one.
	mostFlights = 4
	// retryReads is after how many ticks a read that nobody confirmed is asked for again.
	retryReads = 4
)

// reads are the calls of ReadIndex on their way: asked, in a flight (raft confirms with a round of heartbeats that the
// leader leads), then confirmed with the index that must be applied here.
type reads struct {
	nonce, last uint64
	asked       []*request
	flights     []*readFlight
	confirmed   []confirmed
	// sent is the largest position of raft's own that went out with a heartbeat in this term.
	sent uint64
}

// readFlight is a group of reads for which raft was asked, first under a number, later under larger ones. The answer to any
// of them will do: the reads began before it was asked.
type readFlight struct {
	requests []*request
	first    uint64
	age      int
}

type confirmed struct {
	index    uint64
	requests []*request
}

// pending says whether somebody waits.
func (s *reads) pending() bool { return len(s.asked)+len(s.flights)+len(s.confirmed) > 0 }

// fly asks raft for what was asked for. It returns whether it did anything.
func (r *replica) fly() bool {
	if len(r.reads.asked) == 0 || len(r.reads.flights) >= mostFlights || !r.readable() {
		return false
	}
	f := &readFlight{requests: r.reads.asked}
	r.reads.asked = nil
	if mutant.On("replica-stale-leader-answers-reads") && r.leading {
		answerAll(f.requests, Result{})
		return true
	}
	r.reads.flights = append(r.reads.flights, f)
	r.askRaft()
	f.first = r.reads.last
	return true
}

// readable says whether it makes sense to ask raft. A lone replica's raft would answer at once with what it knows to be
// committed, which after a restart is not all that was, until the first entry of the term is applied.
func (r *replica) readable() bool {
	return r.leader != raft.None && (!r.leading || r.serving)
}

func (r *replica) askRaft() {
	r.reads.last++
	context := binary.LittleEndian.AppendUint64(make([]byte, 0, readContextSize), r.reads.nonce)
	r.node.ReadIndex(binary.LittleEndian.AppendUint64(context, r.reads.last))
}

// retryFlights asks again when the oldest flight has been waiting for so many ticks: messages get lost, and so do leaders.
func (r *replica) retryFlights(age int) {
	if len(r.reads.flights) == 0 || r.reads.flights[0].age < age || !r.readable() {
		return
	}
	for _, f := range r.reads.flights {
		f.age = 0
	}
	r.askRaft()
}

// confirm notes what raft has confirmed.
func (r *replica) confirm(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != readContextSize || binary.LittleEndian.Uint64(s.RequestCtx) != r.reads.nonce {
			continue
		}
		n := binary.LittleEndian.Uint64(s.RequestCtx[8:])
		r.reads.flights = slices.DeleteFunc(r.reads.flights, func(f *readFlight) bool {
			if f.first > n {
				return false
			}
			r.reads.confirmed = append(r.reads.confirmed, confirmed{s.Index, f.requests})
			return true
		})
	}
	r.answerReads()
}

// answerReads answers the reads whose index is applied.
func (r *replica) answerReads() {
	if len(r.reads.confirmed) == 0 {
		return
	}
	r.reads.confirmed = slices.DeleteFunc(r.reads.confirmed, func(c confirmed) bool {
		if c.index > r.applied && !mutant.On("replica-read-before-applied") &&
			!(c.index == r.applied+1 && mutant.On("replica-read-one-entry-early")) {
			return false
		}
		answerAll(c.requests, Result{})
		return true
	})
}

// end answers everybody when nobody will be answered any more.
func (s *reads) end(reason string) {
	stopping := Result{Error: wire.ErrNotLeaderOrFollower, Message: reason}
	answerAll(s.asked, stopping)
	for _, f := range s.flights {
		answerAll(f.requests, stopping)
	}
	for _, c := range s.confirmed {
		answerAll(c.requests, stopping)
	}
	s.asked, s.flights, s.confirmed = nil, nil, nil
}

func answerAll(requests []*request, result Result) {
	for _, q := range requests {
		q.answer(result)
	}
}
