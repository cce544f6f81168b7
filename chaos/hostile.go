package chaos

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hostile are clients that mean no good, beside the load. They connect as all clients do, and their numbers are bounded, so that
// it is the brokers that they press and not the machine. Whatever they do, the brokers must go on, nothing of theirs may get
// into a log, and what is checked of the others is checked as ever.
type hostile struct {
	*load
	draws *rand.Rand
	bomb  []byte
}

// hostileKinds are what they do, one after the other within each kind.
var hostileKinds = []struct {
	name string
	act  func(*hostile, context.Context, string) error
}{
	{"garbage", (*hostile).garbage},
	{"half-open", (*hostile).halfOpen},
	{"slow reader", (*hostile).slowReader},
	{"flood of connections", (*hostile).connections},
	{"flood of requests", (*hostile).requests},
	{"bomb", (*hostile).bombs},
}

const (
	hostileFlood   = 200       // connections at once
	hostileHalf    = 30        // connections that announce hostileFrame and send a few bytes of it
	hostileFrame   = 1_000_000 // bytes
	hostileReaders = 8
	hostileAsked   = 2000 // requests without waiting
	hostileBombs   = 8
	bombMB         = 160 // what a bomb holds: more than a broker may take for a batch
	hostileTime    = 4 * time.Second
)

// startHostile adds the clients, one for each kind, which act again and again until the context ends.
func (l *load) startHostile(ctx context.Context, c *crew, seed uint64) {
	bomb := bombBatch()
	for i, kind := range hostileKinds {
		h := &hostile{load: l, draws: rand.New(rand.NewPCG(seed, 1<<41+uint64(i))), bomb: bomb}
		c.run("hostile client, "+kind.name, func() error {
			for ctx.Err() == nil {
				err := kind.act(h, ctx, h.bootstrap[h.draws.IntN(len(h.bootstrap))])
				var network net.Error
				switch {
				case err == nil:
					h.count("hostile: "+kind.name, 1)
				case ctx.Err() == nil && !errors.As(err, &network) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
					return err // not that the broker, or the link to it, has ended the connection
				}
				wait(ctx, between(h.draws, 20*time.Millisecond, 500*time.Millisecond))
			}
			return nil
		})
	}
}

// dial connects for so long at most.
func (h *hostile) dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err == nil {
		c.SetDeadline(time.Now().Add(hostileTime)) //nolint:errcheck // it shows at the next write
	}
	return c, err
}

// garbage sends what is no request, or one that was changed in places.
func (h *hostile) garbage(ctx context.Context, addr string) error {
	c, err := h.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 1+h.draws.IntN(4096))
	switch h.draws.IntN(3) {
	case 0:
		for i := range b {
			b[i] = byte(h.draws.Uint32())
		}
	case 1:
		b = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	default:
		b = h.fetch(1)
		for range 1 + h.draws.IntN(5) {
			b[4+h.draws.IntN(len(b)-4)] = byte(h.draws.Uint32())
		}
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(200 * time.Millisecond)) //nolint:errcheck // it shows at the read
	io.Copy(io.Discard, io.LimitReader(c, 1<<20))         //nolint:errcheck // whatever it answers
	return nil
}

// halfOpen begins large requests and never ends them.
func (h *hostile) halfOpen(ctx context.Context, addr string) error {
	begin := append(binary.BigEndian.AppendUint32(nil, hostileFrame), 0, 0, 0, 9)
	return h.hold(ctx, addr, hostileHalf, func(c net.Conn) error {
		_, err := c.Write(begin)
		return err
	})
}

