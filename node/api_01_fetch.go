package node

import (
	"errors"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/partition"
)

// fetch gives records to consumers. It waits in the connection's write task until there are min_bytes of them, something
// is wrong, or max_wait_ms has passed.
//
// Versions: 4 is the first; 5 tells the log start; 7 has sessions (KIP-227); 9 checks the leader epoch the client knows;
// 11 may name a replica to read from, which is never done here; 12 has tagged fields and checks the epoch of the record
// before; 13 names topics by id; 15 to 18 concern followers. Whole batches are answered, at least one even when it is
// larger than the client's limits. The bytes are not copied: the answer refers to segments and cached chunks, which are
// held until it has been sent.
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
		broker: b, call: c, committed: q.IsolationLevel == 1, follower: replicaID(q, c.Version) >= 0,
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
			b.sessions.end(q.SessionId)
			if s := c.client.session; s != nil && s.slot.id == q.SessionId {
				c.client.session = nil
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
	session.slot.touch(c.now(), len(session.partitions))
	if n := len(session.partitions); n == 0 || n > largestSession {
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
	maxBytes, minBytes int64
	deadline           host.Instant
	items              []fetchItem
	bytes              int64
}

// fetchItem is a partition of a fetch with what was found in it so far.
type fetchItem struct {
	want *fetchPartition
	log  *partition.Log // nil when there is none to wait for
	// view is the state of the log when it was read last.
	view   *partition.View
	ranges []*partition.Range
	bytes  int64
	epoch  int32 // the partition's leader epoch
	code   wire.ErrorCode
	// diverges is set when the client's last record is not of this log.
	diverges      bool
	divergesEpoch int32
	divergesEnd   int64
}

// run reads until there is enough, something is wrong, or the time is over.
func (f *fetchRun) run(list []*fetchPartition) {
	image := f.broker.set.Catalog()
	f.items = make([]fetchItem, len(list))
	for i, want := range list {
		f.items[i].want = want
		f.find(image, &f.items[i])
		f.read(&f.items[i])
	}
	if f.enough() || len(f.items) == 0 {
		return
	}
	w := f.call.waiter
	for i := range f.items {
		if log := f.items[i].log; log != nil {
			log.Watch(w)
			defer log.Unwatch(w)
		}
	}
	for !f.enough() {
		f.refresh()
		if f.enough() || f.call.ending() || !w.WaitUntil(f.deadline) {
			break
		}
	}
	f.refresh()
}

// enough says that the answer need not wait: it has its bytes, or an error.
func (f *fetchRun) enough() bool {
	if f.bytes >= f.minBytes {
		return true
	}
	for i := range f.items {
		if f.items[i].code != wire.ErrNone || f.items[i].diverges {
			return true
		}
	}
	return false
}

// refresh reads again what has changed since it was read.
func (f *fetchRun) refresh() {
	for i := range f.items {
		item := &f.items[i]
		if item.log == nil || item.log.View() == item.view {
			continue
		}
		if item.bytes >= min(int64(item.want.maxBytes), f.maxBytes) {
			continue // full already
		}
		item.release(f)
		f.read(item)
	}
}

func (item *fetchItem) release(f *fetchRun) {
	for _, r := range item.ranges {
		r.Release()
	}
	f.bytes -= item.bytes
	item.ranges, item.bytes = nil, 0
}

// find looks the partition up and checks the epochs that the client knows.
func (f *fetchRun) find(image *catalog.Image, item *fetchItem) {
	want := item.want
	id := want.id
	if f.call.Version < 13 {
		t, ok := image.Topic(want.topic)
		if !ok {
			item.code = wire.ErrUnknownTopicOrPartition
			return
		}
		id = wire.UUID(t.ID)
	} else if _, ok := image.TopicByID(id); !ok {
		item.code = wire.ErrUnknownTopicId
		return
	}
	p, code := f.broker.set.Lookup(id, want.index)
	if code != wire.ErrNone {
		item.code = code
		return
	}
	item.epoch = p.LeaderEpoch
	if item.code = checkEpoch(want.leaderEpoch, p.LeaderEpoch); item.code != wire.ErrNone {
		return
	}
	if f.follower {
		item.code = wire.ErrNotLeaderOrFollower // replicas of this cluster do not fetch by this API
		return
	}
	if want.lastEpoch >= 0 {
		epoch, end := epochEnd(p, want.lastEpoch)
		if end < 0 {
			item.code = wire.ErrOffsetOutOfRange
			return
		}
		if epoch < want.lastEpoch || end < want.offset {
			item.diverges, item.divergesEpoch, item.divergesEnd = true, epoch, end
			item.view = p.Log.View()
			return
		}
	}
	item.log = p.Log
}

// checkEpoch compares the leader epoch that a client knows, -1 for none, with the partition's.
func checkEpoch(known, current int32) wire.ErrorCode {
	switch {
	case known >= 0 && known < current:
		return wire.ErrFencedLeaderEpoch
	case known > current:
		return wire.ErrUnknownLeaderEpoch
	}
	return wire.ErrNone
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
	offset, limit := item.want.offset, min(int64(item.want.maxBytes), f.maxBytes-f.bytes)
	for {
		r, err := read(offset, int(max(limit-item.bytes, 0)), f.bytes == 0)
		if err != nil {
			item.release(f)
			item.code, item.log = fetchError(err, f.call.Version), nil
			return
		}
		item.view = r.View // the newest one: the high watermark must not be below what is served
		if r.Bytes == 0 {
			r.Release()
			return
		}
		item.ranges = append(item.ranges, r)
		item.bytes += int64(r.Bytes)
		f.bytes += int64(r.Bytes)
		if offset = r.Next; offset >= r.View.End || item.bytes >= limit {
			return
		}
	}
}

func fetchError(err error, version int16) wire.ErrorCode {
	switch {
	case errors.Is(err, partition.ErrOffsetOutOfRange):
		return wire.ErrOffsetOutOfRange
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
		if item.code == wire.ErrFencedLeaderEpoch || item.code == wire.ErrUnknownLeaderEpoch {
			d.CurrentLeader = wire.FetchResponseLeaderIdAndEpoch{LeaderId: f.broker.config.NodeID, LeaderEpoch: item.epoch}
		}
		return
	}
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
