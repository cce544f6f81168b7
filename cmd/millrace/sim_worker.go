package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"millrace/sim/trial"
)

// simReport is a result as a worker reports it.
type simReport struct {
	Seed        uint64         `json:"seed"`
	Error       string         `json:"error,omitempty"`
	Empty       bool           `json:"empty,omitempty"` // the run reached too little to show anything
	Hash        string         `json:"hash"`
	Events      uint64         `json:"events"`
	Yields      uint64         `json:"yields"`
	Acked       int            `json:"acked"`
	Read        int            `json:"read"`
	Crashes     int            `json:"crashes"`
	Rolls       int            `json:"rolls"`
	Checkpoints int            `json:"checkpoints"`
	Operations  int            `json:"operations"`
	Virtual     time.Duration  `json:"virtual_ns"`
	Real        time.Duration  `json:"real_ns"`
	Fired       map[string]int `json:"fired"`
	Trail       []uint64       `json:"trail,omitempty"`
}

func report(r trial.Result) simReport {
	x := simReport{Seed: r.Seed, Hash: fmt.Sprintf("%016x", r.Hash), Events: r.Events, Yields: r.Steps, Acked: r.Acked, Read: r.Read,
		Crashes: r.Crashes, Rolls: r.Rolls, Checkpoints: r.Checkpoints, Operations: r.Operations, Virtual: r.Virtual, Real: r.Real,
		Fired: r.Fired, Trail: r.Trail, Empty: errors.Is(r.Err, trial.ErrEmpty)}
	if r.Err != nil {
		x.Error = r.Err.Error()
	}
	return x
}

// simWorker runs the seeds that it reads, one world after the other.
func simWorker(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	w := json.NewEncoder(out)
	for lines.Scan() {
		seed, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			return err
		}
		if err := w.Encode(report(trial.Run(seed, trial.Options{}))); err != nil {
			return err
		}
	}
	return lines.Err()
}

// seedTime is how long a seed may take in real time.
const seedTime = 2 * time.Minute

// workerKind is how a worker process is started.
type workerKind struct {
	mutant string
	env    []string
}

// worker is a process that runs seeds.
type worker struct {
	kind   workerKind
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *bytes.Buffer
}

func startWorker(ctx context.Context, kind workerKind) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"sim", "--worker"}
	if kind.mutant != "" {
		args = append(args, "--mutant", kind.mutant)
	}
	w := &worker{kind: kind, cmd: exec.CommandContext(ctx, self, args...), stderr: &bytes.Buffer{}}
	w.cmd.Env = append(os.Environ(), kind.env...)
	w.cmd.Stderr = w.stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReaderSize(out, 1<<20)
	return w, w.cmd.Start()
}

// run runs one seed. A worker that ends or takes too long fails the seed, and must be replaced: ok is false then.
func (w *worker) run(seed uint64) (r simReport, ok bool) {
	if _, err := fmt.Fprintln(w.in, seed); err != nil {
		return w.lost(seed, err), false
	}
	late := time.AfterFunc(seedTime, func() { w.cmd.Process.Kill() })
	line, err := w.out.ReadBytes('\n')
	late.Stop()
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		return w.lost(seed, err), false
	}
	return r, true
}

func (w *worker) lost(seed uint64, err error) simReport {
	w.in.Close()
	w.cmd.Wait()
	text := w.stderr.String()
	if len(text) > 4000 {
		text = text[:4000]
	}
	return simReport{Seed: seed, Error: strings.TrimSpace(fmt.Sprintf("the process ended (%v, at most %v a seed): %s", err, seedTime, text))}
}

func (w *worker) stop() {
	w.in.Close()
	w.cmd.Wait()
}
