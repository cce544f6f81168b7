package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition/batch"
)

// Options of a client.
type Options struct {
	// Name is the client id, and the prefix of its tasks' names.
	Name string
	// Brokers are the addresses to begin with.
	Brokers []string
	// Timeout is the time that one request may take.
	Timeout time.Duration
	// Lazy is how long the client waits before it reads each piece of a large answer; 0 reads at once.
	Lazy time.Duration
	// Version chooses among what client and broker both have; nil takes the highest.
	Version func(key, low, high int16) int16
	// Coders compress and decompress; nil makes new ones for each batch.
	Coders *batch.Coders
	// Violated is told what a broker must never do.
	Violated func(error)
}

// Client is a number of connections and what is known of the cluster.
type Client struct {
	h       host.Host
	o       Options
	conns   map[string]*conn
	brokers map[int32]string
	topics  map[string]*Topic
	dials   int
}

// Topic is what metadata says of a topic.
type Topic struct {
	ID         wire.UUID
	Partitions []Partition
}

// Partition is what metadata says of a partition.
type Partition struct {
	Leader      int32
	LeaderEpoch int32
}

// New returns a client that has not connected yet.
func New(h host.Host, o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	return &Client{h: h, o: o, conns: make(map[string]*conn), brokers: make(map[int32]string), topics: make(map[string]*Topic)}
}

// Close ends the connections.
func (c *Client) Close() {
	for _, addr := range slices.Sorted(maps.Keys(c.conns)) {
		c.conns[addr].close()
	}
	clear(c.conns)
}

// connect returns a connection to an address.
func (c *Client) connect(addr string) (*conn, error) {
	if x := c.conns[addr]; x != nil {
		if x.alive() {
			return x, nil
		}
		x.close()
		delete(c.conns, addr)
	}
	c.dials++
	x, err := dial(c.h, addr, c.o.Name, c.o.Lazy, c.h.Clock.Now().Add(c.o.Timeout))
	if err != nil {
		c.violated(err)
		return nil, err
	}
	c.conns[addr] = x
	return x, nil
}

// violated reports an error if it is a violation.
func (c *Client) violated(err error) {
	var v *Violation
	if errors.As(err, &v) && c.o.Violated != nil {
		c.o.Violated(v)
	}
}

// Start sends a request to an address and returns without the answer.
func (c *Client) Start(addr string, m wire.Message) (*Call, error) {
	x, err := c.connect(addr)
	if err != nil {
		return nil, err
	}
	return c.startOn(x, m)
}

func (c *Client) startOn(x *conn, m wire.Message) (*Call, error) {
	version, err := c.version(x, m.APIKey())
	if err != nil {
		return nil, err
	}
	p, produce := m.(*wire.ProduceRequest)
	return x.send(m, version, c.h.Clock.Now().Add(c.o.Timeout), !produce || p.Acks != 0), nil
}

// version chooses the version of a request.
func (c *Client) version(x *conn, key int16) (int16, error) {
	api, _ := wire.Lookup(key)
	served, ok := x.versions[key]
	low, high := max(api.Min, served.Min), min(api.Max, served.Max)
	if !ok || low > high {
		return 0, fmt.Errorf("%s: %w", api.Name, wire.ErrUnsupportedVersion)
	}
	switch key {
	case wire.KeyMetadata: // topic ids are needed
		low = max(low, 10)
	case wire.KeyDescribeConfigs, wire.KeyInitProducerId:
		low = min(high, max(low, 3))
	}
	if c.o.Version == nil {
		return high, nil
	}
	return c.o.Version(key, low, high), nil
}

// Do sends a request to an address and waits for the answer. Answers that say that the broker's own state is unknown to
// it are the caller's to handle.
func (c *Client) Do(addr string, m wire.Message) (wire.Message, error) {
	call, err := c.Start(addr, m)
	if err != nil {
		return nil, err
	}
	answer := call.Wait()
	c.violated(answer.Err)
	return answer.Message, answer.Err
}

// Any is the address of some broker: the last known ones, or those to begin with.
func (c *Client) Any() string { return c.o.Brokers[c.dials%len(c.o.Brokers)] }

// Leader is the address of a partition's leader, "" when it is not known.
func (c *Client) Leader(topic string, partition int32) string {
	t := c.topics[topic]
	if t == nil || int(partition) >= len(t.Partitions) {
		return ""
	}
	return c.brokers[t.Partitions[partition].Leader]
}

// Topic is what is known of a topic, nil when nothing is.
func (c *Client) Topic(name string) *Topic { return c.topics[name] }

// Refresh asks for the metadata of some topics once. The error is a code when a topic has one.
func (c *Client) Refresh(topics ...string) error {
	m := wire.NewMetadataRequest()
	m.AllowAutoTopicCreation = false
	m.Topics = []wire.MetadataRequestTopic{}
	for _, name := range topics {
		m.Topics = append(m.Topics, wire.MetadataRequestTopic{Name: &name})
	}
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return err
	}
	r := answer.(*wire.MetadataResponse)
	clear(c.brokers)
	for _, b := range r.Brokers {
		c.brokers[b.NodeId] = b.Host + ":" + strconv.Itoa(int(b.Port))
	}
	var failed error
	for _, t := range r.Topics {
		if t.Name == nil {
			continue
		}
		if t.ErrorCode != wire.ErrNone {
			delete(c.topics, *t.Name)
			failed = t.ErrorCode
			continue
		}
		info := &Topic{ID: t.TopicId, Partitions: make([]Partition, len(t.Partitions))}
		for _, p := range t.Partitions {
			if int(p.PartitionIndex) >= len(info.Partitions) || p.PartitionIndex < 0 {
				c.violated(&Violation{fmt.Sprintf("metadata of %s: partition %d of %d", *t.Name, p.PartitionIndex, len(t.Partitions))})
				continue
			}
			if p.ErrorCode != wire.ErrNone {
				failed = p.ErrorCode
				p.LeaderId = -1
			}
			info.Partitions[p.PartitionIndex] = Partition{Leader: p.LeaderId, LeaderEpoch: p.LeaderEpoch}
		}
		c.topics[*t.Name] = info
	}
	return failed
}

// Retry runs attempt until it gives no error, an error that is not worth another try, or the time is up. Metadata of
// the topics is asked for before every attempt but the first.
func (c *Client) Retry(deadline host.Instant, attempt func() error) error {
	for n := 0; ; n++ {
		err := attempt()
		var code wire.ErrorCode
		if err == nil || errors.As(err, &code) && !code.Retriable() {
			return err
		}
		if c.h.Clock.Now() >= deadline {
			return fmt.Errorf("gave up after %d attempts: %w", n+1, err)
		}
		c.h.Clock.Sleep(backoff(n))
	}
}

// errUnknownTopic is the error of requests to a topic of which nothing is known.
var errUnknownTopic = fmt.Errorf("not in the metadata: %w", wire.ErrLeaderNotAvailable)
