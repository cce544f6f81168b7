package shard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/sim"
)

// life is a producer, its partitions and a node that is killed again and again. Its fields survive the crashes: they are
// what a client outside would know. Partition 0 gets the numbers from 0 on, in batches of an idempotent producer, with
// retries; partition 1 gets a number now and then.
type life struct {
	world *sim.World
	node  *sim.Node
	// batches are the first values of the batches sent; sent is the number of values in them, acked the number of those
	// known to be there.
	batches     []int
	sent, acked int
	// deleted is the log start that DeleteRecords has answered, asked the highest that it was asked for.
	deleted, asked int64
	// rareSent and rareAcked are the same for partition 1.
	rareSent, rareAcked int
	lives               int
}

const simLives = 4

func TestLivesAndDeaths(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		if err := runLife(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// runLife runs one seed.
func runLife(seed uint64) error {
	l := &life{world: sim.New(seed, sim.Options{Limit: 10 * time.Minute})}
	l.node = l.world.AddNode("n")
	l.boot()
	err := l.world.Run()
	l.world.Close()
	if err == nil && l.acked == 0 {
		err = errors.New("nothing was acknowledged")
	}
	return err
}

func (l *life) boot() {
	l.lives++
	last := l.lives > simLives
	if !last {
		d := l.world.Draws("crash" + strconv.Itoa(l.lives))
		after := time.Duration(d.Uint64()%3000) * time.Millisecond
		how := sim.Power
		if d.Uint64()%3 == 0 {
			how = sim.Kill
		}
		point := sim.CrashPoint{Point: sim.Point(d.Uint64() % 6), Count: 1 + d.Uint64()%4, How: how}
		l.world.After(after, func() { l.node.Arm(point) })
		l.world.After(after+200*time.Millisecond, func() {
			l.node.Crash(how) // unless the point was reached
			l.boot()
		})
	}
	l.node.Boot(func(h host.Host) {
		if err := l.run(h, last); err != nil {
			l.world.Fail(fmt.Errorf("life %d: %w", l.lives, err))
		}
		if last {
			l.world.Stop()
		}
	})
}

func (l *life) run(h host.Host, last bool) error {
	s, err := OpenSet(h, smallOptions())
	if err != nil {
		return err
	}
	topic, err := makeTopic(h, s, "events", 2)
	if err != nil {
		return err
	}
	if err := l.check(s, topic); err != nil {
		return err
	}
	end := h.Clock.Now().Add(3 * time.Second)
	if err := l.retryLast(h, s, topic); err != nil {
		return err
	}
	l.sent = l.acked
	var flying []flight
	for h.Clock.Now() < end {
		if len(flying) < 5 {
			sent, err := l.sendOne(h, s, topic)
			if err != nil {
				return err
			}
			flying = append(flying, sent...)
			continue
		}
		if err := l.settle(h, flying[0]); err != nil {
			return err
		}
		flying = flying[1:]
		if err := l.rarely(h, s, topic); err != nil {
			return err
		}
		h.Clock.Sleep(time.Duration(h.Random.Uint64("test-pause")%20) * time.Millisecond)
	}
	for _, f := range flying {
		if err := l.settle(h, f); err != nil {
			return err
		}
	}
	if err := l.check(s, topic); err != nil {
		return err
	}
	if last {
		return s.Close()
	}
	return nil
}

// flight is a batch without an answer yet.
type flight struct {
	pending      *Pending
	first, count int
}

// sendBatch sends the values from first on.
func (l *life) sendBatch(h host.Host, s *Set, topic *catalog.Topic, first, count int) (flight, error) {
	var batch []string
	for i := range count {
		batch = append(batch, strconv.Itoa(first+i)+" "+strings.Repeat("x", int(h.Random.Uint64("test-bytes")%900)))
	}
	acks := []int16{-1, 1}[h.Random.Uint64("test-acks")%2]
	p, err := send(s, topic, 0, acks, sequenced{id: 7, first: int32(first)}, batch...)
	return flight{p, first, count}, err
}

// sendOne sends the next values, and sometimes sends them again at once. A retry may be answered before the original.
func (l *life) sendOne(h host.Host, s *Set, topic *catalog.Topic) ([]flight, error) {
	f, err := l.sendBatch(h, s, topic, l.sent, 1+int(h.Random.Uint64("test-size")%3))
	if err != nil {
		return nil, err
	}
	l.batches = append(l.batches, f.first)
	l.sent += f.count
	if h.Random.Uint64("test-retry")%4 > 0 {
		return []flight{f}, nil
	}
	again, err := l.sendBatch(h, s, topic, f.first, f.count)
	if err != nil {
		return nil, err
	}
	if h.Random.Uint64("test-retry-first")%2 == 0 {
		return []flight{f}, l.settle(h, again)
	}
	return []flight{again, f}, nil
}

// retryLast sends the last batches that arrived once more, as a client does that lost the answers in the crash.
func (l *life) retryLast(h host.Host, s *Set, topic *catalog.Topic) error {
	for len(l.batches) > 0 && l.batches[len(l.batches)-1] >= l.acked {
		l.batches = l.batches[:len(l.batches)-1]
	}
	last := l.batches[max(0, len(l.batches)-5):]
	for i, first := range last {
		end := l.acked
		if i+1 < len(last) {
			end = last[i+1]
		}
		f, err := l.sendBatch(h, s, topic, first, end-first)
		if err != nil {
			return err
		}
		if err := l.settle(h, f); err != nil {
			return err
		}
	}
	return nil
}

func (l *life) settle(h host.Host, f flight) error {
	r, ok := f.pending.GetUntil(deadline(h))
	if !ok || r.Error != wire.ErrNone || r.BaseOffset != int64(f.first) {
		return fmt.Errorf("the values from %d on were answered with %+v (%v)", f.first, r, ok)
	}
	l.acked = max(l.acked, f.first+f.count)
	return nil
}

// rarely does what is done rarely.
func (l *life) rarely(h host.Host, s *Set, topic *catalog.Topic) error {
	if h.Random.Uint64("test-rare")%60 == 0 {
		l.rareSent = max(l.rareSent, l.rareAcked+1)
		p, err := send(s, topic, 1, -1, sequenced{}, strconv.Itoa(l.rareAcked))
		if err != nil {
			return err
		}
		if r, ok := p.GetUntil(deadline(h)); !ok || r.Error != wire.ErrNone || r.BaseOffset != int64(l.rareAcked) {
			return fmt.Errorf("the rare value %d was answered with %+v (%v)", l.rareAcked, r, ok)
		}
		l.rareAcked++
	}
	return l.deleteSome(h, s, topic)
}

func (l *life) deleteSome(h host.Host, s *Set, topic *catalog.Topic) error {
	if h.Random.Uint64("test-delete")%50 != 0 || l.acked == 0 {
		return nil
	}
	to := int64(h.Random.Uint64("test-delete-to") % uint64(l.acked))
	l.asked = max(l.asked, to)
	at, code := s.Lookup(topic.ID, 0)
	if code != wire.ErrNone {
		return fmt.Errorf("lookup: %d", code)
	}
	r, ok := at.Shard.DeleteRecords(at.ID, to).GetUntil(deadline(h))
	if !ok || r.Error != wire.ErrNone {
		return fmt.Errorf("delete records: %+v (%v)", r, ok)
	}
	l.deleted = max(l.deleted, r.LogStart)
	return nil
}

// check reads everything back: what was acknowledged is there, once, in order; what was deleted stays deleted.
func (l *life) check(s *Set, topic *catalog.Topic) error {
	at, code := s.Lookup(topic.ID, 0)
	if code != wire.ErrNone {
		return fmt.Errorf("lookup: %d", code)
	}
	start := at.Log.View().LogStart
	if start < l.deleted || start > l.asked {
		return fmt.Errorf("the log starts at %d; %d was answered, %d was asked for", start, l.deleted, l.asked)
	}
	got, err := values(s, topic, 0)
	if err != nil {
		return err
	}
	for i, v := range got {
		n, _, _ := strings.Cut(v, " ")
		if n != strconv.Itoa(int(start)+i) {
			return fmt.Errorf("offset %d holds the value %s", int(start)+i, n)
		}
	}
	end := int(start) + len(got)
	if end < l.acked || end > l.sent {
		return fmt.Errorf("the log ends at %d; %d values were sent, %d acknowledged", end, l.sent, l.acked)
	}
	l.acked = end // what was not acknowledged is there all the same
	rare, err := values(s, topic, 1)
	if err != nil {
		return err
	}
	if len(rare) < l.rareAcked || len(rare) > l.rareSent {
		return fmt.Errorf("partition 1 holds %d values; %d were sent, %d acknowledged", len(rare), l.rareSent, l.rareAcked)
	}
	l.rareAcked = len(rare)
	return nil
}
