package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"millrace/tools/compat"
)

// firstSeen is a member of a group that tells where it began to read.
type firstSeen chan int64

func (f firstSeen) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (f firstSeen) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (f firstSeen) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	select {
	case m := <-c.Messages():
		if m != nil && m.Partition == 0 {
			f <- m.Offset
		}
	case <-s.Context().Done():
	}
	<-s.Context().Done()
	return nil
}

// reset begins behind the end of a partition: a group goes where it is told to, somebody without a group is told.
func (c *client) reset(s *compat.Setting) (string, error) {
	topic, group := s.Reference+"-none", s.Prefix+"-reset"
	consumer, err := sarama.NewConsumer(c.at, config())
	if err != nil {
		return "", err
	}
	defer consumer.Close() //nolint:errcheck // it only read
	if _, err := consumer.ConsumePartition(topic, 0, 5000); !errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return "", fmt.Errorf("an offset after the end was read: %w", err)
	}
	if err := c.Commit(group, topic, 0, compat.Committed{Offset: 5000}); err != nil {
		return "", err
	}
	g, err := sarama.NewConsumerGroup(c.at, group, config())
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	seen, ended := make(firstSeen, 1), make(chan error, 1)
	go func() { ended <- g.Consume(ctx, []string{topic}, seen) }()
	at := int64(-1)
	select {
	case at = <-seen:
	case <-ctx.Done():
	}
	stop()
	if err := errors.Join(<-ended, g.Close(), compat.Same(0, at, "the offset of a group after a reset to the oldest")); err != nil {
		return "", err
	}
	return "oldest for a group; none without", nil
}
