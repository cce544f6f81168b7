package node

import (
	"errors"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/shard"
	"millrace/partition"
)

// fetch gives records to consumers. It waits in the connection's write task until there are min_bytes of them, something
// is wrong, or max_wait_ms has passed.
//
// Versions: 4 is the first; 5 tells the log start; 7 has sessions (KIP-227); 9 checks the leader epoch the client knows;
// 11 tells the client's rack and lets it read from replicas that do not lead (KIP-392, see fetch_replicas.go); 12 has tagged
// fields and checks the epoch of the record before; 13 names topics by id; 16 tells who leads, and where it is, to who
// asked another node or knows an old epoch; 15, 17 and 18 concern replicas. Whole batches are answered, at least one even
// when it is larger than the client's limits. The bytes are not copied: the answer refers to segments and cached chunks,
// which are held until it has been sent.
func (b *Broker) fetch(c *call, q *wire.FetchRequest) wire.Message {
	a := wire.NewFetchResponse()
	c.freeFrame()
	session, list, code := b.fetchList(c, q)
	if code != wire.ErrNone {
		a.ErrorCode = code
		b.metrics.failed(code)
		return a
	}
	f := fetchRun{
		broker: b, call: c, committed: q.IsolationLevel == 1, follower: replicaID(q, c.Version) >= 0, rack: q.RackId,
		maxBytes: min(int64(q.MaxBytes), b.fetchMaxBytes),
		deadline: c.Arrived.Add(min(time.Duration(max(q.MaxWaitMs, 0))*time.Millisecond, longestPoll)),
	}
	f.minBytes = min(int64(q.MinBytes), f.maxBytes)
	f.run(list)
	b.fetchAnswer(c, a, &f, session, session != nil && q.SessionEpoch > initialEpoch)
	return a
}

// longestPoll bounds how long a fetch may wait, so that a forgotten connection is seen to be gone.
const longestPoll = 5 * time.Minute

// largestSession is how many partitions a session may have; a fetch of more is answered without one.
const largestSession = 100_000

func replicaID(q *wire.FetchRequest, version int16) int32 {
	if version >= 15 {
		return q.ReplicaState.ReplicaId
	}
	return q.ReplicaId
}

// fetchList finds what is to be fetched: what the request names, or what its session does after the request's changes.
// session is nil for a fetch without one.
func (b *Broker) fetchList(c *call, q *wire.FetchRequest) (session *fetchSession, list []*fetchPartition, code wire.ErrorCode) {
	if c.Version < 7 {
		return nil, requested(q), wire.ErrNone
	}
	byID := c.Version >= 13
	if q.SessionEpoch == initialEpoch || q.SessionEpoch == finalEpoch {
		if q.SessionId != 0 {
			if s := c.client.session; s != nil && s.slot.id == q.SessionId {
				c.client.endSession(b)
			} else {
				b.sessions.end(q.SessionId)
			}
		}
		list = requested(q)
		if q.SessionEpoch == finalEpoch {
			return nil, list, wire.ErrNone
		}
		c.client.endSession(b) // a connection has one session
		if len(list) > largestSession {
			return nil, list, wire.ErrNone
		}
		if slot := b.sessions.take(c, len(list)); slot != nil {
			session = newFetchSession(slot, byID, list)
			c.client.session = session
			list = session.partitions
		}
		return session, list, wire.ErrNone
	}
	session = c.client.session
	switch {
	case session == nil || session.slot.id != q.SessionId || !session.slot.alive():
		return nil, nil, wire.ErrFetchSessionIdNotFound
	case session.epoch != q.SessionEpoch:
		return nil, nil, wire.ErrInvalidFetchSessionEpoch
	case session.byID != byID:
		return nil, nil, wire.ErrFetchSessionTopicIdError
	}
	session.update(q)
	session.epoch = nextEpoch(session.epoch)
	n := len(session.partitions)
	grown := int64(n) > session.slot.size.Load()
	session.slot.touch(c.now(), n)
	if n == 0 || n > largestSession || grown && !b.sessions.grow(c, session.slot, n) {
		c.client.endSession(b) // the client sees session id 0 in the answer
		return nil, session.partitions, wire.ErrNone
	}
	return session, session.partitions, wire.ErrNone
}

// fetchRun is one fetch on its way.
type fetchRun struct {
	broker             *Broker
	call               *call
	committed          bool // isolation level read_committed
	follower           bool
	rack               string // of the client
	maxBytes, minBytes int64
	deadline           host.Instant
	image              *catalog.Image
	items              []fetchItem
	bytes              int64
	confirming         confirmations
	leaders            leaders
	leaderBy           host.Instant // as in producing
	tight              bool         // there was no room in memory for what was found
}

