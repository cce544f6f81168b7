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
	// Stall, if not nil, is how much longer the client waits before it reads an answer: it reads nothing meanwhile, and its
	// windows fill.
	Stall func() time.Duration
	// Repeats, if not nil, is called when a batch is sent again of which nobody knows whether it has arrived.
	Repeats func()
	// Version chooses among what client and broker both have; nil takes the highest.
	Version func(key, low, high int16) int16
	// Coders compress and decompress; nil makes new ones for each batch.
	Coders *batch.Coders
	// Epochs sends the leader epoch that the client knows, so that brokers who know better refuse.
	Epochs bool
	// Leaders, if not nil, is called before the broker at an address is asked for metadata; what it returns is told every
	// leader and epoch that the answer names.
	Leaders func(addr string) func(topic string, id wire.UUID, partition, epoch, leader int32)
	// Corrupt says that a wrong batch in an answer is what the disks explain: it is asked for again.
	Corrupt func(error) bool
	// Produces, if not nil, is told of every Produce request that gets an answer before it is sent: over which of the
	// client's addresses, and under which number.
	Produces func(local string, correlation int32)
	// Violated is told what a broker must never do.
	Violated func(error)
}

// Client is a number of connections and what is known of the cluster.
type Client struct {
	h       host.Host
	o       Options
	conns   map[string]*conn
	dialled int
	brokers map[int32]string
	topics  map[string]*Topic
	factor  int16
	turn    int             // which of the brokers to begin with is asked
	least   map[int16]int16 // the lowest version of some APIs that has what is needed
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
	Replicas    []int32
	InSync      []int32
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
	x, err := dial(c.h, addr, c.o, c.h.Clock.Now().Add(c.o.Timeout))
	if err != nil {
		c.violated(err)
		return nil, err
	}
	c.dialled++
	x.number = c.dialled
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
	low = min(high, max(low, c.least[key]))
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
		c.turn++
		return nil, err
	}
	answer := call.Wait()
	c.violated(answer.Err)
	if answer.Err != nil {
		c.turn++
	}
	return answer.Message, answer.Err
}

// Any is the address of some broker of those to begin with: another one after each failure.
func (c *Client) Any() string { return c.o.Brokers[c.turn%len(c.o.Brokers)] }

// Turn lets another of the brokers to begin with be asked next.
func (c *Client) Turn() { c.turn++ }

// SetReplicas sets the replication factor of the topics that are made from now on.
func (c *Client) SetReplicas(n int16) { c.factor = n }

// epoch is the leader epoch that is sent along for a partition, -1 for none.
func (c *Client) epoch(topic string, partition int32) int32 {
	t := c.topics[topic]
	if !c.o.Epochs || t == nil || int(partition) >= len(t.Partitions) {
		return -1
	}
	return t.Partitions[partition].LeaderEpoch
}

// forget lets the leader of a partition be asked for again after an error.
func (c *Client) forget(topic string, partition int32, err error) error {
	if t := c.topics[topic]; err != nil && t != nil && int(partition) < len(t.Partitions) {
		t.Partitions[partition].Leader = -1
	}
	return err
}

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
	named := func(string, wire.UUID, int32, int32, int32) {}
	if c.o.Leaders != nil {
		named = c.o.Leaders(c.Any())
	}
	answer, err := c.Do(c.Any(), m)
	if err != nil {
		return err
	}
	r := answer.(*wire.MetadataResponse)
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
			c.turn++ // another broker may know it
			continue
		}
		known := c.topics[*t.Name]
		info := &Topic{ID: t.TopicId, Partitions: make([]Partition, len(t.Partitions))}
		for _, p := range t.Partitions {
			if int(p.PartitionIndex) >= len(info.Partitions) || p.PartitionIndex < 0 {
				c.violated(&Violation{fmt.Sprintf("metadata of %s: partition %d of %d", *t.Name, p.PartitionIndex, len(t.Partitions))})
				continue
			}
			if p.LeaderId >= 0 {
				named(*t.Name, t.TopicId, p.PartitionIndex, p.LeaderEpoch, p.LeaderId)
			}
			if p.ErrorCode != wire.ErrNone {
				failed = p.ErrorCode
				p.LeaderId = -1
			}
			next := Partition{Leader: p.LeaderId, LeaderEpoch: p.LeaderEpoch, Replicas: p.ReplicaNodes, InSync: p.IsrNodes}
			// As Kafka's clients do: who names an older leader epoch than is known knows less.
			if known != nil && known.ID == t.TopicId && int(p.PartitionIndex) < len(known.Partitions) {
				if have := known.Partitions[p.PartitionIndex]; have.LeaderEpoch > p.LeaderEpoch {
					next.Leader, next.LeaderEpoch = have.Leader, have.LeaderEpoch
					c.turn++
				}
			}
			info.Partitions[p.PartitionIndex] = next
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
		c.turn++
		if c.h.Clock.Now() >= deadline {
			return fmt.Errorf("gave up after %d attempts: %w", n+1, err)
		}
		c.h.Clock.Sleep(backoff(n))
	}
}

// errUnknownTopic is the error of requests to a topic of which nothing is known.
var errUnknownTopic = fmt.Errorf("not in the metadata: %w", wire.ErrLeaderNotAvailable)
