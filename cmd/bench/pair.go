package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"millrace/cmd/internal/broker"
)

// pairLoad is one row of loads, by the name that --loads uses.
type pairLoad struct {
	name, title string
	steady      float64 // records a second of the run at a steady rate after the one at full speed: well below that
	load        func(*load)
}

func (pl pairLoad) kind() string {
	l := defaults("produce")
	pl.load(&l)
	return l.kind
}

var pairLoads = []pairLoad{
	{"p1k", "produce 1 KiB, 1 partition", 100_000, func(l *load) { l.records = 600_000 }},
	{"p1k12", "produce 1 KiB, 12 partitions", 100_000, func(l *load) { l.records, l.partitions = 600_000, 12 }},
	{"p100", "produce 100 B, 6 partitions", 500_000, func(l *load) { l.records, l.size, l.partitions = 3_000_000, 100, 6 }},
	{"plz4", "produce 1 KiB, lz4, 6 partitions", 60_000, func(l *load) { l.records, l.codec, l.partitions = 600_000, "lz4", 6 }},
	{"psmall", "produce 1 KiB, 16 KiB batches, no linger, 64 partitions", 20_000, func(l *load) {
		l.records, l.batchBytes, l.linger, l.partitions = 300_000, 16<<10, 0, 64
	}},
	{"c1k", "consume what p1k wrote", 0, func(l *load) { l.kind, l.records = "consume", 600_000 }},
	{"lat", "2,000 records of 1 KiB a second", 0, func(l *load) { l.kind, l.duration = "latency", 15*time.Second }},
}

// side is one of the two brokers, or clusters, with what was measured of it.
type side struct {
	name    string
	broker  *broker.Broker      // nil when it is a cluster
	cluster *broker.Cluster     // nil when it is one broker
	results map[string][]result // by the load's name; the first round is not in it
	wrote   string              // the topic of the last p1k
	moments moments
}

// pair is one run of the command.
type pair struct {
	sides  [2]*side
	loads  []pairLoad
	rounds int
	scale  float64
	stored float64
	steady time.Duration // of each run at a steady rate; 0: there are none
	nodes  int           // of each side
	dir    string
	floor  map[string][]cost // nil: it is not measured
	warm   int64             // bytes of memory that are touched before each run
}

