package main

import (
	"context"
	"os/exec"
	"strconv"
)

// saramaPath is the program of .ci/tools/sarama, which has a module of its own.
const saramaPath = "build/sarama"

// saramaTool is sarama by a small program.
type saramaTool struct{ path string }

func (s *saramaTool) name() string    { return "sarama" }
func (s *saramaTool) version() string { return "sarama" }

func (s *saramaTool) produce(ctx context.Context, at, topic string, f *feed) error {
	_, err := pipeLines(ctx, exec.CommandContext(ctx, s.path, "produce", "-brokers", at, "-topic", topic), f)
	return err
}

func (s *saramaTool) consume(ctx context.Context, at, topic string, records int64, d *digest) error {
	return readLines(exec.CommandContext(ctx, s.path, "consume", "-brokers", at, "-topic", topic, "-count", strconv.FormatInt(records, 10)), d)
}