// fetchItem is a partition of a fetch with what was found in it so far.
type fetchItem struct {
	want  *fetchPartition
	topic *catalog.Topic
	at    shard.Partition
	leads bool           // this node led the partition when it was found
	log   *partition.Log // nil when there is none to wait for
	// view is the state of the log when it was read last.
	view   *partition.View
	ranges []*partition.Range
	bytes  int64
	// charged is what they hold in memory, held says that nothing was read for lack of room for it.
	charged int64
	held    bool
	// records is the number of offsets in them.
	records int64
	code    wire.ErrorCode
	// beyond is set while the client's place in the log is not reached here.
	beyond bool
	// preferred is the node that the client should read from instead of this one, -1 for none.
	preferred int32
	// diverges is set when the client's last record is not of this log.
	diverges      bool
	divergesEpoch int32
	divergesEnd   int64
}

// run reads until there is enough, something is wrong, or the time is over.
func (f *fetchRun) run(list []*fetchPartition) {
	f.image = f.broker.set.Catalog()
	f.items = make([]fetchItem, len(list))
	for i, want := range list {
		f.items[i].want, f.items[i].preferred = want, -1
		f.find(&f.items[i])
		f.read(&f.items[i])
	}
	if f.enough() || len(f.items) == 0 {
		return
	}
	w := f.call.waiter
	f.broker.cluster.Watch(w)
	defer f.broker.cluster.Unwatch(w)
	for i := range f.items {
		if log := f.items[i].log; log != nil {
			log.Watch(w)
			defer log.Unwatch(w)
		}
	}
	f.confirm()
	defer f.call.waits(f.call.now())
	for !f.enough() {
		f.refresh()
		if f.enough() || f.call.ending() {
			break
		}
		until := f.until()
		if next := f.again(until); !w.WaitUntil(next) && next == until {
			break
		}
	}
	f.refresh()
	f.giveUp()
}

// enough says that the answer need not wait: it has its bytes, or an error.
func (f *fetchRun) enough() bool {
	if f.bytes >= f.minBytes {
		return true
	}
	for i := range f.items {
		if item := &f.items[i]; item.code != wire.ErrNone || item.diverges || item.preferred >= 0 {
			return true
		}
	}
	return false
}

// refresh reads again what has changed since it was read.
func (f *fetchRun) refresh() {
	for i := range f.items {
		item := &f.items[i]
		if item.log == nil {
			continue
		}
		if item.leads && item.bytes == 0 && !item.at.Shard.Status().Serving {
			item.code, item.log = wire.ErrNotLeaderOrFollower, nil // the client finds the new leader sooner
			continue
		}
		if !item.beyond && !item.held && item.log.View() == item.view {
			continue
		}
		if item.bytes >= min(int64(item.want.maxBytes), f.maxBytes) {
			continue // full already
		}
		item.release(f)
		item.held = false
		f.read(item)
	}
}

func (item *fetchItem) release(f *fetchRun) {
	for _, r := range item.ranges {
		r.Release()
	}
	f.bytes -= item.bytes
	item.refund(f)
	item.ranges, item.bytes, item.records = nil, 0, 0
}

// read finds records for the partition within what is left of the answer's limit.
func (f *fetchRun) read(item *fetchItem) {
	if item.log == nil {
		return
	}
	read := item.log.Read
	if f.committed {
		read = item.log.ReadCommitted
	}
	item.view = item.log.View()
	if f.place(item); item.log == nil || item.beyond {
		return
	}
	offset, limit := item.want.offset, min(int64(item.want.maxBytes), f.maxBytes-f.bytes)
	for {
		room, ok := f.reserve(max(limit-item.bytes, 0))
		if !ok {
			item.held = item.bytes == 0
			return
		}
		r, err := read(offset, int(room), f.bytes == 0)
		item.charge(f, r, room)
		if err != nil && item.bytes > 0 && (errors.Is(err, partition.ErrMissing) || errors.Is(err, partition.ErrCorrupt)) {
			return // what comes before it is answered; the next fetch begins there
		}
		if err != nil {
			item.release(f)
			item.code, item.log = f.fetchError(item, err), nil
			return
		}
		item.view = r.View // the newest one: the high watermark must not be below what is served
		if r.Bytes == 0 {
			r.Release()
			return
		}
		item.ranges = append(item.ranges, r)
		item.bytes += int64(r.Bytes)
		item.records += r.Next - offset
		f.bytes += int64(r.Bytes)
		if offset = r.Next; offset >= r.View.End || item.bytes >= limit {
			return
		}
	}
}

