package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"millrace/cmd/internal/broker"
	"millrace/cmd/internal/rawclient"
)

// moments are the figures of a broker that are no loads.
type moments struct {
	startToAck   time.Duration // from the start of the process with an empty directory
	idleMB       float64
	restartToAck time.Duration // from a start after SIGKILL with much stored
}

// idleTime is how long a broker is left alone before its memory is read.
const idleTime = 5 * time.Second

// measureMoments uses the broker's directory for itself: it is wiped before and after.
func measureMoments(ctx context.Context, b *broker.Broker, storedGB float64) (m moments, err error) {
	if err = b.Wipe(); err == nil {
		err = b.Prepare(ctx)
	}
	if err != nil {
		return m, err
	}
	unix.Sync()
	defer func() {
		b.Kill()
		if e := b.Wipe(); err == nil {
			err = e
		}
	}()
	if m.startToAck, err = startToAck(ctx, b, "first"); err != nil {
		return m, err
	}
	time.Sleep(idleTime)
	if m.idleMB, err = residentMB(b.Pid()); err != nil {
		return m, err
	}
	if storedGB <= 0 {
		return m, nil
	}
	l := defaults("produce")
	l.brokers, l.topic, l.records = []string{b.Listen}, "stored", int64(storedGB*1e9)/int64(l.size)
	r, err := l.run(ctx)
	if err != nil {
		return m, err
	}
	if r.Failed > 0 {
		return m, fmt.Errorf("%d records were not acknowledged", r.Failed)
	}
	if err := b.Kill(); err != nil {
		return m, err
	}
	unix.Sync()
	m.restartToAck, err = startToAck(ctx, b, "stored")
	return m, err
}

// startToAck starts the process and returns the time until a record of the topic, made when there is none, is
// acknowledged by acks=all. It tries again every millisecond.
func startToAck(ctx context.Context, b *broker.Broker, topic string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	began := time.Now()
	if err := b.Start(ctx); err != nil {
		return 0, err
	}
	for {
		err := firstRecord(ctx, b.Listen, topic)
		if err == nil {
			return time.Since(began), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s acknowledged nothing: %w\n%s", b.Name, err, b.LogTail())
		case <-time.After(time.Millisecond):
		}
	}
}

func firstRecord(ctx context.Context, at, topic string) error {
	c, err := rawclient.Dial(ctx, at)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if err := c.CreateTopic(topic, 1); err != nil {
		return err
	}
	for range 1000 {
		if err = c.SendProduce(1, topic, 0, -1, rawclient.Batch([]byte("first"))); err == nil {
			_, _, err = c.ReadProduced()
		}
		if err == nil {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return err
}
