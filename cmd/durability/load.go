package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cmd/internal/rawclient"
)

const (
	connections = 4
	inFlight    = 5
	partitions  = 3
	topic       = "durability"
)

// sizes of the records: mostly small, some larger than a page or a block; and every so many one larger than a write.
var sizes = []int{100, 100, 100, 100, 300, 1000, 3000, 5000, 10_000, 40_000}

const (
	largeEvery = 50
	largeSize  = 700_000
)

// load sends the records, each in a request of its own, and waits for all answers. Odd connections ask for acks=1, even
// ones for acks=all.
func load(ctx context.Context, at string, records int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.RetryTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return fmt.Errorf("creating the topic: %w", err)
	}
	// A real client's record first: it waits until the partitions have their leaders.
	for p := range int32(partitions) {
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: p}).FirstErr(); err != nil {
			return fmt.Errorf("writing the first record of partition %d: %w", p, err)
		}
	}
	done := make(chan error, connections)
	for n := range connections {
		go func() { done <- loadOne(ctx, at, n, records) }()
	}
	for range connections {
		if e := <-done; e != nil && err == nil {
			err = e
		}
	}
	return err
}

// loadOne sends the records whose number leaves n when divided by the number of connections.
func loadOne(ctx context.Context, at string, n, records int) error {
	c, err := rawclient.Dial(ctx, at)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	acks := int16(-1)
	if n%2 == 1 {
		acks = 1
	}
	window := make(chan int, inFlight)
	answers := make(chan error, 1)
	go func() {
		for i := range window {
			number, _, err := c.ReadProduced()
			if err == nil && int(number) != answerNumbers+i {
				err = fmt.Errorf("answer %d came when %d was due", int(number)-answerNumbers, i)
			}
			if err != nil {
				answers <- fmt.Errorf("record %d: %w", i, err)
				c.Close()
				for range window {
				}
				return
			}
		}
		answers <- nil
	}()
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var sent error
	for i := n; i < records && sent == nil; i += connections {
		window <- i
		sent = c.SendProduce(int32(answerNumbers+i), topic, int32(r.IntN(partitions)), acks, rawclient.Batch(value(r, i)))
	}
	close(window)
	if err := <-answers; err != nil {
		return err
	}
	return sent
}

// value makes the record with number i: filler between its two marks.
func value(r *rand.Rand, i int) []byte {
	front, behind := mark(2*i).text(), mark(2*i+1).text()
	size := sizes[r.IntN(len(sizes))]
	if i%largeEvery == largeEvery-1 {
		size = largeSize
	}
	return append(append([]byte(front), bytes.Repeat([]byte{'.'}, size-len(front)-len(behind))...), behind...)
}
