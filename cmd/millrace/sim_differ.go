package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// parting is where two runs of a seed began to differ, as far as their trails say.
type parting struct {
	seed uint64
	from uint64 // the event after which they do
	what string
}

func (p parting) String() string { return p.what }

// trailStep is the number of events between two hashes of a trail.
const trailStep = 1000

// partingOf compares the trails of two runs.
func partingOf(a, b simReport) parting {
	n := min(len(a.Trail), len(b.Trail))
	for i := range n {
		if a.Trail[i] != b.Trail[i] {
			return parting{a.Seed, uint64(i * trailStep), fmt.Sprintf("two processes differ between the events %d and %d (hashes %s and %s)",
				i*trailStep, (i+1)*trailStep, a.Hash, b.Hash)}
		}
	}
	return parting{a.Seed, uint64(n * trailStep), fmt.Sprintf("two processes differ after the event %d (%d and %d events, hashes %s and %s)",
		n*trailStep, a.Events, b.Events, a.Hash, b.Hash)}
}

// notePartings says of each of the first ones what the first event is that differs.
func (s *session) notePartings(ctx context.Context, f *simFlags, list []parting) {
	for _, p := range list[:min(3, len(list))] {
		args := []string{"--seed", fmt.Sprint(p.seed), "--nodes", fmt.Sprint(f.nodes), "--trace-from", fmt.Sprint(p.from)}
		if f.mutant != "" {
			args = append(args, "--mutant", f.mutant)
		}
		d, err := firstDifference(ctx, args, args)
		if err != nil {
			s.note("seed %d: what differs first was not found: %v", p.seed, err)
			continue
		}
		s.note("seed %d: %s", p.seed, d)
	}
}

// difference is the first line in which two traces are not the same, with the lines before it.
type difference struct {
	before []string
	a, b   string // "" is the end of the trace
}

const linesBefore = 5

func (d *difference) String() string {
	if d == nil {
		return "no line of the traces differs this time: what differs is not always there, or is in no line"
	}
	end := func(s string) string {
		if s == "" {
			return "(the trace ends)"
		}
		return s
	}
	var b strings.Builder
	b.WriteString("the first event that differs, with those before it:\n")
	for _, line := range d.before {
		fmt.Fprintf(&b, "      %s\n", line)
	}
	fmt.Fprintf(&b, "  <   %s\n  >   %s", end(d.a), end(d.b))
	return b.String()
}

// firstDifference lets two processes run in lockstep, each in one of the environments of --twice, until their traces
// differ; nil when they do not.
func firstDifference(ctx context.Context, a, b []string) (*difference, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	var readers []io.Reader
	var wait []func()
	defer func() {
		stop()
		for _, w := range wait {
			w()
		}
	}()
	for i, args := range [][]string{a, b} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		c := exec.CommandContext(ctx, self, append([]string{"sim", "--plans", os.DevNull, "--trace", "/dev/fd/3"}, args...)...)
		c.Env = append(os.Environ(), twiceEnvironments[i]...)
		c.ExtraFiles = []*os.File{w}
		err = c.Start()
		w.Close()
		wait = append(wait, func() {
			r.Close()
			c.Wait() //nolint:errcheck // a run may fail, or was ended
		})
		if err != nil {
			return nil, err
		}
		readers = append(readers, r)
	}
	return compareTraces(readers[0], readers[1])
}

// compareTraces reads two traces line by line.
func compareTraces(a, b io.Reader) (*difference, error) {
	x, y := bufio.NewReaderSize(a, 1<<16), bufio.NewReaderSize(b, 1<<16)
	var before []string
	for {
		one, err1 := x.ReadString('\n')
		two, err2 := y.ReadString('\n')
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		one, two = strings.TrimSuffix(one, "\n"), strings.TrimSuffix(two, "\n")
		switch {
		case one != two:
			return &difference{slices.Clone(before), one, two}, nil
		case err1 != nil:
			return nil, nil
		}
		if before = append(before, one); len(before) > linesBefore {
			before = before[1:]
		}
	}
}
