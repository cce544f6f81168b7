package shard

import (
	"time"

	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/mutant"
)

const (
	// beatEvery is how often a broker tells the catalog's leader that it lives.
	beatEvery = 500 * time.Millisecond
	// fenceAgain is how long the catalog's leader waits for a change that it has proposed, before it proposes it again.
	fenceAgain = time.Second
)

// beat is a heartbeat of a broker.
type beat struct {
	// epoch and incarnation are those of the registration that it belongs to.
	epoch       int64
	incarnation catalog.ID
	node        int32
	at          host.Instant
}

// sessions tells the catalog's leader that this broker lives, and, while this node leads the catalog, fences brokers that
// were not heard of for a session timeout, and takes back those that are heard again.
type sessions struct {
	set *Set
	// term is the one in which this node has begun to lead the catalog, 0 when it does not.
	term    uint64
	brokers map[int32]*session
}

// session is what the catalog's leader remembers of a broker.
type session struct {
	epoch int64
	// heard is when the session was known to be good last: at a heartbeat, or when this node began to watch.
	heard host.Instant
	// beaten says that a heartbeat was heard since this node watches and since the broker was fenced.
	beaten bool
	// fenced is what the catalog said at the last check.
	fenced bool
	// asked is when a change was proposed last.
	asked host.Instant
}

func newSessions(s *Set) *sessions { return &sessions{set: s, brokers: map[int32]*session{}} }

// run is the task.
func (s *sessions) run(w host.Waiter) {
	var beats []beat
	next := s.set.host.Clock.Now()
	for !s.set.stopped() {
		w.WaitUntil(next)
		beats, _ = s.set.beats.Drain(beats[:0])
		now := s.set.host.Clock.Now()
		leads := s.lead(now)
		if leads {
			for _, b := range beats {
				s.hear(b)
			}
		}
		if now < next {
			continue
		}
		next = now.Add(beatEvery)
		if leads {
			s.check(now)
		} else {
			s.beat()
		}
	}
}

// lead notes whether this node leads the catalog. Who has just begun to knows nothing of the brokers, and gives all of
// them a whole session timeout.
func (s *sessions) lead(now host.Instant) bool {
	shard, ok := s.set.shards.Load().Get(0)
	if !ok {
		return false
	}
	status := shard.Status()
	if !status.Serving {
		s.term = 0
		return false
	}
	if s.term != status.Term {
		s.term = status.Term
		clear(s.brokers)
		for node, b := range s.set.Catalog().Brokers.All {
			heard := now
			if mutant.On("fence-at-takeover") {
				heard = now.Add(-s.set.o.SessionTimeout)
			}
			s.brokers[int32(node)] = &session{epoch: b.Epoch, heard: heard}
		}
	}
	return true
}

// beat sends a heartbeat to the catalog's leader.
func (s *sessions) beat() {
	leader := s.set.Controller()
	own, ok := s.set.Catalog().Broker(s.set.o.Node)
	if leader < 0 || leader == s.set.o.Node || !ok || own.Incarnation != s.set.identity.Incarnation || s.set.leaving.Load() > 0 {
		return
	}
	s.set.links.Tell(leader, noteHeartbeat, encodeBeat(beat{epoch: own.Epoch, incarnation: own.Incarnation}))
}

// hear notes a heartbeat.
func (s *sessions) hear(b beat) {
	if known := s.brokers[b.node]; known != nil && known.epoch == b.epoch {
		known.heard, known.beaten = max(known.heard, b.at), true
	}
}

// check proposes what follows for each broker. It costs about the number of brokers.
func (s *sessions) check(now host.Instant) {
	kept := make(map[int32]*session, len(s.brokers)) // without those that are no longer registered
	for node, b := range s.set.Catalog().Brokers.All {
		known := s.brokers[int32(node)]
		if known == nil || known.epoch != b.Epoch { // it has registered since: that is as good as a heartbeat
			known = &session{epoch: b.Epoch, heard: now}
		}
		kept[int32(node)] = known
		if b.Fenced != known.fenced { // only a later heartbeat takes it back
			known.fenced, known.beaten = b.Fenced, false
		}
		if int32(node) == s.set.o.Node {
			known.heard, known.beaten = now, s.set.leaving.Load() == 0
		}
		silent := now.Sub(known.heard)
		fence := !b.Fenced && silent > s.set.o.SessionTimeout
		unfence := b.Fenced && known.beaten && silent < 3*beatEvery
		if !fence && !unfence || known.asked != 0 && now.Sub(known.asked) < fenceAgain {
			continue
		}
		known.asked = now
		if fence {
			s.set.host.Log.Warn("a broker is fenced: it was not heard of for a session timeout", "broker", int32(node))
		} else {
			s.set.host.Log.Info("a broker is heard of again and no longer fenced", "broker", int32(node))
		}
		s.set.catalog.Propose(catalog.Encode(catalog.FenceBroker{Node: int32(node), Epoch: b.Epoch, Fenced: fence}))
	}
	s.brokers = kept
}
