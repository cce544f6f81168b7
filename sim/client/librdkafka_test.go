package client

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition/batch"
	"millrace/sim"
)

// TestLibrdkafka: what a producer by the rules of librdkafka sends after which answers. Each script has what the broker says to one
// produce after the other (a code, "lost": the connection ends instead, "mute": it says nothing); what follows are answered well.
func TestLibrdkafka(t *testing.T) {
	for _, c := range []struct {
		name    string
		plain   bool
		queue   string // how long a batch may wait; none if it is empty
		says    string
		sent    string // epoch/sequence of each request; a letter names the records
		outcome string
	}{
		{name: "nothing happens", sent: "0/0:a 0/1:b 0/2:c", outcome: "a acked, b acked, c acked"},
		{name: "an answer is lost", says: "lost",
			// All three go again under their sequences, at once and in their order.
			sent: "0/0:a 0/0:a 0/1:b 0/2:c", outcome: "a acked, b acked, c acked"},
		{name: "what follows a batch that failed overtakes nothing", says: "NOT_ENOUGH_REPLICAS OUT_OF_ORDER_SEQUENCE_NUMBER OUT_OF_ORDER_SEQUENCE_NUMBER",
			// The epoch is counted up when nothing is under way any more.
			sent: "0/0:a 0/1:b 0/2:c 1/0:a 1/1:b 1/2:c", outcome: "a acked, b acked, c acked"},
		{name: "who takes the second has the first", says: "REQUEST_TIMED_OUT",
			sent: "0/0:a 0/1:b 0/2:c", outcome: "a acked without an offset, b acked, c acked"},
		{name: "a duplicate is a success", says: "DUPLICATE_SEQUENCE_NUMBER", sent: "0/0:a 0/1:b 0/2:c",
			outcome: "a acked without an offset, b acked, c acked"},
		{name: "a refusal for good leaves a gap", says: "MESSAGE_TOO_LARGE OUT_OF_ORDER_SEQUENCE_NUMBER OUT_OF_ORDER_SEQUENCE_NUMBER",
			sent: "0/0:a 0/1:b 0/2:c 1/0:b 1/1:c", outcome: "a refused, b acked, c acked"},
		{name: "a gap that nothing explains", says: "NONE OUT_OF_ORDER_SEQUENCE_NUMBER",
			sent: "0/0:a 0/1:b 0/2:c", outcome: "violation"},
		{name: "time runs out in the queue", says: "NOT_ENOUGH_REPLICAS mute", queue: "1s",
			// a waits until b and c have their answers, which never come; then it is too late for all of them. What is sent next, d, does
			// not follow them, and has a new epoch.
			sent: "0/0:a 0/1:b 1/0:d", outcome: "a refused, b unknown, c unknown, d acked"},
		{name: "an epoch is counted up with something that may be there", says: "REQUEST_TIMED_OUT OUT_OF_ORDER_SEQUENCE_NUMBER OUT_OF_ORDER_SEQUENCE_NUMBER",
			sent: "0/0:a 0/1:b 0/2:c 1/0:A 1/1:b 1/2:c", outcome: "a unknown, A acked, b acked, c acked"},
		{name: "plain: an answer is lost", plain: true, says: "NONE lost",
			sent: "a b B C", outcome: "a acked, b unknown, B acked, c unknown, C acked"},
		{name: "plain: what certainly is not there", plain: true, says: "NOT_ENOUGH_REPLICAS", sent: "a b c a", outcome: "a acked, b acked, c acked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := script{says: strings.Fields(c.says)}
			if sent, outcome := s.run(!c.plain, c.queue); sent != c.sent || outcome != c.outcome {
				t.Errorf("sent %s, want %s; %s, want %s", sent, c.sent, outcome, c.outcome)
			}
		})
	}
}

// script is a broker that says what it is told to say, and what it was sent.
type script struct {
	says []string
	sent []string
}

