// Command sarama stands for the Go client of that name where clients of all kinds are put to the test: it reads records
// from lines, or prints records as lines, KEY tab VALUE. It has a module of its own so that Millrace's does not need the
// client.
//
//	sarama produce -brokers A,B,C -topic T           idempotent, acks=all; ends with an error when a record is given up
//	sarama consume -brokers A,B,C -topic T -count N  all partitions from their start on, N records
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sarama:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("produce or consume")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	brokers := flags.String("brokers", "127.0.0.1:9092", "brokers to ask first")
	topic := flags.String("topic", "", "the topic")
	count := flags.Int64("count", 0, "records to read")
	flags.Parse(args[1:]) //nolint:errcheck // it exits
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 600, 100*time.Millisecond
	at := strings.Split(*brokers, ",")
	switch args[0] {
	case "produce":
		return produce(at, *topic, c, os.Stdin)
	case "consume":
		return consume(at, *topic, c, *count, os.Stdout)
	}
	return fmt.Errorf("%s? produce or consume", args[0])
}

// produce writes a record a line.
func produce(at []string, topic string, c *sarama.Config, in io.Reader) error {
	c.Producer.Idempotent, c.Producer.RequiredAcks = true, sarama.WaitForAll
	c.Net.MaxOpenRequests = 1 // what its idempotence asks for
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 600, 100*time.Millisecond
	c.Producer.Return.Errors, c.Producer.Return.Successes = true, false
	p, err := sarama.NewAsyncProducer(at, c)
	if err != nil {
		return err
	}
	var first error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range p.Errors() {
			if first == nil {
				first = e
			}
		}
	}()
	lines := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil && err != io.EOF {
			return err
		}
		key, value, ok := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\t'})
		if !ok {
			return fmt.Errorf("a line without a key: %.80q", line)
		}
		p.Input() <- &sarama.ProducerMessage{Topic: topic, Key: sarama.ByteEncoder(key), Value: sarama.ByteEncoder(value)}
	}
	p.AsyncClose()
	<-done
	return first
}

// consume prints a record a line.
func consume(at []string, topic string, c *sarama.Config, count int64, out io.Writer) error {
	c.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumer(at, c)
	if err != nil {
		return err
	}
	partitions, err := consumer.Partitions(topic)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	var mu sync.Mutex
	finished := make(chan error, 1)
	finish := func(err error) {
		select {
		case finished <- err:
		default:
		}
	}
	for _, partition := range partitions {
		p, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			return fmt.Errorf("partition %d: %w", partition, err)
		}
		go func() {
			for e := range p.Errors() { // it tries again by itself
				fmt.Fprintln(os.Stderr, "sarama:", e)
			}
		}()
		go func() {
			for m := range p.Messages() {
				mu.Lock()
				w.Write(m.Key)    //nolint:errcheck // Flush tells
				w.WriteByte('\t') //nolint:errcheck // Flush tells
				w.Write(m.Value)  //nolint:errcheck // Flush tells
				w.WriteByte('\n') //nolint:errcheck // Flush tells
				if count--; count == 0 {
					finish(nil)
				}
				mu.Unlock()
			}
			finish(fmt.Errorf("partition %d: the consumer ended", partition))
		}()
	}
	err = <-finished
	mu.Lock()
	defer mu.Unlock()
	if e := w.Flush(); err == nil {
		err = e
	}
	return err
}
