package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/cmd/internal/broker"
)

// blow is how the broker, or one node of a cluster, is struck in a phase.
type blow struct {
	name   string
	strike func(*broker.Broker) error
}

var blows = map[string]blow{
	"kills":   {"kill", (*broker.Broker).Kill},
	"rolling": {"restart", (*broker.Broker).Stop},
}

// settle is the time between the return of a node and the next blow, for which clients may take a moment to find it again.
const settle = 3 * time.Second

// produceUnder lets the producer load the text while the broker is struck and started again. Blow number k comes when the
// feed reaches k parts of blows+1; the feed goes on to the middle of the next part while the broker is dead, so each
// blow finds records that the client has and the log has not.
//
// In a cluster the blow falls on the node that leads one of the partitions, and a reader of each kind reads along.
func (d *demo) produceUnder(ctx context.Context, b blow, producer client, topic string) error {
	part := d.want.records / int64(d.kills+1)
	if part < 2 {
		return errors.New("too few lines for so many kills")
	}
	lines := newFeed(d.source, part+part/2)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	produced := make(chan error, 1)
	go func() {
		err := producer.produce(ctx, d.at(), topic, lines)
		if err != nil {
			cancel() // the striker below must not wait for a producer that is gone
		}
		produced <- err
	}()
	read := d.readAlong(ctx, topic)
	struck := d.strikeRepeatedly(ctx, b, topic, lines, part)
	if struck != nil {
		cancel()
	}
	// Whichever failed first ended the other.
	if err := <-produced; err != nil && (struck == nil || errors.Is(struck, context.Canceled)) {
		return err
	}
	if struck != nil {
		return struck
	}
	return read()
}

// readAlong lets a client of each kind read the topic while it is written, in a cluster; what it returns waits for them.
func (d *demo) readAlong(ctx context.Context, topic string) func() error {
	if len(d.cluster.Nodes) == 1 {
		return func() error { return nil } // a consumer of one broker may give up when that is gone
	}
	done := make(chan error, len(d.clients))
	for _, reader := range d.clients {
		go func() { done <- d.readBack(ctx, "along", reader, topic) }()
	}
	return func() error {
		for range d.clients {
			if err := <-done; err != nil {
				return err
			}
		}
		return nil
	}
}

func (d *demo) strikeRepeatedly(ctx context.Context, b blow, topic string, lines *feed, part int64) error {
	for k := int64(1); k <= int64(d.kills); k++ {
		if err := lines.waitFed(ctx, k*part); err != nil {
			return fmt.Errorf("waiting for %s %d: %w", b.name, k, err)
		}
		inLog, err := offsets(ctx, d.at(), topic)
		if err != nil {
			return fmt.Errorf("asking for offsets before %s %d: %w", b.name, k, err)
		}
		fed := lines.count()
		victim, err := d.victim(ctx, topic, int(k))
		if err != nil {
			return err
		}
		if err := b.strike(victim); err != nil {
			return err
		}
		dead := time.Now()
		gate := (k+1)*part + part/2
		if k == int64(d.kills) {
			gate = -1
		}
		if len(d.cluster.Nodes) > 1 { // the others go on without it
			lines.open(gate)
			if err := lines.waitFed(ctx, min(k*part+part*3/4, d.want.records)); err != nil {
				return fmt.Errorf("waiting for the others to go on after %s %d: %w", b.name, k, err)
			}
		}
		if err := d.start(ctx, victim); err != nil {
			return fmt.Errorf("starting again after %s %d: %w", b.name, k, err)
		}
		fmt.Printf("%s %d of %s: %d records given to the client, %d of them not seen in the log; listening again after %.2f s\n",
			b.name, k, victim.Name, fed, fed-inLog, time.Since(dead).Seconds())
		if len(d.cluster.Nodes) > 1 {
			time.Sleep(settle)
		}
		lines.open(gate)
	}
	return nil
}

// victim is the node to strike: the one that leads a partition, another one each time, when all replicas are in sync.
func (d *demo) victim(ctx context.Context, topic string, k int) (*broker.Broker, error) {
	if len(d.cluster.Nodes) == 1 {
		return d.cluster.Nodes[0], nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.ready)
	defer cancel()
	for {
		led, err := leaders(ctx, d.at(), topic)
		if err == nil {
			return d.cluster.Nodes[led[k%len(led)]-1], nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the cluster to be whole: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