// run lets a producer send three batches, and returns what the broker saw and what became of them.
func (s *script) run(idempotent bool, queue string) (sent, outcome string) {
	w := sim.New(1, sim.Options{Limit: 10 * time.Minute})
	defer w.Close()
	w.AddNode("broker").Boot(func(h host.Host) {
		l, err := h.Transport.Listen("broker:9092")
		if err != nil {
			panic(err)
		}
		h.Tasks.Go("accept", func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				h.Tasks.Go("serve", func() { s.serve(c) })
			}
		})
	})
	delivery := time.Minute
	if queue != "" {
		delivery, _ = time.ParseDuration(queue)
	}
	var ends []string
	w.AddNode("c").Boot(func(h host.Host) {
		c := New(h, Options{Name: "c", Brokers: []string{"broker:9092"}, Timeout: 3 * time.Second, Violated: w.Fail})
		p := NewProducer(c, ProducerOptions{Rules: Librdkafka, Idempotent: idempotent, Acks: -1, Delivery: delivery,
			Again: func(b *Batch) *Batch {
				return &Batch{Topic: b.Topic, Records: []Record{{Value: []byte(strings.ToUpper(string(b.Records[0].Value)))}}}
			},
			Done: func(b *Batch) {
				end := fmt.Sprintf("%s %v", b.Records[0].Value, b.Outcome)
				if b.Outcome == Acked && b.Offset < 0 {
					end += " without an offset"
				}
				ends = append(ends, end)
			}})
		for _, v := range []string{"a", "b", "c"} {
			p.Send(&Batch{Topic: "t", Records: []Record{{Value: []byte(v)}}})
		}
		for p.Pump() {
		}
		if queue != "" {
			p.Send(&Batch{Topic: "t", Records: []Record{{Value: []byte("d")}}})
			for p.Pump() {
			}
		}
		c.Close()
		w.Stop()
	})
	if err := w.Run(); err != nil {
		var v *Violation
		if errors.As(err, &v) {
			return strings.Join(s.sent, " "), "violation"
		}
		return "", err.Error()
	}
	slices.SortStableFunc(ends, func(a, b string) int { return strings.Compare(strings.ToLower(a[:1]), strings.ToLower(b[:1])) })
	return strings.Join(s.sent, " "), strings.Join(ends, ", ")
}

func (s *script) serve(c host.Conn) {
	defer c.Close()
	for {
		var prefix [wire.FrameSizeBytes]byte
		if _, err := io.ReadFull(c, prefix[:]); err != nil {
			return
		}
		n, err := wire.RequestFrameSize(prefix[:], 1<<20)
		if err != nil {
			panic(err)
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		r := wire.NewReader(frame)
		h := wire.ReadRequestHeader(r)
		m, err := wire.DecodeRequest(r, h)
		if err != nil {
			panic(err)
		}
		answer := s.answer(c, m)
		if answer == nil {
			return
		}
		parts, err := wire.EncodeResponse(nil, h.APIVersion, h.CorrelationID, answer)
		if err != nil {
			panic(err)
		}
		if _, err := c.Send(parts...); err != nil {
			return
		}
	}
}

// answer returns nil when the connection is to end.
func (s *script) answer(c host.Conn, m wire.Message) wire.Message {
	switch m := m.(type) {
	case *wire.ApiVersionsRequest:
		a := wire.NewApiVersionsResponse()
		for _, key := range []int16{wire.KeyProduce, wire.KeyMetadata, wire.KeyInitProducerId} {
			api, _ := wire.Lookup(key)
			a.ApiKeys = append(a.ApiKeys, wire.ApiVersionsResponseApiVersion{ApiKey: key, MinVersion: api.Min, MaxVersion: min(api.Max, 12)})
		}
		return a
	case *wire.MetadataRequest:
		a, name := wire.NewMetadataResponse(), "t"
		a.Brokers = []wire.MetadataResponseBroker{{NodeId: 1, Host: "broker", Port: 9092}}
		a.Topics = []wire.MetadataResponseTopic{{Name: &name, TopicId: wire.UUID{1}, Partitions: []wire.MetadataResponsePartition{{LeaderId: 1}}}}
		return a
	case *wire.InitProducerIdRequest:
		a := wire.NewInitProducerIdResponse()
		a.ProducerId = 7
		return a
	case *wire.ProduceRequest:
		return s.produced(c, m.TopicData[0].PartitionData[0].Records)
	}
	panic(fmt.Sprintf("%T", m))
}

// produced notes a batch, and says what is next.
func (s *script) produced(c host.Conn, b []byte) wire.Message {
	r, err := batch.Read(b, nil, 1<<20)
	if err != nil {
		panic(err)
	}
	var record batch.Record
	r.Next(&record)
	what := string(record.Value)
	if h := r.Header(); h.ProducerID >= 0 {
		what = fmt.Sprintf("%d/%d:%s", h.ProducerEpoch, h.BaseSequence, what)
	}
	s.sent = append(s.sent, what)
	code := wire.ErrNone
	if len(s.says) > 0 {
		say := s.says[0]
		s.says = s.says[1:]
		switch say {
		case "lost":
			return nil
		case "mute": // until the client has had enough
			for err := error(nil); err == nil; {
				_, err = c.Read(make([]byte, 1<<20))
			}
			return nil
		}
		for code = range wire.ErrorCode(200) {
			if code.String() == say {
				break
			}
		}
	}
	a := wire.NewProduceResponse()
	part := wire.NewProduceResponsePartitionProduceResponse()
	part.ErrorCode, part.BaseOffset = code, int64(len(s.sent))
	a.Responses = []wire.ProduceResponseTopicProduceResponse{{Name: "t", TopicId: wire.UUID{1}, PartitionResponses: []wire.ProduceResponsePartitionProduceResponse{part}}}
	return a
}
