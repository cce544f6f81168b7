package client

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition/batch"
)

// inFlight is how many requests a producer has under way to one broker, as the usual clients have.
const inFlight = 5

// Outcome says what became of a batch.
type Outcome int

// The outcomes.
const (
	Pending Outcome = iota
	Acked           // at Offset; -1 when the broker only says that it has it
	Refused         // for certain: no attempt can have had an effect
	Unknown         // it may be there, now or later
)

func (o Outcome) String() string { return [...]string{"pending", "acked", "refused", "unknown"}[o] }

// Batch is a batch on its way.
type Batch struct {
	Topic     string
	Partition int32
	Records   []Record
	Codec     batch.Codec

	Outcome  Outcome
	Offset   int64
	Time     int64 // LogAppendTime, -1 without
	Err      error
	Attempts int
	// Connection is the number of the client's connection on which it was last sent, 0 for one that was not.
	Connection int
	// Called is the time of the first attempt, Returned that of the outcome.
	Called, Returned host.Instant
	// Local and Correlation name the request whose answer acknowledged it, as Options.Produces does.
	Local       string
	Correlation int32

	// Session counts the ids and epochs of its producer: that under which it was sent last.
	Session int

	topic     wire.UUID // as it was named in the last request: the topic may be made anew before the answer comes
	order     uint64
	created   host.Instant
	retryAt   host.Instant
	ambiguous bool
	first     int64 // the offset of the first ack, to compare
	producer  int64
	epoch     int16
	sequence  int32
	sequenced bool
	renewed   bool // nothing of it is anywhere, and what comes next is its first attempt
	bytes     []byte
}

type lane struct {
	topic     string
	partition int32
}

func (b *Batch) lane() lane { return lane{b.Topic, b.Partition} }

// ProducerOptions are the rules of a producer.
type ProducerOptions struct {
	// Rules are whose conclusions it draws from answers, and from their absence.
	Rules      Rules
	Idempotent bool
	Acks       int16
	// Retries lets a producer that is not idempotent send again what was refused for now, which may put a batch behind
	// later ones. What has no answer it does not send again, since nobody could tell it from a duplicate.
	Retries bool
	// Delivery is the time after which a batch is given up.
	Delivery time.Duration
	// Refused is from how many bytes on some brokers refuse a batch for good and others take it, 0 when all are alike. The
	// refusal may be lost, and what came behind it be taken for the beginning.
	Refused int
	// PerRequest is how many partitions one request carries at most; 0 means any number.
	PerRequest int
	// InFlight is how many requests are under way to one broker at most; 0 means 5.
	InFlight int
	// Again, if not nil, makes the copy that librdkafka sends of a batch which may be there already, where no sequence
	// tells the two apart. The batch itself becomes unknown.
	Again func(*Batch) *Batch
	// Reached, if not nil, is told what a producer by the rules of librdkafka came to.
	Reached func(string)
	// Done is called when the outcome of a batch is known.
	Done func(*Batch)
}

// Producer sends batches. It is driven by its task: Send, then Pump until nothing is left.
type Producer struct {
	c         *Client
	o         ProducerOptions
	id        int64
	epoch     int16
	sequences map[lane]int32
	queue     []*Batch // waiting, by order
	flying    []*request
	orders    uint64
	stale     bool // a sequence was lost: a new epoch is needed before anything else is sent
	attempt   int
	unchecked map[string]bool // topics whose metadata must be asked for
	sessions  int             // ids and epochs so far
	rd        librdkafka
}

// request is one Produce request under way.
type request struct {
	addr    string
	batches []*Batch
	call    *Call
}

// NewProducer returns a producer without a producer id yet.
func NewProducer(c *Client, o ProducerOptions) *Producer {
	o.InFlight = cmp.Or(o.InFlight, inFlight)
	return &Producer{c: c, o: o, id: -1, epoch: -1, sequences: make(map[lane]int32), unchecked: make(map[string]bool), rd: newLibrdkafka()}
}

// Send queues a batch. Records of a partition keep the order of Send.
func (p *Producer) Send(b *Batch) {
	p.orders++
	b.order, b.created, b.Offset, b.Time, b.first, b.producer, b.epoch = p.orders, p.c.h.Clock.Now(), -1, -1, -1, -1, -1
	b.sequence = batch.NoSequence
	p.queue = append(p.queue, b)
}

// Left is the number of batches without an outcome.
func (p *Producer) Left() int {
	n := len(p.queue)
	for _, r := range p.flying {
		n += len(r.batches)
	}
	return n
}

// Flying is the number of requests under way.
func (p *Producer) Flying() int { return len(p.flying) }

// Abandon makes every batch that has no outcome unknown, or refused if it was never sent.
func (p *Producer) Abandon() {
	for _, r := range p.flying {
		for _, b := range r.batches {
			b.ambiguous = true
			p.finish(b, Unknown, ErrUnanswered)
		}
	}
	p.flying = nil
	for _, b := range p.queue {
		p.giveUp(b, ErrUnanswered)
	}
	p.queue = nil
}

// Pump sends what may be sent and waits for one answer, if one is to come, or for the next attempt. It returns false
// when nothing is left.
func (p *Producer) Pump() bool {
	p.expire()
	if p.Left() == 0 {
		return false
	}
	p.launch()
	if len(p.flying) > 0 {
		r := p.flying[0]
		p.flying = slices.Delete(p.flying, 0, 1)
		answer := r.call.Wait()
		p.c.violated(answer.Err)
		p.settle(r, answer)
		return true
	}
	if len(p.queue) > 0 {
		p.attempt++
		p.c.h.Clock.Sleep(backoff(p.attempt))
	}
	return true
}

