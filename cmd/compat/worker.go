package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"millrace/cmd/internal/broker"
)

// worker is a distributed worker of Kafka Connect.
type worker struct {
	s      *suite
	config string
	rest   string
	said   bytes.Buffer
}

func newWorker(s *suite, dir string) (*worker, error) {
	free, err := broker.FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	w := &worker{s: s, config: filepath.Join(dir, "worker.properties"), rest: "http://" + free[0]}
	lines := []string{
		"bootstrap.servers=" + s.p.brokers(), "group.id=compat-connect-group", "listeners=" + w.rest,
		"key.converter=org.apache.kafka.connect.storage.StringConverter", "value.converter=org.apache.kafka.connect.storage.StringConverter",
		"offset.flush.interval.ms=300", "heartbeat.interval.ms=500", "session.timeout.ms=6000", "consumer.heartbeat.interval.ms=500", "scheduled.rebalance.max.delay.ms=0",
		"plugin.discovery=only_scan", "connector.client.config.override.policy=All",
	}
	for _, t := range []string{"config", "offset", "status"} {
		name := "compat-connect-" + t
		if t != "status" {
			name += "s"
		}
		lines = append(lines, t+".storage.topic="+name, t+".storage.replication.factor=1")
		if t != "config" {
			lines = append(lines, t+".storage.partitions=2")
		}
	}
	return w, os.WriteFile(w.config, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// running runs the worker while fn runs, and then stops it.
func (w *worker) running(ctx context.Context, fn func() error) error {
	w.said.Reset()
	cmd := w.s.command(ctx, "org.apache.kafka.connect.cli.ConnectDistributed", w.config)
	cmd.Stdout, cmd.Stderr = &w.said, &w.said
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()                    //nolint:errcheck // it was interrupted
	defer cmd.Process.Signal(interrupt) //nolint:errcheck // it may have ended by itself
	return fn()
}

// post makes a connector, as soon as the worker takes it.
func (w *worker) post(ctx context.Context, connector string) error {
	return until(ctx, "the worker takes "+connector, func() (bool, error) {
		r, err := http.Post(w.rest+"/connectors", "application/json", strings.NewReader(connector))
		if err != nil {
			return false, err
		}
		defer r.Body.Close() //nolint:errcheck // it was read
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusCreated && r.StatusCode != http.StatusConflict {
			return false, fmt.Errorf("%s: %.300s", r.Status, body)
		}
		return r.StatusCode == http.StatusCreated, nil
	})
}

func (w *worker) tail() string {
	all := w.said.Bytes()
	return string(all[max(0, len(all)-1500):])
}
