package client

import (
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition/batch"
)

// start sends batches over the connection on which others are under way, even if that has just ended, or any if none are.
func (p *Producer) start(addr string, batches []*Batch, now host.Instant) (*Call, error) {
	call, err := p.startOnAny(addr, p.message(batches, now))
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		b.Connection = call.conn.number
	}
	return call, nil
}

func (p *Producer) startOnAny(addr string, m wire.Message) (*Call, error) {
	for _, r := range p.flying {
		if r.addr == addr {
			return p.c.startOn(r.call.conn, m)
		}
	}
	return p.c.Start(addr, m)
}

// message is the request that carries some batches.
func (p *Producer) message(batches []*Batch, now host.Instant) *wire.ProduceRequest {
	m := wire.NewProduceRequest()
	m.Acks, m.TimeoutMs = p.o.Acks, int32(p.c.o.Timeout/2/time.Millisecond)
	for _, b := range batches {
		if b.Attempts == 0 || b.renewed {
			b.Called, b.renewed = now, false
		}
		b.Attempts++
		if b.ambiguous && p.c.o.Repeats != nil {
			p.c.o.Repeats()
		}
		if p.o.Idempotent && !b.sequenced {
			b.producer, b.epoch, b.sequence, b.sequenced, b.bytes = p.id, p.epoch, p.sequences[b.lane()], true, nil
			b.Session = p.sessions
			p.sequences[b.lane()] = batch.AddSequence(b.sequence, int32(len(b.Records)))
		}
		if b.bytes == nil {
			b.bytes = encode(b.Records, b.Codec, b.producer, b.epoch, b.sequence, p.c.o.Coders)
		}
		b.topic = p.c.topicID(b.Topic)
		data := wire.ProduceRequestPartitionProduceData{Index: b.Partition, Records: b.bytes}
		i := slices.IndexFunc(m.TopicData, func(t wire.ProduceRequestTopicProduceData) bool { return t.Name == b.Topic })
		if i < 0 {
			i = len(m.TopicData)
			m.TopicData = append(m.TopicData, wire.ProduceRequestTopicProduceData{Name: b.Topic, TopicId: b.topic})
		}
		m.TopicData[i].PartitionData = append(m.TopicData[i].PartitionData, data)
	}
	return m
}
