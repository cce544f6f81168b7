package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// place is a cluster that clients are run against.
type place struct {
	name   string
	at     []string // addresses of all brokers
	factor int      // replication factor of the topics
	areas  []string // what is checked here
}

// brokers is how a place is given to a program.
func (p *place) brokers() string { return strings.Join(p.at, ",") }

// reference begins the names of the topics that the tool writes at each place, one for each codec.
const reference = "reference"

// client is one client to be checked.
type client struct {
	name string
	// needs is what it takes to run, in words for people.
	needs string
	// install makes it ready to run, and returns how to run it.
	install func(ctx context.Context) (runner, error)
	// least is how many checks it has at all places; with fewer something has been left out.
	least int
	// alone clients are not run against clusters: what they check there, another one does.
	alone bool
}

// runner runs the checks of a client at a place.
type runner func(ctx context.Context, p *place, r *report)

// status of a check.
const (
	passed   = "ok"
	failed   = "FAIL"
	accepted = "accepted" // failed, for a reason that is written down
)

// result is what came of one check.
type result struct{ place, area, name, status, detail string }

// report takes the results of one client.
type report struct {
	client string

	mu      sync.Mutex
	version string
	results []result
	took    time.Duration
	last    time.Time // when the last result came
}

// slow is how long a check may take before it is mentioned.
const slow = 5 * time.Second

func (r *report) add(p *place, area, name, status, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range exceptions {
		if status == failed && e.client == r.client && e.area == area && e.name == name && strings.Contains(detail, e.says) {
			status, detail = accepted, e.reason
		}
	}
	r.results = append(r.results, result{p.name, area, name, status, detail})
	if took := time.Since(r.last); !r.last.IsZero() && took > slow {
		fmt.Printf("slow: %s, %s: %s/%s took %.1f s\n", r.client, p.name, area, name, took.Seconds())
	}
	r.last = time.Now()
	if status != passed {
		fmt.Printf("%s: %s, %s: %s/%s: %s\n", status, r.client, p.name, area, name, detail)
	}
}

func (r *report) is(version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.version = version
}

// check runs a check in this process, if its area is wanted at the place.
func (r *report) check(ctx context.Context, p *place, area, name string, fn func(context.Context) (string, error)) {
	if !slices.Contains(p.areas, area) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	detail, err := fn(ctx)
	if err != nil {
		r.add(p, area, name, failed, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	r.add(p, area, name, passed, detail)
}

func (r *report) count(status string) (n int) {
	for _, x := range r.results {
		if x.status == status {
			n++
		}
	}
	return n
}

// harnessTime is how long the checks of one client may take at one place.
const harnessTime = 4 * time.Minute

// harness is a program with the checks of one client. It is called with BROKERS PREFIX REFERENCE FACTOR AREAS, and prints
// lines with tabs between their fields:
//
//	version VERSION
//	ok AREA NAME DETAIL
//	FAIL AREA NAME DETAIL
//	wrote TOPIC CODEC nullheaders|-      a topic for readRule
func harness(command func(ctx context.Context, args ...string) *exec.Cmd) runner {
	return func(ctx context.Context, p *place, r *report) {
		hctx, cancel := context.WithTimeout(ctx, harnessTime)
		defer cancel()
		prefix := strings.NewReplacer(" ", "-", ".", "-", "/", "-").Replace("compat-" + r.client)
		cmd := command(hctx, p.brokers(), prefix, reference, strconv.Itoa(p.factor), strings.Join(p.areas, ","))
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			r.add(p, "harness", "start", failed, err.Error())
			return
		}
		wrote := r.lines(p, bufio.NewScanner(out), &said)
		if err := cmd.Wait(); err != nil {
			tail := said.Bytes()
			r.add(p, "harness", "run", failed, fmt.Sprintf("%v: %s", err, tail[max(0, len(tail)-2000):]))
		}
		for _, w := range wrote {
			r.check(ctx, p, "records", "written "+w[2], func(ctx context.Context) (string, error) {
				return "read by franz-go, compressed as it was asked for", readRule(ctx, p.at, w[1], w[2], w[3] == "nullheaders")
			})
		}
	}
}

// lines takes what a harness prints, and returns the topics that it wrote.
func (r *report) lines(p *place, lines *bufio.Scanner, rest *bytes.Buffer) (wrote [][]string) {
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		switch {
		case f[0] == "version" && len(f) == 2:
			r.is(f[1])
		case (f[0] == passed || f[0] == failed) && len(f) == 4:
			r.add(p, f[1], f[2], f[0], f[3])
		case f[0] == "wrote" && len(f) == 4:
			wrote = append(wrote, f)
		default:
			rest.WriteString(lines.Text() + "\n")
		}
	}
	return wrote
}
