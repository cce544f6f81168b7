package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is franz-go where it asks about what other clients do.
type cluster = kgo.Client

const interrupt = syscall.SIGINT

func onCluster(p *place, fn func(c *cluster) error) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(p.at...))
	if err != nil {
		return err
	}
	defer c.Close()
	return fn(c)
}

func onClusterValue[T any](p *place, fn func(c *cluster) (T, error)) (v T, err error) {
	err = onCluster(p, func(c *cluster) error {
		v, err = fn(c)
		return err
	})
	return v, err
}

// ownership returns the state of a classic group and how many partitions its members have, the most first.
func ownership(ctx context.Context, c *cluster, group string) (state string, sizes []int, err error) {
	all, err := kadm.NewClient(c).DescribeGroups(ctx, group)
	if err != nil {
		return "", nil, err
	}
	g := all[group]
	for _, m := range g.Members {
		n := 0
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				n += len(t.Partitions)
			}
		}
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	return g.State, sizes, nil // a group that is not there yet has no state
}

// committed returns the committed offset of a partition, -1 if there is none.
func committed(ctx context.Context, c *cluster, group, topic string, partition int32) (int64, error) {
	all, err := kadm.NewClient(c).FetchOffsets(ctx, group)
	if err != nil {
		return 0, err
	}
	o, ok := all.Lookup(topic, partition)
	if !ok {
		return -1, nil
	}
	return o.At, o.Err
}

// until waits for something.
func until(ctx context.Context, what string, there func() (bool, error)) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ok, err := there()
		if ok {
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("not in time: %s (%v)", what, err)
		}
	}
}
