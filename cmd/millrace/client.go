package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// contactTime is how long a command waits for the first answer of a broker before it says that there is none.
const contactTime = 5 * time.Second

// client makes a client of the brokers and makes sure that one of them answers, so that a wrong address is told at
// once instead of retried.
func (s *session) client(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	all := append([]kgo.Opt{
		kgo.SeedBrokers(s.brokers...),
		kgo.ClientID("millrace"),
		kgo.SoftwareNameAndVersion("millrace", "1"),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.DialTimeout(contactTime),
	}, opts...)
	c, err := kgo.NewClient(all...)
	if err != nil {
		return nil, usageError{err, "millrace"}
	}
	pctx, cancel := context.WithTimeout(ctx, contactTime)
	defer cancel()
	if err := c.Ping(pctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// admin calls fn with an administration client and the command's time limit.
func (s *session) admin(ctx context.Context, fn func(context.Context, *kadm.Client) error) error {
	c, err := s.client(ctx, kgo.RetryTimeout(s.timeout))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	a := kadm.NewClient(c)
	a.SetTimeoutMillis(int32(s.timeout.Milliseconds()))
	return fn(ctx, a)
}
