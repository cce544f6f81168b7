package node

import (
	"errors"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/config"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/shard"
	"millrace/partition"
	"millrace/partition/batch"
)

// produce appends record batches.
//
// Versions: 3 is the first that is served (record batches of format 2); 5 answers the log start; 7 allows zstd; 8 names
// the records at fault; 9 has tagged fields; 10 tells the leader after NOT_LEADER_OR_FOLLOWER, and where it is; 13 names
// topics by id. acks=0 is not answered, and a batch that is refused closes the connection, as in Kafka; acks=1 is answered
// when the batches are durable here, acks=-1 when they are applied, which is after they are durable on a majority. What
// became of a batch that has not been committed when the time is over is not known: REQUEST_TIMED_OUT.
//
// Transactional batches are refused with INVALID_TXN_STATE, which is what Kafka says to a batch outside a transaction:
// there are no transactions here, so there is none that it could be in. In a request without a transactional id they are
// what nobody is authorized to send.
//
// begin runs in the read task and fixes the order; the second stage waits.
func (b *Broker) produce(c *call, q *wire.ProduceRequest) func() wire.Message {
	p := &producing{call: c, request: q, acks: q.Acks, image: b.set.Catalog()}
	p.deadline = c.Arrived.Add(max(time.Duration(q.TimeoutMs)*time.Millisecond, leastProduceTimeout))
	n := 0
	for i := range q.TopicData {
		n += len(q.TopicData[i].PartitionData)
	}
	p.parts = make([]produced, 0, n)
	p.topics = make([]wire.ProduceResponseTopicProduceResponse, 0, len(q.TopicData))
	q.TopicData = slices.DeleteFunc(q.TopicData, func(t wire.ProduceRequestTopicProduceData) bool { return len(t.PartitionData) == 0 })
	for i := range q.TopicData {
		p.begin(&q.TopicData[i])
		p.topics = append(p.topics, wire.ProduceResponseTopicProduceResponse{Name: q.TopicData[i].Name, TopicId: q.TopicData[i].TopicId})
	}
	return p.finish
}

// leastProduceTimeout is how long an acknowledgement is waited for at least. Kafka answers acks=1 and a partition without
// followers whatever the timeout says, since it waits for no disk.
const leastProduceTimeout = 5 * time.Second

// producing is one produce request on its way.
type producing struct {
	call     *call
	request  *wire.ProduceRequest
	acks     int16
	image    *catalog.Image
	deadline host.Instant
	parts    []produced // in the order of the request
	topics   []wire.ProduceResponseTopicProduceResponse
	leaders  leaders
	leaderBy host.Instant // until when the answer waits for new leaders; 0: nobody has asked yet
}

// produced is one partition of the request: refused, or pending.
type produced struct {
	topic   *catalog.Topic
	index   int32
	log     *partition.Log // nil when there is none
	pending *shard.Pending
	code    wire.ErrorCode
	message string
	records []batch.RecordError
	bytes   int
	count   int32
	traffic *shard.Traffic
}

// begin puts one topic's batches in line.
func (p *producing) begin(t *wire.ProduceRequestTopicProduceData) {
	b := p.call.broker
	topic, ok := p.topic(t)
	var settings config.Topic
	refused := produced{}
	switch {
	case p.acks < -1 || p.acks > 1:
		refused.code = wire.ErrInvalidRequiredAcks
	case !ok && p.call.Version >= 13:
		refused.code = wire.ErrUnknownTopicId
	case !ok:
		refused.code = wire.ErrUnknownTopicOrPartition
	case isInternal(topic.Name) && p.call.clientID != adminClientID:
		refused.code, refused.message = wire.ErrInvalidTopicException, "Cannot append to internal topic "+topic.Name
	default:
		settings = p.call.client.topicConfig(b, p.image, topic)
		refused.topic = topic
	}
	for i := range t.PartitionData {
		d := &t.PartitionData[i]
		part := refused
		part.index = d.Index
		key := turnedAwayKey{topic: t.Name, id: t.TopicId, index: d.Index}
		if part.code == wire.ErrNone {
			p.append(&part, topic, &settings, key, d.Records)
		}
		if turnsAway(part.code) {
			p.call.client.noteTurnedAway(key, d.Records, p.call.Arrived)
		}
		p.parts = append(p.parts, part)
	}
}

// adminClientID is the client id of the tools that Kafka lets write to internal topics.
const adminClientID = "__admin_client"

func (p *producing) topic(t *wire.ProduceRequestTopicProduceData) (*catalog.Topic, bool) {
	if p.call.Version >= 13 {
		return p.image.TopicByID(t.TopicId)
	}
	return p.image.Topic(t.Name)
}

