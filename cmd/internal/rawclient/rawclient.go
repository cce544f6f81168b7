// Package rawclient speaks as little of Kafka's protocol as it takes to produce: one connection, requests that the caller
// numbers, answers as they come. Tools use it where a real client's retries, batching and waiting would hide what they
// look for.
package rawclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceVersion is the newest version of Produce that names topics instead of their ids.
const produceVersion = 12

// Conn is one connection. One goroutine may send while another reads.
type Conn struct {
	conn net.Conn
	form *kmsg.RequestFormatter
}

// Dial connects to a broker.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{c, kmsg.NewRequestFormatter(kmsg.FormatterClientID("rawclient"))}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// SetDeadline bounds all reads and writes.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SendProduce sends one batch to one partition as the request with the given number.
func (c *Conn) SendProduce(number int32, topic string, partition int32, acks int16, batch []byte) error {
	r := kmsg.NewPtrProduceRequest()
	r.Version, r.Acks, r.TimeoutMillis = produceVersion, acks, 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	_, err := c.conn.Write(c.form.AppendRequest(nil, r, number))
	return err
}

// ReadProduced reads the next answer and returns its number, the partition's base offset and the partition's error.
func (c *Conn) ReadProduced() (number int32, offset int64, err error) {
	number, body, err := c.readAnswer()
	if err != nil {
		return number, -1, err
	}
	var a kmsg.ProduceResponse
	a.Version = produceVersion
	if err := a.ReadFrom(body[1:]); err != nil { // an empty set of tags ends the header
		return number, -1, fmt.Errorf("reading the answer to produce: %w", err)
	}
	if len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
		return number, -1, fmt.Errorf("the answer to produce is about %d topics", len(a.Topics))
	}
	p := a.Topics[0].Partitions[0]
	return number, p.BaseOffset, kerr.ErrorForCode(p.ErrorCode)
}

func (c *Conn) readAnswer() (int32, []byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 5 || size > 64<<20 {
		return 0, nil, fmt.Errorf("an answer of %d bytes", size)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(c.conn, frame); err != nil {
		return 0, nil, err
	}
	return int32(binary.BigEndian.Uint32(frame)), frame[4:], nil
}

// Batch makes an uncompressed batch of records without keys, created now, by no producer that asks for idempotence.
func Batch(values ...[]byte) []byte {
	now := time.Now().UnixMilli()
	var records []byte
	for i, v := range values {
		body := []byte{0}                               // attributes
		body = binary.AppendVarint(body, 0)             // timestamp delta
		body = binary.AppendVarint(body, int64(i))      // offset delta
		body = binary.AppendVarint(body, -1)            // no key
		body = binary.AppendVarint(body, int64(len(v))) // value
		body = append(append(body, v...), 0)            // and no headers
		records = binary.AppendVarint(records, int64(len(body)))
		records = append(records, body...)
	}
	// What the checksum covers: from the attributes on.
	sum := binary.BigEndian.AppendUint16(nil, 0)
	sum = binary.BigEndian.AppendUint32(sum, uint32(len(values)-1))
	sum = binary.BigEndian.AppendUint64(sum, uint64(now))
	sum = binary.BigEndian.AppendUint64(sum, uint64(now))
	sum = binary.BigEndian.AppendUint64(sum, ^uint64(0)) // producer id -1
	sum = binary.BigEndian.AppendUint16(sum, ^uint16(0)) // its epoch
	sum = binary.BigEndian.AppendUint32(sum, ^uint32(0)) // base sequence
	sum = binary.BigEndian.AppendUint32(sum, uint32(len(values)))
	sum = append(sum, records...)

	batch := binary.BigEndian.AppendUint64(nil, 0) // base offset
	batch = binary.BigEndian.AppendUint32(batch, uint32(4+1+4+len(sum)))
	batch = binary.BigEndian.AppendUint32(batch, ^uint32(0)) // leader epoch
	batch = append(batch, 2)                                 // magic
	batch = binary.BigEndian.AppendUint32(batch, crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli)))
	return append(batch, sum...)
}

// createVersion is the version of CreateTopics that is sent: the first with Kafka's newer encoding.
const createVersion = 5

// CreateTopic creates a topic with one replica. That it exists is no error.
func (c *Conn) CreateTopic(topic string, partitions int32) error {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.Version, r.TimeoutMillis = createVersion, 30_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
	r.Topics = append(r.Topics, t)
	if _, err := c.conn.Write(c.form.AppendRequest(nil, r, 0)); err != nil {
		return err
	}
	_, body, err := c.readAnswer()
	if err != nil {
		return err
	}
	var a kmsg.CreateTopicsResponse
	a.Version = createVersion
	if err := a.ReadFrom(body[1:]); err != nil {
		return fmt.Errorf("reading the answer to create topics: %w", err)
	}
	if len(a.Topics) != 1 {
		return fmt.Errorf("the answer to create topics is about %d topics", len(a.Topics))
	}
	if err := kerr.ErrorForCode(a.Topics[0].ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return err
	}
	return nil
}
