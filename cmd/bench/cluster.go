package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cmd/internal/broker"
)

// startCluster starts all nodes and waits until they have found each other.
func startCluster(ctx context.Context, c *broker.Cluster) error {
	if err := c.Start(ctx); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for {
		m, err := admin.BrokerMetadata(kadm.WithAuthorizedOps(ctx)) // without this it would answer from its cache
		if err == nil && len(m.Brokers) == len(c.Nodes) {
			return nil
		}
		if serr := sleep(ctx, 50*time.Millisecond); serr != nil {
			return fmt.Errorf("waiting for %d nodes, there are %d (%v): %w", len(c.Nodes), len(m.Brokers), err, serr)
		}
	}
}
