package node

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// rawConn speaks frames with a broker.
type rawConn struct {
	t    testing.TB
	conn net.Conn
	next int32
}

func dialRaw(t testing.TB, b *Broker) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return &rawConn{t: t, conn: conn}
}

func flatten(parts []host.Part) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p.Bytes...)
	}
	return all
}

// send writes a request and does not wait.
func (r *rawConn) send(m wire.Message, version int16) {
	r.t.Helper()
	r.next++
	client := "raw"
	parts, err := wire.EncodeRequest(nil, wire.RequestHeader{APIVersion: version, CorrelationID: r.next, ClientID: &client}, m)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.conn.Write(flatten(parts)); err != nil {
		r.t.Fatal(err)
	}
}

// receive reads the answer to a request of that API and version.
func (r *rawConn) receive(key, version int16) (int32, wire.Message) {
	r.t.Helper()
	frame, err := r.frame()
	if err != nil {
		r.t.Fatal(err)
	}
	correlation, m, err := wire.DecodeResponse(frame, key, version)
	if err != nil {
		r.t.Fatal(err)
	}
	return correlation, m
}

func (r *rawConn) frame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r.conn, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r.conn, frame)
	return frame, err
}

// ask sends a request and reads its answer.
func ask[A wire.Message](r *rawConn, m wire.Message, version int16) A {
	r.t.Helper()
	r.send(m, version)
	correlation, a := r.receive(m.APIKey(), version)
	if correlation != r.next {
		r.t.Fatalf("answer to request %d, expected %d", correlation, r.next)
	}
	return a.(A)
}

// closed waits for the broker to close the connection, without an answer.
func (r *rawConn) closed() bool {
	var b [1]byte
	n, err := r.conn.Read(b[:])
	var timeout net.Error
	return n == 0 && err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

// rawBatch is one record batch of n records, at most 63, with the values 0, 1, ....
func rawBatch(n int, change func(b []byte)) []byte {
	var records []byte
	for i := range n {
		body := []byte{0, 0, byte(i << 1), 1, 2, byte(i), 0} // attributes, timestamp, offset, no key, value of 1, no headers
		records = append(append(records, byte(len(body)<<1)), body...)
	}
	b := make([]byte, 61, 61+len(records))
	b = append(b, records...)
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint64(b[27:], now)
	binary.BigEndian.PutUint64(b[35:], now)
	binary.BigEndian.PutUint64(b[43:], ^uint64(0)) // no producer id
	binary.BigEndian.PutUint16(b[51:], ^uint16(0))
	binary.BigEndian.PutUint32(b[53:], ^uint32(0))
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	if change != nil {
		change(b)
	}
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func produceRequest(topic string, acks int16, batches ...[]byte) *wire.ProduceRequest {
	q := wire.NewProduceRequest()
	q.Acks, q.TimeoutMs = acks, 5000
	d := wire.ProduceRequestTopicProduceData{Name: topic}
	for i, b := range batches {
		d.PartitionData = append(d.PartitionData, wire.ProduceRequestPartitionProduceData{Index: int32(i), Records: b})
	}
	q.TopicData = append(q.TopicData, d)
	return q
}

func fetchRequest(topic string, offset int64, partitions ...int32) *wire.FetchRequest {
	q := wire.NewFetchRequest()
	q.ReplicaId, q.MaxWaitMs, q.MinBytes, q.MaxBytes, q.SessionEpoch = -1, 5000, 1, 1<<20, -1
	t := wire.FetchRequestTopic{Topic: topic}
	for _, index := range partitions {
		p := wire.NewFetchRequestPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = index, offset, 1<<20
		t.Partitions = append(t.Partitions, p)
	}
	if len(partitions) > 0 {
		q.Topics = append(q.Topics, t)
	}
	return q
}
