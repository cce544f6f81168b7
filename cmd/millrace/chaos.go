//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/chaos"
	"millrace/cmd/internal/broker"
)

// chaosFlags are the flags of the chaos command.
type chaosFlags struct {
	nodes   int
	minutes float64
	seed    uint64
	against string
	dir     string
	rate    float64
	bulk    int
	calm    bool
	hostile bool
	keep    bool
	logs    string
}

func (s *session) chaosCommand() *cobra.Command {
	f := &chaosFlags{}
	c := &cobra.Command{
		Use:   "chaos",
		Short: "Torment real broker processes and check what their clients saw",
		Long: "Starts a cluster of this binary as processes on this machine, with a proxy in front of every link, lets clients work, and\n" +
			"kills, stops, restarts, cuts off and slows down the nodes by a plan that the seed decides, never more than a minority at\n" +
			"once. In the end everything is healed, all logs are read, and the history of what the clients saw is checked. Exit\n" +
			"code 1 says that something was found; history, diary and logs are kept then.\n\n" +
			"  millrace chaos --nodes 3 --minutes 2 --seed 7\n" +
			"  millrace chaos --against kafka   the same on Apache Kafka (Java 17, Maven)",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("seed") {
				f.seed = rand.Uint64N(1_000_000)
			}
			if f.nodes < 1 || f.nodes > 5 {
				return usageError{fmt.Errorf("--nodes %d: 1 to 5", f.nodes), c.CommandPath()}
			}
			return s.chaos(c.Context(), f)
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.nodes, "nodes", 3, "nodes of the cluster")
	fl.Float64Var(&f.minutes, "minutes", 2, "how long faults come")
	fl.Uint64Var(&f.seed, "seed", 0, "what decides the faults (default: drawn, and printed)")
	fl.StringVar(&f.against, "against", "", "kafka, or the command line of a node with {node}, {peers}, {data}, {listen}, {advertise}, {rack} (default: this binary)")
	fl.StringVar(&f.dir, "dir", "", "below which a directory for data, logs and history is made; it is removed after a clean run (default: that for temporary files)")
	fl.Float64Var(&f.rate, "rate", 60, "small records a second of each of three producers")
	fl.IntVar(&f.bulk, "bulk", 1_000_000, "bytes a second of large records; 0: none")
	fl.BoolVar(&f.calm, "calm", false, "no faults")
	fl.BoolVar(&f.hostile, "hostile", false, "clients beside the load that send garbage, floods and bombs, stop in the middle, and do not read")
	fl.BoolVar(&f.keep, "keep", false, "keep data, logs and history of a clean run, too")
	fl.StringVar(&f.logs, "log-level", "info", "what the nodes log")
	return c
}

func (s *session) chaos(ctx context.Context, f *chaosFlags) error {
	dir, err := f.directory()
	if err != nil {
		return err
	}
	line := f.against
	if line == "" {
		binary, err := os.Executable()
		if err != nil {
			return err
		}
		line = broker.MillraceClusterLine(binary) + " --rack={rack} --log-level=" + f.logs
	}
	network := &chaos.Network{}
	defer network.Close()
	cluster, err := broker.ChooseCluster(ctx, line, dir, f.nodes, network.Detour)
	if err != nil {
		return err
	}
	o := chaos.Options{Network: network, Bootstrap: cluster.Brokers(), Seed: f.seed, Duration: time.Duration(f.minutes * float64(time.Minute)),
		Rate: f.rate, Bulk: f.bulk, Calm: f.calm, Hostile: f.hostile, Dir: dir, Say: func(line string) { s.note("%s", line) }}
	for _, b := range cluster.Nodes {
		o.Nodes = append(o.Nodes, b)
		if strings.Contains(line, "{rack}") || line == "kafka" {
			o.Racks = append(o.Racks, b.Place.Rack)
		}
		if f.against == "" {
			o.Data = append(o.Data, b.Data)
		}
	}
	s.note("seed %d, %d nodes, everything in %s", f.seed, f.nodes, dir)
	found, err := chaos.Run(ctx, o)
	if err != nil {
		return &failure{exit: exitFailed, message: err.Error(), hint: "logs are in " + dir}
	}
	if s.json {
		err = s.printJSON(found)
	} else {
		found.Print(s.out)
	}
	if n := len(found.Violations); n > 0 {
		return &failure{exit: exitFailed, message: fmt.Sprintf("%d violations with seed %d", n, f.seed), hint: "history, diary and logs are in " + dir}
	}
	if f.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// directory makes a new one that takes everything.
func (f *chaosFlags) directory() (string, error) {
	if f.dir != "" {
		if err := os.MkdirAll(f.dir, 0o755); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(f.dir, fmt.Sprintf("millrace-chaos-%d-", f.seed))
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}
