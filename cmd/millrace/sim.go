package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/node/host/mutant"
	"millrace/sim/trial"
)

// simFlags are the flags of the sim command.
type simFlags struct {
	seed      uint64
	seeds     string
	jobs      int
	twice     bool
	mutant    string
	mutants   bool
	starts    int
	limit     int
	plan      bool
	trace     string
	traceFrom uint64
	log       string
	history   string
	worker    bool
}

func (s *session) simCommand() *cobra.Command {
	f := &simFlags{}
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run a broker with its clients in a simulated world that breaks it",
		Long: "Runs a broker, its disk, its network and its clients in one thread under a seeded scheduler, crashes it, and\n" +
			"checks everything that the clients saw. The same seed always does the same: the hash covers every scheduling\n" +
			"choice and every byte and time of I/O.\n\n" +
			"  millrace sim --seed 7                 one run, with what happened in it\n" +
			"  millrace sim --seeds 1-1000 --jobs 4  many, in several processes\n" +
			"  millrace sim --seeds 1-1000 --twice   each in two processes, whose hashes must agree",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.mutant != "" {
				if err := enableMutant(f.mutant); err != nil {
					return usageError{err, c.CommandPath()}
				}
			}
			switch {
			case f.worker:
				return simWorker(s.in, s.out)
			case f.mutants:
				return s.simMutants(c.Context(), f)
			case f.seeds != "":
				from, to, err := parseSeeds(f.seeds)
				if err != nil {
					return usageError{err, c.CommandPath()}
				}
				return s.simMany(c.Context(), f, from, to)
			default:
				return s.simOne(f)
			}
		},
	}
	fl := c.Flags()
	fl.Uint64Var(&f.seed, "seed", 1, "the seed of a single run")
	fl.StringVar(&f.seeds, "seeds", "", "run many seeds, as FIRST-LAST")
	fl.IntVar(&f.jobs, "jobs", 2, "processes at work for --seeds and --mutants")
	fl.BoolVar(&f.twice, "twice", false, "run each seed in two processes that differ in GOGC and GOMAXPROCS, and compare the hashes")
	fl.BoolVar(&f.plan, "plan", false, "print the plan of --seed instead of running it")
	fl.StringVar(&f.trace, "trace", "", "write every event of --seed to a file")
	fl.Uint64Var(&f.traceFrom, "trace-from", 0, "begin the trace at this event")
	fl.StringVar(&f.log, "log", "", "write what the broker logs in --seed to a file")
	fl.StringVar(&f.history, "history", "", "write the operations that are checked for linearizability to a file, as JSON lines")
	fl.StringVar(&f.mutant, "mutant", "", "plant a bug (needs a build with the tag mutants)")
	fl.BoolVar(&f.mutants, "mutants", false, "plant each known bug in turn and count the seeds until it is found")
	fl.IntVar(&f.starts, "starts", 1, "with --mutants: how often to begin, at other seeds; the median counts")
	fl.IntVar(&f.limit, "limit", 2000, "with --mutants: seeds within which a bug must be found")
	fl.BoolVar(&f.worker, "worker", false, "read seeds from standard input, write results to standard output")
	if err := fl.MarkHidden("worker"); err != nil {
		panic(err)
	}
	return c
}

func parseSeeds(text string) (from, to uint64, err error) {
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		b = a
	}
	from, err1 := strconv.ParseUint(a, 10, 64)
	to, err2 := strconv.ParseUint(b, 10, 64)
	if err1 != nil || err2 != nil || to < from {
		return 0, 0, fmt.Errorf("--seeds %q: expected FIRST-LAST, such as 1-1000", text)
	}
	return from, to, nil
}

// enableMutant plants a bug, if this build has it.
func enableMutant(name string) error {
	known := slices.ContainsFunc(mutant.All(), func(m mutant.Mutant) bool { return m.Name == name })
	switch {
	case !mutant.Built:
		return errors.New("this binary holds no planted bugs: build it with -tags mutants")
	case !known:
		return fmt.Errorf("there is no planted bug %q", name)
	}
	plant(name)
	return nil
}

// simOne runs one seed and says what happened.
func (s *session) simOne(f *simFlags) error {
	if f.plan {
		_, err := fmt.Fprintln(s.out, trial.Draw(f.seed))
		return err
	}
	var o trial.Options
	o.TraceFrom = f.traceFrom
	for _, x := range []struct {
		name string
		to   *io.Writer
	}{{f.trace, &o.Trace}, {f.log, &o.Log}, {f.history, &o.History}} {
		if x.name == "" {
			continue
		}
		file, err := os.Create(x.name)
		if err != nil {
			return err
		}
		defer file.Close()
		*x.to = file
	}
	r := trial.Run(f.seed, o)
	if s.json {
		if err := s.printJSON(report(r)); err != nil {
			return err
		}
	} else {
		s.printTrial(r)
	}
	if r.Err != nil {
		return fmt.Errorf("seed %d failed: %w", f.seed, r.Err)
	}
	return nil
}

// printTrial describes a run to a person.
func (s *session) printTrial(r trial.Result) {
	out := s.out
	if r.Err != nil {
		fmt.Fprintf(out, "plan %s\n", r.Plan)
	}
	fmt.Fprintf(out, "seed %d: %d records acknowledged, %d read, %d crashes, %d segment rolls, %d checkpoints, %d operations linearizable\n",
		r.Seed, r.Acked, r.Read, r.Crashes, r.Rolls, r.Checkpoints, r.Operations)
	fmt.Fprintf(out, "%v simulated in %v (%.0f times real time), %d yields, %d events\n", r.Virtual.Round(time.Millisecond),
		r.Real.Round(time.Millisecond), r.Virtual.Seconds()/max(1e-9, r.Real.Seconds()), r.Steps, r.Events)
	fmt.Fprintf(out, "faults: %s\n", faults(r.Fired))
	fmt.Fprintf(out, "trace hash %016x\n", r.Hash)
}

func faults(fired map[string]int) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(fired)) {
		if fired[kind] > 0 {
			list = append(list, fmt.Sprintf("%s %d", kind, fired[kind]))
		}
	}
	return strings.Join(list, ", ")
}
