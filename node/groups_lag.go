package node

import (
	"cmp"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/group"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/shard"
)

// The lag of groups: how far what they have committed is behind the ends of the partitions, in records and in seconds. A
// task measures it now and then, for the groups that this node coordinates; commits cost nothing more. Ends of partitions
// that are led elsewhere are asked for, all of a node in one call (shard.Set.Positions).

const (
	// lagInterval is how often it is measured.
	lagInterval = 10 * time.Second
	// lagPatience bounds how long a round waits for other nodes.
	lagPatience = 5 * time.Second
	// lagOffsets bounds the committed offsets that are looked at in a round, lagTimes for how many of them the time of the
	// first record behind is read anew, which may take a read from the disk each. What did not move is known from the last
	// round; what found no place has its turn in the next one.
	lagOffsets = 100_000
	lagTimes   = 2_000
)

// groupReport is what a round of measuring found. It never changes.
type groupReport struct {
	counts []group.Counted
	lags   []groupLag // by group, topic and partition
	// omitted are committed offsets that were not looked at.
	omitted int
}

// groupLag is how far a group is behind in a partition.
type groupLag struct {
	group.StoredOffset
	// start and end are the partition's, -1 when they are not known.
	start, end int64
	// seconds is the age of the first record that is not committed: 0 when there is none, -1 when it is not known.
	seconds float64
}

// lag is the number of offsets behind the committed one, -1 when it is not known.
func (l *groupLag) lag() int64 {
	if l.end < 0 {
		return -1
	}
	if mutant.On("group-lag-of-deleted-records") {
		return max(l.end-l.Offset, 0)
	}
	return max(l.end-max(l.Offset, l.start), 0)
}

// lagMeter measures. It belongs to one task.
type lagMeter struct {
	broker *Broker
	// times are those of records that were behind committed offsets in the last round; turn is where the next round begins to
	// ask for times.
	times map[lagPoint]lagTime
	turn  int
}

// lagPoint is an offset of a partition.
type lagPoint struct {
	topic  catalog.ID
	index  int32
	offset int64
}

// run measures until the groups end.
func (m *lagMeter) run(g *groups) {
	b := m.broker
	w := b.host.Tasks.NewWaiter()
	g.stopping.Watch(w)
	for next := b.host.Clock.Now().Add(lagInterval); ; next = b.host.Clock.Now().Add(lagInterval) {
		for w.WaitUntil(next) {
			if _, stop := g.stopping.Try(); stop {
				return
			}
		}
		g.report.Store(m.round(g, w))
	}
}

// round asks the coordinators that lead here, and measures what their groups have committed.
func (m *lagMeter) round(g *groups, w host.Waiter) *groupReport {
	b := m.broker
	now := g.current.Load()
	var answers []*host.Future[group.Response]
	for i, p := range now.partitions {
		if _, code := b.cluster.Lookup(now.topic, int32(i)); code == wire.ErrNone {
			answers = append(answers, g.put(p, &group.ObserveRequest{Most: lagOffsets}))
		}
	}
	r := &groupReport{}
	deadline := b.host.Clock.Now().Add(lagPatience)
	counts := map[group.Counted]int{}
	var offsets []group.StoredOffset
	for _, f := range answers {
		seen, ok := m.await(g, w, f, deadline)
		if !ok || seen.Error != wire.ErrNone {
			continue
		}
		for _, c := range seen.Counts {
			counts[group.Counted{Type: c.Type, State: c.State}] += c.Groups
		}
		room := min(lagOffsets-len(offsets), len(seen.Offsets))
		offsets = append(offsets, seen.Offsets[:room]...)
		r.omitted += seen.Omitted + len(seen.Offsets) - room
	}
	for c, n := range counts { //door:ordered they are sorted below
		c.Groups = n
		r.counts = append(r.counts, c)
	}
	slices.SortFunc(r.counts, func(a, b group.Counted) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.State, b.State))
	})
	slices.SortStableFunc(offsets, func(a, b group.StoredOffset) int { return cmp.Compare(a.Group, b.Group) })
	r.lags = m.measure(offsets, deadline)
	return r
}

// await waits for a coordinator's answer, unless the groups end.
func (m *lagMeter) await(g *groups, w host.Waiter, f *host.Future[group.Response], deadline host.Instant) (*group.ObserveResponse, bool) {
	f.Watch(w)
	for {
		if v, ok := f.Try(); ok {
			seen, ok := v.(*group.ObserveResponse)
			return seen, ok
		}
		if _, stop := g.stopping.Try(); stop || !w.WaitUntil(deadline) {
			return nil, false
		}
	}
}