// append validates one batch and hands it to its shard.
func (p *producing) append(part *produced, topic *catalog.Topic, settings *config.Topic, key turnedAwayKey, records []byte) {
	b := p.call.broker
	at, code := b.cluster.Lookup(topic.ID, part.index)
	if code != wire.ErrNone {
		part.code = code
		return
	}
	part.log = at.Log
	info, err := b.rooms.validate(p.call.ending, records, batch.Options{
		Topic: topic.Name, Partition: part.index, Version: p.call.Version, Now: b.host.Clock.Wall().UnixMilli(),
		MaxBytes: settings.MaxMessageBytes, SegmentBytes: int(settings.SegmentBytes), Compacted: settings.Compact,
		LogAppendTime: settings.LogAppendTime, BeforeMax: settings.TimestampBeforeMs, AfterMax: settings.TimestampAfterMs,
		Compression: storedCodec(settings.Compression),
	})
	if err == nil && info.Transactional() {
		err = &batch.Error{Code: batch.InvalidTxnState, Message: noTransactions}
		if p.request.TransactionalId == nil {
			err = &batch.Error{Code: batch.TransactionalIDAuthorizationFailed, Message: noTransactions}
		}
	}
	if err != nil {
		part.refuse(err)
		return
	}
	hold := p.call.Frame
	if info.Rewritten {
		hold = nil // the bytes are new ones
	}
	acks := p.acks
	if mutant.On("produce-answered-before-durable") {
		acks = 0
	}
	part.bytes, part.count, part.traffic = len(info.Bytes), info.LastOffsetDelta+1, at.Traffic
	if p.call.client.followsTurnedAway(key, &info.Header, p.call.Arrived) {
		part.pending = at.Shard.AppendNext(at.ID, info, hold, acks)
	} else {
		part.pending = at.Shard.Append(at.ID, info, hold, acks)
	}
}

func (part *produced) refuse(err error) {
	var e *batch.Error
	if !errors.As(err, &e) {
		part.code, part.message = wire.ErrUnknownServerError, err.Error()
		return
	}
	part.code, part.message, part.records = wire.ErrorCode(e.Code), e.Message, e.Records
	if e.Early {
		part.log = nil
	}
}

// storedCodec is the compression in which a topic keeps batches.
func storedCodec(name string) batch.Codec {
	switch name {
	case "uncompressed":
		return batch.None
	case "gzip":
		return batch.Gzip
	case "snappy":
		return batch.Snappy
	case "lz4":
		return batch.LZ4
	case "zstd":
		return batch.Zstd
	}
	return batch.Producer
}

// finish waits for what was put in line and answers.
func (p *producing) finish() wire.Message {
	b := p.call.broker
	answers := make([]wire.ProduceResponsePartitionProduceResponse, len(p.parts))
	next := 0
	for i := range p.topics {
		n := len(p.request.TopicData[i].PartitionData)
		p.topics[i].PartitionResponses = answers[next : next+n : next+n]
		next += n
	}
	for i := range p.parts {
		part, a := &p.parts[i], &answers[i]
		a.SetDefaults()
		a.Index, a.BaseOffset = part.index, -1
		if part.pending != nil && p.acks != 0 {
			p.await(part, a)
		}
		if part.code != wire.ErrNone {
			p.describe(part, a)
			b.metrics.failed(part.code)
			p.call.hangUp = p.call.hangUp || p.acks == 0
		} else {
			b.metrics.produced.Add(int64(part.bytes))
			b.metrics.producedBatches.Add(1)
			part.traffic.BytesIn.Add(int64(part.bytes))
			part.traffic.RecordsIn.Add(int64(part.count))
		}
	}
	if p.acks == 0 {
		return nil
	}
	a := wire.NewProduceResponse()
	a.Responses = p.topics
	for _, e := range p.leaders {
		a.NodeEndpoints = append(a.NodeEndpoints, wire.ProduceResponseNodeEndpoint{
			NodeId: e.node, Host: e.host, Port: e.port, Rack: text(e.rack),
		})
	}
	return a
}

// await waits for the fate of one batch.
func (p *producing) await(part *produced, a *wire.ProduceResponsePartitionProduceResponse) {
	result, ok := outlast(p.call, part.pending, p.deadline)
	if !ok {
		part.code = wire.ErrRequestTimedOut
		return
	}
	p.call.times = later(p.call.times, result.Times)
	if part.code, part.message = result.Error, result.Message; part.code != wire.ErrNone {
		return
	}
	a.BaseOffset, a.LogAppendTimeMs, a.LogStartOffset = result.BaseOffset, result.LogAppendTime, result.LogStart
}

// ofTheLog says of an error that Kafka answers the log's start with it: what is neither a matter of the partition's place
// nor of the batch as bytes.
func (p *producing) ofTheLog(code wire.ErrorCode) bool {
	switch code {
	case wire.ErrUnknownTopicOrPartition, wire.ErrUnknownTopicId, wire.ErrNotLeaderOrFollower, wire.ErrMessageTooLarge,
		wire.ErrRecordListTooLarge, wire.ErrCorruptMessage, wire.ErrKafkaStorageError, wire.ErrRequestTimedOut,
		wire.ErrTransactionalIdAuthorizationFailed, wire.ErrUnsupportedForMessageFormat:
		return false
	}
	return true
}

// describe fills in what was wrong.
func (p *producing) describe(part *produced, a *wire.ProduceResponsePartitionProduceResponse) {
	a.ErrorCode = part.code
	if part.message != "" {
		a.ErrorMessage = &part.message
	}
	if part.log != nil && p.ofTheLog(part.code) {
		a.LogStartOffset = part.log.View().LogStart
	}
	for i := range part.records {
		a.RecordErrors = append(a.RecordErrors, wire.ProduceResponseBatchIndexAndErrorMessage{
			BatchIndex: part.records[i].Index, BatchIndexErrorMessage: &part.records[i].Message,
		})
	}
	if part.code == wire.ErrNotLeaderOrFollower && p.call.Version >= 10 {
		if p.leaderBy == 0 {
			p.leaderBy = p.call.now().Add(findLeader)
		}
		image := p.call.broker.set.Catalog()
		l := p.call.awaitLeader(image, part.topic, int(part.index), p.leaderBy)
		if p.leaders.add(p.call, image, l.leader) {
			a.CurrentLeader = wire.ProduceResponseLeaderIdAndEpoch{LeaderId: l.leader, LeaderEpoch: l.epoch}
		}
	}
}