func runPair(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("pair", flag.ExitOnError)
	a := flags.String("a", "kafka", "the one broker: kafka, or a command line with {data} and {listen}")
	b := flags.String("b", "", "the other (default build/millrace)")
	cluster := flags.Bool("cluster", false, "three brokers each and three replicas of everything; CPU time is that of all three")
	rounds := flags.Int("rounds", 5, "rounds that count; one more goes before them")
	names := flags.String("loads", "", "of p1k, p1k12, p100, plz4, psmall, c1k, lat only these (with --cluster: p1k, p1k12, lat unless said)")
	scale := flags.Float64("scale", 1, "multiply the records and seconds of each load by this, for a quick look")
	stored := flags.Float64("stored", 5, "GB that are stored when the restart of one broker is measured (0: do not measure it)")
	steady := flags.Duration("steady", 3*time.Second, "how long each produce load goes on at a steady rate, for its latency (0: not at all)")
	floor := flags.Bool("floor", true, "measure what the kernel and the disk cost at least, once a round")
	warm := flags.Float64("warm", 4, "GB of free memory to touch right before each run: a virtual machine may have given it back to its host (0: none)")
	parent := flags.String("dir", "", "where the brokers keep their data meanwhile (default the temporary directory)")
	flags.Parse(args) //nolint:errcheck // it exits

	p := &pair{rounds: *rounds, scale: *scale, stored: *stored * *scale, nodes: 1, warm: int64(*warm * 1e9)}
	p.steady = time.Duration(float64(*steady) * p.scale)
	if *floor {
		p.floor = map[string][]cost{}
	}
	if *cluster {
		p.nodes = 3
		if *names == "" {
			*names = "p1k,p1k12,lat"
		}
	}
	for _, l := range pairLoads {
		if *names == "" || slices.Contains(strings.Split(*names, ","), l.name) {
			p.loads = append(p.loads, l)
		}
	}
	var err error
	if p.dir, err = os.MkdirTemp(*parent, "millrace-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.dir)
	for i, what := range []string{*a, *b} {
		if p.sides[i], err = p.side(ctx, what, filepath.Join(p.dir, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	if p.sides[0].name == p.sides[1].name {
		p.sides[1].name += " again"
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	p.print(os.Stdout)
	return nil
}

// side makes a broker or a cluster; the default is the binary that was built.
func (p *pair) side(ctx context.Context, what, dir string) (*side, error) {
	s := &side{results: map[string][]result{}}
	if p.nodes > 1 {
		if what == "" {
			what = broker.MillraceClusterLine("build/millrace")
		}
		c, err := broker.ChooseCluster(ctx, what, dir, p.nodes, nil, soonDeleted)
		if err != nil {
			return nil, err
		}
		s.cluster, s.name = c, c.Name
		return s, nil
	}
	if what == "" {
		what = broker.MillraceLine("build/millrace")
	}
	listen, err := freePorts()
	if err != nil {
		return nil, err
	}
	if s.broker, err = broker.Choose(ctx, what, dir, listen, soonDeleted); err != nil {
		return nil, err
	}
	s.name = s.broker.Name
	return s, nil
}

// freePorts returns an address whose port and the one after it are free: Kafka's controller takes the second.
func freePorts() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := l.Addr().(*net.TCPAddr)
		next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", addr.Port+1))
		l.Close()
		if err == nil {
			next.Close()
			return addr.String(), nil
		}
	}
	return "", fmt.Errorf("no two free ports next to each other")
}

func (p *pair) run(ctx context.Context) error {
	for _, s := range p.sides {
		if s.broker == nil {
			continue
		}
		progress("%s: start, idle, restart with %.1f GB", s.name, p.stored)
		var err error
		if s.moments, err = measureMoments(ctx, s.broker, p.stored); err != nil {
			return err
		}
		progress("%s: %+v", s.name, s.moments)
	}
	for _, s := range p.sides {
		if err := s.start(ctx); err != nil {
			return err
		}
		defer s.kill()
	}
	for round := range p.rounds + 1 {
		if err := p.round(ctx, round); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if s.cluster != nil {
		return startCluster(ctx, s.cluster)
	}
	if err := s.broker.Start(ctx); err != nil {
		return err
	}
	return s.broker.WaitReady(ctx)
}

func (s *side) kill() {
	if s.cluster != nil {
		s.cluster.Kill()
	} else {
		s.broker.Kill() //nolint:errcheck // all is over
	}
}

// aim directs a load at the side.
func (s *side) aim(l *load) {
	if s.cluster != nil {
		l.brokers, l.pids, l.replicas = s.cluster.Brokers(), s.cluster.Pids(), len(s.cluster.Nodes)
	} else {
		l.brokers, l.pids = []string{s.broker.Listen}, []int{s.broker.Pid()}
	}
}

// round gives each load to both, changing who is first, and measures the floor. Round 0 does not count.
func (p *pair) round(ctx context.Context, round int) error {
	for _, l := range p.loads {
		order := []*side{p.sides[0], p.sides[1]}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			r, err := p.one(ctx, s, l, round)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, l.title, err)
			}
			progress("round %d, %s, %s: %.0f MB/s, %.2f CPU-s/GB, ack p99 %.2f ms, steady %.2f ms, request %.2f ms, disk %.2f ms", round, s.name, l.name,
				r.MBPerSecond, r.CPUSecPerGB, r.AckP99, r.SteadyP99, r.RequestP99, r.DiskP99)
			if round > 0 {
				s.results[l.name] = append(s.results[l.name], r)
			}
		}
	}
	if p.floor == nil {
		return nil
	}
	costs, err := measureFloor(ctx, p.dir, max(16, int(2048*p.scale)))
	if err != nil {
		return err
	}
	if round > 0 {
		for name, c := range costs {
			p.floor[name] = append(p.floor[name], c)
		}
	}
	return nil
}

// soonDeleted is for Kafka, which keeps the files of a deleted topic for a minute, whatever the topic's own delay: gigabytes
// would be given back to the device in the middle of another broker's load.
const soonDeleted = "log.segment.delete.delay.ms=1000"

// settled is how long what was deleted last is waited for.
const settled = 3 * time.Second

// calm is how long the disk is left alone before a latency load: what was deleted before is given back to the device meanwhile.
const calm = 15 * time.Second

// one runs one load on one broker, after all dirty pages are written.
func (p *pair) one(ctx context.Context, s *side, pl pairLoad, round int) (result, error) {
	l := defaults("produce")
	pl.load(&l)
	l.records = int64(float64(l.records) * p.scale)
	l.duration = time.Duration(float64(l.duration) * p.scale)
	s.aim(&l)
	l.topic = fmt.Sprintf("%s-%d", pl.name, round)
	if l.kind == "consume" {
		if s.wrote == "" {
			return result{}, fmt.Errorf("nothing to consume: the load p1k must come before")
		}
		l.topic = s.wrote
	}
	time.Sleep(time.Duration(float64(settled) * p.scale))
	syncDisks()
	if l.kind == "latency" {
		time.Sleep(time.Duration(float64(calm) * p.scale))
		syncDisks()
	}
	var r result
	var err error
	if p.warm > 0 {
		cost, err := warmMemory(p.warm)
		if err != nil {
			return r, err
		}
		progress("memory: %.2f CPU-s/GB", cost)
	}
	switch l.kind {
	case "latency":
		r, err = besideDisk(ctx, l, p.dir)
	case "produce":
		r, err = l.withSteady(ctx, p.steadyRate(pl), p.steady)
	default:
		r, err = l.run(ctx)
	}
	if err == nil && r.Failed > 0 {
		err = fmt.Errorf("%d records were not acknowledged", r.Failed)
	}
	if err != nil {
		return r, err
	}
	// What p1k wrote is read by c1k if that is among the loads; all else has had its use.
	if pl.name == "p1k" && slices.ContainsFunc(p.loads, func(l pairLoad) bool { return l.kind() == "consume" }) {
		s.wrote = l.topic
		return r, nil
	}
	return r, l.deleteTopic(ctx, l.topic)
}

// steadyRate is what both sides take easily: three nodes on the same cores take a fifth.
func (p *pair) steadyRate(pl pairLoad) float64 {
	if p.nodes > 1 {
		return pl.steady / 5
	}
	return pl.steady
}

// syncDisks returns when nothing that was written before waits for a disk.
func syncDisks() { unix.Sync() }

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