// Take takes the answers that have come by now. It sends nothing and does not wait.
func (p *Producer) Take() {
	for i := 0; i < len(p.flying); {
		r := p.flying[i]
		answer, ok := r.call.done.Try()
		if !ok {
			i++
			continue
		}
		p.flying = slices.Delete(p.flying, i, i+1)
		p.c.violated(answer.Err)
		p.settle(r, answer)
	}
}

// expire gives up what waits for too long.
func (p *Producer) expire() {
	now := p.c.h.Clock.Now()
	p.queue = slices.DeleteFunc(p.queue, func(b *Batch) bool {
		if now.Sub(b.created) < p.o.Delivery {
			return false
		}
		if b.sequenced || p.o.Rules == Librdkafka && p.o.Idempotent && p.id >= 0 {
			p.stale = true
		}
		err := b.Err
		if err == nil {
			err = errors.New("never sent")
		}
		p.giveUp(b, err)
		return true
	})
}

func (p *Producer) giveUp(b *Batch, err error) {
	if b.ambiguous {
		p.finish(b, Unknown, err)
	} else {
		p.finish(b, Refused, err)
	}
}

func (p *Producer) finish(b *Batch, o Outcome, err error) {
	b.Outcome, b.Err, b.Returned = o, err, p.c.h.Clock.Now()
	if p.o.Done != nil {
		p.o.Done(b)
	}
}

// launch sends as many requests as may be under way.
func (p *Producer) launch() {
	for range max(inFlight, p.o.InFlight) {
		if p.stale && len(p.flying) > 0 || p.o.Idempotent && (p.id < 0 || p.stale) && !p.identify() {
			return
		}
		if !p.launchOne() {
			return
		}
	}
}

// launchOne sends one request; false when there is nothing to send.
func (p *Producer) launchOne() bool {
	now := p.c.h.Clock.Now()
	if !p.refresh() {
		return false
	}
	pick := p.pick
	if p.o.Rules == Librdkafka {
		pick = p.pickOne
	}
	addr, take := pick(now)
	if len(take) == 0 || p.flyingTo(addr) >= p.o.InFlight || p.interrupted(addr) {
		return false
	}
	p.queue = slices.DeleteFunc(p.queue, func(b *Batch) bool { return slices.Contains(take, b) })
	call, err := p.start(addr, take, now)
	if err != nil {
		p.requeue(take, err, false)
		p.attempt++
		p.c.h.Clock.Sleep(backoff(p.attempt))
		return false
	}
	p.flying = append(p.flying, &request{addr: addr, batches: take, call: call})
	return true
}

// pick chooses the next batch of each partition that one broker leads.
func (p *Producer) pick(now host.Instant) (addr string, take []*Batch) {
	taken := make(map[lane]bool)
	for _, b := range p.queue {
		leader := p.c.Leader(b.Topic, b.Partition)
		switch {
		case taken[b.lane()] || p.o.PerRequest > 0 && len(take) == p.o.PerRequest:
			continue
		case b.retryAt > now, b.Attempts > 0 && p.isFlying(b.lane()), p.fliesElsewhere(b.lane(), leader), leader == "":
			taken[b.lane()] = true // what follows it must wait too
			if leader == "" {
				p.unchecked[b.Topic] = true
			}
			continue
		case addr == "":
			addr = leader
		case addr != leader:
			continue
		}
		taken[b.lane()] = true
		take = append(take, b)
	}
	return addr, take
}

// refresh asks for the metadata of topics that need it; false when it did not come.
func (p *Producer) refresh() bool {
	var names []string
	for _, b := range p.queue {
		if (p.unchecked[b.Topic] || p.c.Topic(b.Topic) == nil) && !slices.Contains(names, b.Topic) {
			names = append(names, b.Topic)
		}
	}
	if len(names) == 0 {
		return true
	}
	if err := p.c.Refresh(names...); err != nil {
		for _, b := range p.queue {
			b.Err = err
		}
		var code wire.ErrorCode
		if !errors.As(err, &code) {
			return false
		}
	}
	clear(p.unchecked)
	return true
}

func (p *Producer) isFlying(l lane) bool {
	return slices.ContainsFunc(p.flying, func(r *request) bool {
		return slices.ContainsFunc(r.batches, func(b *Batch) bool { return b.lane() == l })
	})
}

// fliesElsewhere says that a batch of the lane is under way to another broker than its leader: nothing may overtake it
// there; see interrupted.
func (p *Producer) fliesElsewhere(l lane, leader string) bool {
	return slices.ContainsFunc(p.flying, func(r *request) bool {
		return r.addr != leader && slices.ContainsFunc(r.batches, func(b *Batch) bool { return b.lane() == l })
	})
}

func (p *Producer) flyingTo(addr string) int {
	n := 0
	for _, r := range p.flying {
		if r.addr == addr {
			n++
		}
	}
	return n
}

// interrupted says that a request is under way on a connection that has ended. Nothing may overtake it on another one:
// to a broker that knows nothing of the producer yet, a later sequence looks like the first.
func (p *Producer) interrupted(addr string) bool {
	return slices.ContainsFunc(p.flying, func(r *request) bool { return r.addr == addr && !r.call.conn.alive() })
}
