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
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/sim/trial"
)

// simReport is a result as a worker reports it.
type simReport struct {
	Seed        uint64         `json:"seed"`
	Nodes       int            `json:"nodes"`
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
	Answered    int            `json:"answered"`
	Virtual     time.Duration  `json:"virtual_ns"`
	Real        time.Duration  `json:"real_ns"`
	CPU         time.Duration  `json:"cpu_ns"`
	Fired       map[string]int `json:"fired"`
	Reached     map[string]int `json:"reached"`
	Trail       []uint64       `json:"trail,omitempty"`
}

func report(r trial.Result) simReport {
	x := simReport{Seed: r.Seed, Nodes: r.Plan.Nodes, Hash: fmt.Sprintf("%016x", r.Hash), Events: r.Events, Yields: r.Steps, Acked: r.Acked, Read: r.Read,
		Crashes: r.Crashes, Rolls: r.Rolls, Checkpoints: r.Checkpoints, Operations: r.Operations, Answered: r.Answered, Virtual: r.Virtual, Real: r.Real,
		Fired: r.Fired, Reached: r.Reached, Trail: r.Trail, Empty: errors.Is(r.Err, trial.ErrEmpty)}
	if r.Err != nil {
		x.Error = r.Err.Error()
	}
	return x
}

// simWorker runs the seeds and plans that it reads, one a line and one world after the other.
func simWorker(in io.Reader, out io.Writer, nodes int, beyond bool) error {
	runtime.MemProfileRate = 0 // nobody asks a worker where its memory goes
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	w := json.NewEncoder(out)
	for lines.Scan() {
		p, err := workerPlan(lines.Bytes(), nodes, beyond)
		if err != nil {
			return err
		}
		began := cpuTime()
		r := report(trial.Run(p.Seed, trial.Options{Plan: p, Patience: seedPatience()}))
		collect()
		r.CPU = cpuTime() - began
		if err := w.Encode(r); err != nil {
			return err
		}
	}
	return lines.Err()
}

// collect collects the garbage of worlds that have ended, as soon as there is much of it: between two worlds hardly anything
// lives, so that there is little to mark. After each of many small worlds it would give memory back that the next one takes again.
func collect() {
	const much = 100 << 20
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapAlloc > much {
		runtime.GC()
	}
}

// workerPlan is the plan that a line names by its seed, or holds.
func workerPlan(line []byte, nodes int, beyond bool) (*trial.Plan, error) {
	if bytes.HasPrefix(line, []byte("{")) {
		return trial.ReadPlan(line)
	}
	seed, err := strconv.ParseUint(string(line), 10, 64)
	if err != nil {
		return nil, err
	}
	if beyond {
		return trial.DrawBeyond(seed, nodes), nil
	}
	return trial.DrawNodes(seed, nodes), nil
}

const (
	// seedCPU is how much a seed may take of a core; a hundred times the usual.
	seedCPU = time.Minute
	// seedTime is how long a process may take over a seed in real time, on a machine that does other things, too.
	seedTime = 5 * time.Minute
	// stackTime is how long a process may take to write down where it is.
	stackTime = 5 * time.Second
)

// seedPatience returns what ends a run when it has taken seedCPU.
func seedPatience() func() error {
	began := cpuTime()
	return func() error {
		if took := cpuTime() - began; took > seedCPU {
			return fmt.Errorf("the run took %v of a core, it may take %v", took.Round(time.Millisecond), seedCPU)
		}
		return nil
	}
}

// workerKind is how a worker process is started.
type workerKind struct {
	mutant string
	nodes  int
	env    []string
	beyond bool
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
	args := []string{"sim", "--worker", "--nodes", strconv.Itoa(kind.nodes)}
	if kind.beyond {
		args = append(args, "--beyond")
	}
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
func (w *worker) run(seed uint64) (r simReport, ok bool) { return w.runLine(seed, fmt.Sprint(seed)) }

// runPlan is run for a plan that is not drawn.
func (w *worker) runPlan(p *trial.Plan) (r simReport, ok bool) {
	line, err := json.Marshal(p)
	if err != nil {
		panic(err) // it was read from JSON, or could have been
	}
	return w.runLine(p.Seed, string(line))
}

func (w *worker) runLine(seed uint64, line string) (r simReport, ok bool) {
	if _, err := fmt.Fprintln(w.in, line); err != nil {
		return w.lost(seed, err), false
	}
	// A task that never yields is not seen by seedPatience: the process is asked for its stacks.
	late := time.AfterFunc(seedTime, func() { w.cmd.Process.Signal(syscall.SIGQUIT) })
	dead := time.AfterFunc(seedTime+stackTime, func() { w.cmd.Process.Kill() })
	answer, err := w.out.ReadBytes('\n')
	late.Stop()
	dead.Stop()
	if err == nil {
		err = json.Unmarshal(answer, &r)
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
