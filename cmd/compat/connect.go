package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func installStreams(ctx context.Context) (runner, error) {
	dir, err := installSuite(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *place, r *report) {
		s := &suite{dir: dir, p: p}
		defer s.end()
		r.is(suiteVersion())
		r.check(ctx, p, "tools", "word count", s.streams)
	}, nil
}

// streams counts words, see java/suite/Words.java.
func (s *suite) streams(ctx context.Context) (string, error) {
	const in, out = "compat-streams-in", "compat-streams-out"
	for _, t := range []string{in, out} {
		if err := s.create(ctx, t, 3); err != nil {
			return "", err
		}
	}
	state, err := os.MkdirTemp("", "compat-streams-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(state)
	said, err := s.command(ctx, "Words", s.p.brokers(), in, out, state).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %.1500s", err, said)
	}
	return "at least once, two threads, a state store restored from its changelog topic; the same counts in the store and the topic", expect(string(said), nil, "^counted .*dog=4, fox=4")
}

func installConnect(ctx context.Context) (runner, error) {
	dir, err := installSuite(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *place, r *report) {
		s := &suite{dir: dir, p: p}
		defer s.end()
		r.is(suiteVersion())
		r.check(ctx, p, "tools", "distributed worker, file source and sink", s.connect)
	}, nil
}

// settled is several times offset.flush.interval.ms: a worker that is stopped before it has committed, and has no time for it
// on a busy machine, may copy lines again, which at least once allows.
const settled = 2 * time.Second

// connect runs a worker whose offsets, configs and status are in compacted topics: a file goes into a topic and from there into
// another file. The worker is stopped and started again, and goes on where it was.
func (s *suite) connect(ctx context.Context) (string, error) {
	const t = "compat-connect"
	if err := s.create(ctx, t, 1); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "compat-connect-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	w, err := newWorker(s, dir)
	if err != nil {
		return "", err
	}
	var want strings.Builder
	add := func(mark string) error {
		for i := range 100 {
			fmt.Fprintf(&want, "%s %d\n", mark, i)
		}
		return os.WriteFile(filepath.Join(dir, "in"), []byte(want.String()), 0o644)
	}
	arrived := func() error {
		return until(ctx, "the lines are in the other file", func() (bool, error) {
			got, err := os.ReadFile(filepath.Join(dir, "out"))
			if err == nil && string(got) != want.String() {
				err = differs(string(got), want.String())
			}
			return err == nil, err
		})
	}
	if err := add("first"); err != nil {
		return "", err
	}
	err = w.running(ctx, func() error {
		for _, c := range []string{
			fmt.Sprintf(`{"name":"source","config":{"connector.class":"FileStreamSource","tasks.max":"1","file":%q,"topic":%q}}`, filepath.Join(dir, "in"), t),
			fmt.Sprintf(`{"name":"sink","config":{"connector.class":"FileStreamSink","tasks.max":"1","file":%q,"topics":%q,"consumer.override.auto.offset.reset":"earliest"}}`, filepath.Join(dir, "out"), t),
		} {
			if err := w.post(ctx, c); err != nil {
				return err
			}
		}
		defer time.Sleep(settled)
		return arrived()
	})
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, w.tail())
	}
	if err := add("second"); err != nil {
		return "", err
	}
	if err := w.running(ctx, arrived); err != nil {
		return "", fmt.Errorf("after the restart: %w: %s", err, w.tail())
	}
	for _, topic := range []string{"compat-connect-configs", "compat-connect-offsets", "compat-connect-status"} {
		out, err := s.tool(ctx, "", "TopicCommand", "--describe", "--topic", topic)
		if err := expect(out, err, "cleanup.policy=compact"); err != nil {
			return "", err
		}
	}
	return "200 lines through a topic, each once and in order; the worker restarted between, with its state in compacted topics", nil
}

// differs says where the lines of two texts part.
func differs(got, want string) error {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	n := 0
	for n < min(len(g), len(w)) && g[n] == w[n] {
		n++
	}
	return fmt.Errorf("%d lines instead of %d; from line %d on %q instead of %q", len(g)-1, len(w)-1, n+1, g[n:min(n+3, len(g))], w[n:min(n+3, len(w))])
}