func (f *fetchRun) fetchError(item *fetchItem, err error) wire.ErrorCode {
	version := f.call.Version
	switch {
	case errors.Is(err, partition.ErrOffsetOutOfRange):
		return wire.ErrOffsetOutOfRange
	case errors.Is(err, partition.ErrMissing) && len(item.at.Shard.Members()) == 1: // there is nowhere to fill it from
		return wire.ErrKafkaStorageError
	case errors.Is(err, partition.ErrMissing) && version >= 11: // it is being filled
		return wire.ErrOffsetNotAvailable
	case errors.Is(err, partition.ErrMissing):
		return wire.ErrNotLeaderOrFollower
	case errors.Is(err, partition.ErrDropped) && version >= 13:
		return wire.ErrUnknownTopicId
	case errors.Is(err, partition.ErrDropped):
		return wire.ErrUnknownTopicOrPartition
	}
	return wire.ErrKafkaStorageError
}

// fetchAnswer puts the answer together. An incremental one names only partitions with news.
func (b *Broker) fetchAnswer(c *call, a *wire.FetchResponse, f *fetchRun, session *fetchSession, incremental bool) {
	if session != nil {
		a.SessionId = session.slot.id
	}
	a.Responses = make([]wire.FetchResponseFetchableTopicResponse, 0, min(len(f.items), 16))
	data := make([]wire.FetchResponsePartitionData, 0, len(f.items))
	for i := range f.items {
		item := &f.items[i]
		d := wire.NewFetchResponsePartitionData()
		item.describe(f, &d)
		if session != nil && !item.want.news(&d) && incremental {
			continue
		}
		data = append(data, d)
		topic := lastTopic(a, item.want)
		first := len(data) - 1 - len(topic.Partitions)
		topic.Partitions = data[first:len(data):len(data)]
		b.metrics.failed(d.ErrorCode)
		if item.bytes > 0 {
			b.metrics.fetchedParts.Add(1)
			item.at.Traffic.BytesOut.Add(item.bytes)
			item.at.Traffic.RecordsOut.Add(item.records)
		}
	}
	for _, e := range f.leaders {
		a.NodeEndpoints = append(a.NodeEndpoints, wire.FetchResponseNodeEndpoint{
			NodeId: e.node, Host: e.host, Port: e.port, Rack: text(e.rack),
		})
	}
	if f.bytes > 0 {
		b.metrics.fetched.Add(f.bytes)
	}
	if session != nil && len(f.items) > 1 && f.bytes > 0 {
		session.rotate(func(i int) bool { return f.items[i].bytes > 0 })
	}
}

// lastTopic is the last topic of the answer, or a new one when that is not the partition's.
func lastTopic(a *wire.FetchResponse, want *fetchPartition) *wire.FetchResponseFetchableTopicResponse {
	if n := len(a.Responses); n > 0 {
		if last := &a.Responses[n-1]; last.Topic == want.topic && last.TopicId == want.id {
			return last
		}
	}
	a.Responses = append(a.Responses, wire.FetchResponseFetchableTopicResponse{Topic: want.topic, TopicId: want.id})
	return &a.Responses[len(a.Responses)-1]
}

// describe fills a partition's part of the answer, and leaves what it refers to with the call until it is sent.
func (item *fetchItem) describe(f *fetchRun, d *wire.FetchResponsePartitionData) {
	d.PartitionIndex = item.want.index
	d.ErrorCode = item.code
	d.HighWatermark, d.LastStableOffset, d.LogStartOffset = -1, -1, -1
	if item.code != wire.ErrNone {
		if item.code == wire.ErrUnknownTopicOrPartition || item.code == wire.ErrUnknownTopicId {
			d.AbortedTransactions = []wire.FetchResponseAbortedTransaction{} // null for what only the log refuses
		}
		if item.code == wire.ErrFencedLeaderEpoch || item.code == wire.ErrNotLeaderOrFollower {
			f.tellLeader(item, d)
		}
		return
	}
	d.PreferredReadReplica = item.preferred
	d.HighWatermark, d.LastStableOffset, d.LogStartOffset = item.view.End, item.view.LastStable, item.view.LogStart
	if item.diverges {
		d.DivergingEpoch = wire.FetchResponseEpochEndOffset{Epoch: item.divergesEpoch, EndOffset: item.divergesEnd}
		return
	}
	if f.committed {
		d.AbortedTransactions = []wire.FetchResponseAbortedTransaction{}
	}
	switch len(item.ranges) {
	case 0:
	case 1:
		d.Records.Parts = item.ranges[0].Parts
	default:
		for _, r := range item.ranges {
			d.Records.Parts = append(d.Records.Parts, r.Parts...)
		}
	}
	for _, r := range item.ranges {
		f.call.hold(r)
	}
}
