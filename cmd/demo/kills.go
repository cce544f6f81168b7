package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// produceUnderKills lets the producer load the text while the broker is killed and started again. Kill number k comes
// when the feed reaches k parts of kills+1; the feed goes on to the middle of the next part while the broker is dead, so
// each kill finds records that the client has and the log has not.
func (d *demo) produceUnderKills(ctx context.Context, producer client, topic string) error {
	part := d.want.records / int64(d.kills+1)
	if part < 2 {
		return errors.New("too few lines for so many kills")
	}
	lines := newFeed(d.source, part+part/2)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	produced := make(chan error, 1)
	go func() {
		err := producer.produce(ctx, d.broker.Listen, topic, lines)
		cancel() // the killer below must not wait for a producer that is gone
		produced <- err
	}()
	killed := d.killRepeatedly(ctx, topic, lines, part)
	if killed != nil {
		cancel()
	}
	err := <-produced
	if err != nil && !(errors.Is(err, context.Canceled) && killed != nil) {
		return err
	}
	return killed
}

func (d *demo) killRepeatedly(ctx context.Context, topic string, lines *feed, part int64) error {
	for k := int64(1); k <= int64(d.kills); k++ {
		if err := lines.waitFed(ctx, k*part); err != nil {
			return fmt.Errorf("waiting for kill %d: %w", k, err)
		}
		inLog, err := offsets(ctx, d.broker.Listen, topic)
		if err != nil {
			return fmt.Errorf("asking for offsets before kill %d: %w", k, err)
		}
		fed := lines.count()
		if err := d.broker.Kill(); err != nil {
			return err
		}
		dead := time.Now()
		if err := d.start(ctx); err != nil {
			return fmt.Errorf("starting again after kill %d: %w", k, err)
		}
		fmt.Printf("kill %d: %d records given to the client, %d of them not seen in the log; listening again after %.2f s\n",
			k, fed, fed-inLog, time.Since(dead).Seconds())
		gate := (k+1)*part + part/2
		if k == int64(d.kills) {
			gate = -1
		}
		lines.open(gate)
	}
	return nil
}