// lagRound is a measurement under way: what is asked about, where, and what is known from the last round.
type lagRound struct {
	lags     []groupLag
	points   []lagPoint
	leaders  []int32 // -1: none is known
	known    map[lagPoint]lagTime
	deadline host.Instant
	times    int // that were asked for
}

// lagTime is when the first record at or behind an offset is, as long as the partition starts where it did or before that
// offset.
type lagTime struct{ start, millis int64 }

// question is what a leader is asked, and about which of the offsets.
type question struct {
	node int32
	ask  []shard.PositionQuery
	of   []int
}

// questions sorts offsets by who can tell about them. For a bounded number of those whose time is not known the time is
// asked, beginning where the last round ended.
func (m *lagMeter) questions(r *lagRound, which []int) []*question {
	var all []*question
	by := map[int32]*question{}
	from := 0
	if len(which) > 0 {
		from = m.turn % len(which)
	}
	for i := range which {
		at := which[(from+i)%len(which)]
		node := r.leaders[at]
		if node < 0 {
			continue
		}
		if by[node] == nil {
			by[node] = &question{node: node}
			all = append(all, by[node])
		}
		point := r.points[at]
		q := shard.PositionQuery{Topic: point.topic, Index: point.index, Offset: -1}
		if _, has := r.known[point]; !has && r.times < lagTimes {
			q.Offset = point.offset
			if r.times++; r.times == lagTimes {
				m.turn = at
			}
		}
		by[node].ask, by[node].of = append(by[node].ask, q), append(by[node].of, at)
	}
	slices.SortFunc(all, func(a, b *question) int { return cmp.Compare(a.node, b.node) })
	return all
}

// measure finds out how far the offsets are behind. The answers are in the order of the offsets; those of topics that no
// longer exist are left out.
func (m *lagMeter) measure(offsets []group.StoredOffset, deadline host.Instant) []groupLag {
	b := m.broker
	image := b.set.Catalog()
	lags := make([]groupLag, 0, len(offsets))
	points := make([]lagPoint, 0, len(offsets))
	leaders := make([]int32, 0, len(offsets))
	for _, o := range offsets {
		t, ok := image.Topic(o.Topic)
		if !ok || o.Partition < 0 || int(o.Partition) >= len(t.Partitions) {
			continue
		}
		node, _, _, ok := b.cluster.PartitionLeader(t, int(o.Partition))
		if !ok {
			node = -1
		}
		lags = append(lags, groupLag{StoredOffset: o, start: -1, end: -1, seconds: -1})
		points, leaders = append(points, lagPoint{t.ID, o.Partition, o.Offset}), append(leaders, node)
	}
	r := &lagRound{lags: lags, points: points, leaders: leaders, known: m.times, deadline: deadline}
	m.times = make(map[lagPoint]lagTime, len(r.known))
	all := make([]int, len(lags))
	for i := range all {
		all[i] = i
	}
	stale := m.ask(r, all)
	for _, at := range stale {
		delete(r.known, points[at])
	}
	m.ask(r, stale)
	return lags
}

// ask asks about some of the offsets, and returns those of which the time that was known is not right any more, because what
// it belonged to was deleted.
func (m *lagMeter) ask(r *lagRound, which []int) (stale []int) {
	b := m.broker
	for _, q := range m.questions(r, which) {
		answers, ok := b.set.Positions(q.node, q.ask, r.deadline)
		if !ok {
			continue
		}
		for i, at := range q.of {
			answer, point := answers[i], r.points[at]
			if time, has := r.known[point]; has && answer.Known {
				if answer.Start > point.offset && answer.Start != time.start && !mutant.On("group-lag-keeps-time") {
					stale = append(stale, at)
				}
				answer.Timestamp = time.millis
			}
			r.lags[at].put(answer, b.host.Clock.Wall().UnixMilli())
			if answer.Timestamp >= 0 {
				m.times[point] = lagTime{answer.Start, answer.Timestamp}
			}
		}
	}
	return stale
}

// put puts in what a leader has answered.
func (l *groupLag) put(p shard.Position, wall int64) {
	if !p.Known {
		return
	}
	l.start, l.end = p.Start, p.End
	switch {
	case l.lag() == 0:
		l.seconds = 0
	case p.Timestamp >= 0:
		l.seconds = float64(max(wall-p.Timestamp, 0)) / 1000
	}
}