// slowReader asks for much and does not read it.
func (h *hostile) slowReader(ctx context.Context, addr string) error {
	return h.hold(ctx, addr, hostileReaders, func(c net.Conn) error {
		for i := range int32(20) {
			if _, err := c.Write(h.fetch(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// connections opens many and says nothing.
func (h *hostile) connections(ctx context.Context, addr string) error {
	return h.hold(ctx, addr, hostileFlood, func(net.Conn) error { return nil })
}

// hold opens so many connections, does something with each, and closes them after a while.
func (h *hostile) hold(ctx context.Context, addr string, n int, begin func(net.Conn) error) error {
	for range n {
		c, err := h.dial(ctx, addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := begin(c); err != nil {
			return err
		}
	}
	wait(ctx, between(h.draws, time.Second/10, hostileTime))
	return nil
}

// requests asks for the metadata of everything again and again, without waiting for the answers, which it then reads.
func (h *hostile) requests(ctx context.Context, addr string) error {
	c, err := h.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	q := kmsg.NewPtrMetadataRequest()
	q.Version = 9
	var all []byte
	for i := range int32(hostileAsked) {
		all = frameOf(all, q, i)
	}
	go c.Write(all) //nolint:errcheck // the answers show it
	for range hostileAsked {
		if _, err := readFrame(c); err != nil {
			return err
		}
	}
	return nil
}

// bombs produces batches that are too large when they are decompressed, and some whose checksum is wrong.
func (h *hostile) bombs(ctx context.Context, addr string) error {
	c, err := h.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(4 * hostileTime)) //nolint:errcheck // it shows at the next write
	for i := range int32(hostileBombs) {
		b := bytes.Clone(h.bomb)
		if i%2 == 1 {
			b[len(b)/2] ^= 1
		}
		q := kmsg.NewPtrProduceRequest()
		q.Version, q.Acks, q.TimeoutMillis = 9, -1, 3000
		q.Topics = []kmsg.ProduceRequestTopic{{Topic: logTopic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: i, Records: b}}}}
		if _, err := c.Write(frameOf(nil, q, i)); err != nil {
			return err
		}
		answer, err := readFrame(c)
		if err != nil {
			return err
		}
		a := kmsg.NewPtrProduceResponse()
		a.Version = q.Version
		if len(answer) < 5 || a.ReadFrom(answer[5:]) != nil || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
			return fmt.Errorf("an answer of %d bytes that is none", len(answer))
		}
		switch code := a.Topics[0].Partitions[0].ErrorCode; {
		case code == 0:
			h.complain("a bomb, or a batch with a wrong checksum, was appended to partition %d", i)
		case kerr.ErrorForCode(code) == kerr.MessageTooLarge:
			h.count("bombs refused", 1)
		}
	}
	return nil
}

// fetch asks for all that the large logs have.
func (h *hostile) fetch(number int32) []byte {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MaxBytes, q.SessionEpoch = 12, 500, 50<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = bulkTopic
	for i := range int32(bulkPartitions) {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = i, 50<<20
		t.Partitions = append(t.Partitions, p)
	}
	q.Topics = append(q.Topics, t)
	return frameOf(nil, q, number)
}

// frameOf appends a request to b.
func frameOf(b []byte, q kmsg.Request, number int32) []byte {
	return append(b, kmsg.NewRequestFormatter(kmsg.FormatterClientID("hostile")).AppendRequest(nil, q, number)...)
}

// readFrame returns an answer with its header.
func readFrame(c net.Conn) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 64<<20 {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}

// bombBatch is a batch of one record, as its header says, that holds bombMB of zeros.
func bombBatch() []byte {
	const header = 61
	out := bytes.NewBuffer(make([]byte, header))
	z := gzip.NewWriter(out)
	zeros := make([]byte, 1<<20)
	for range bombMB {
		z.Write(zeros) //nolint:errcheck // into memory
	}
	z.Close() //nolint:errcheck // into memory
	b := out.Bytes()
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], ^uint32(0)) // leader epoch
	b[16], b[22] = 2, 1                            // format, gzip
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(b[27:], now)
	binary.BigEndian.PutUint64(b[35:], now)
	for i := 43; i < 57; i++ { // no producer
		b[i] = 0xff
	}
	binary.BigEndian.PutUint32(b[57:], 1)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}
