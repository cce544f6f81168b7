package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	lin "millrace/linearizability"
)

// Options of a run.
type Options struct {
	// Nodes are the brokers, number 1 first; none runs yet. Network is in front of them.
	Nodes   []Process
	Network *Network
	// Racks are the racks of the nodes, if each has its own: then every replica is read in the end.
	Racks []string
	// Data are the nodes' directories, if they are Millrace's: then the disk of one of them rots.
	Data []string
	// Bootstrap are the addresses that clients are given.
	Bootstrap []string
	// Seed decides the faults; they go on for Duration.
	Seed     uint64
	Duration time.Duration
	// Rate is how many small records a second each of the producers sends; Bulk how many bytes a second another one.
	Rate float64
	Bulk int
	// Calm leaves all faults out.
	Calm bool
	// Hostile adds clients that mean no good.
	Hostile bool
	// Dir takes the history, and what was said.
	Dir string
	// Say is told what happens.
	Say func(line string)
}

// The patience of the end, when everything is healed.
const (
	flushTime = time.Minute
	wholeTime = 2 * time.Minute
	finalTime = 5 * time.Minute
)

// runner is a run at work.
type runner struct {
	Options
	*load
	group  *group
	topics *topics
	evil   *evil
	mu     sync.Mutex
	diary  *os.File
}

// Run starts the nodes, lets clients work under faults, heals everything, and checks what the clients saw. The nodes are
// killed in the end. An error says that the run could not be carried out; what it found is in the summary.
func Run(ctx context.Context, o Options) (*Summary, error) {
	diary, err := os.Create(filepath.Join(o.Dir, "diary.txt"))
	if err != nil {
		return nil, err
	}
	defer diary.Close()
	h := newHistory()
	r := &runner{Options: o, diary: diary, load: &load{history: h, gaps: newGaps(), bootstrap: o.Bootstrap, rate: o.Rate, bulk: o.Bulk}}
	r.group, r.topics = newGroup(r.load), newTopics(r.load, min(3, len(o.Nodes)))
	defer func() {
		for _, n := range o.Nodes {
			n.Kill() //nolint:errcheck // one that is gone is gone
		}
	}()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	c, err := kgo.NewClient(r.options(kgo.RetryTimeout(2*time.Second), kgo.RequestRetries(3))...)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r.evil = newEvil(h, o, c, r.say)
	if err := r.work(ctx); err != nil {
		return nil, err
	}
	return r.judge()
}

// say tells and writes down what happens.
func (r *runner) say(format string, args ...any) {
	line := fmt.Sprintf("%8.3f ", time.Since(r.began).Seconds()) + fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.diary, line)
	if r.Say != nil {
		r.Say(line)
	}
}

// start starts all nodes and makes the topics.
func (r *runner) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for i, n := range r.Nodes {
		if err := n.Start(ctx); err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	for i, n := range r.Nodes {
		if err := n.WaitReady(ctx); err != nil {
			return fmt.Errorf("node %d: %w", i+1, err)
		}
	}
	c, err := kgo.NewClient(r.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	for {
		m, err := admin.BrokerMetadata(kadm.WithAuthorizedOps(ctx)) // asked anew
		if err == nil && len(m.Brokers) == len(r.Nodes) {
			break
		}
		if wait(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("the nodes do not find each other: %d of %d (%v)", len(m.Brokers), len(r.Nodes), err)
		}
	}
	for topic, partitions := range map[string]int32{logTopic: logPartitions, bulkTopic: bulkPartitions} {
		if _, err := admin.CreateTopic(ctx, partitions, r.topics.replicas, nil, topic); err != nil {
			return fmt.Errorf("creating %s: %w", topic, err)
		}
	}
	if err := r.whole(ctx); err != nil {
		return err
	}
	// Brokers learn of topics one by one, and a client that is told by one that there is no such topic gives up soon.
	wait(ctx, 2*time.Second)
	r.began = time.Now()
	return nil
}

const (
	smallProducers = 3
	smallBytes     = 100
	bulkBytes      = 20_000
)

// work is the run itself: load and faults, then everything is healed and comes to its end.
func (r *runner) work(ctx context.Context) error {
	faults, endFaults := context.WithTimeout(ctx, r.Duration)
	defer endFaults()
	produce, endProduce := context.WithCancel(ctx)
	defer endProduce()
	read, endRead := context.WithCancel(ctx)
	defer endRead()
	flush, giveUp := context.WithCancel(ctx)
	defer giveUp()

	producers, others, evil := &crew{history: r.history}, &crew{history: r.history}, &crew{history: r.history}
	for range smallProducers {
		producers.run("producer", func() error {
			return r.produce(produce, flush, kindOfLoad{logTopic, logPartitions, smallBytes, r.Rate})
		})
	}
	if r.Bulk > 0 {
		producers.run("producer of large records", func() error {
			return r.produce(produce, flush, kindOfLoad{bulkTopic, bulkPartitions, bulkBytes, float64(r.Bulk) / bulkBytes})
		})
	}
	others.run("consumer", func() error { return r.consume(read, logTopic) })
	others.run("consumer", func() error { return r.consume(read, logTopic, bulkTopic) })
	others.run("reader of ends", func() error { return r.probe(read, 100*time.Millisecond) })
	for i := range r.Nodes {
		others.run("reader of a node's ends", func() error { return r.probeNode(read, i+1, 100*time.Millisecond) })
	}
	others.run("reader of commits", func() error { return r.group.look(read, 200*time.Millisecond) })
	others.run("administrator", func() error { return r.topics.work(produce, 2*time.Second) })
	for i := range uint64(2) {
		others.run("group", func() error { return r.group.members(read, rand.New(rand.NewPCG(r.Seed, 1<<40+i))) })
	}
	evil.run("watch", func() error { return r.evil.watch(faults) })
	if !r.Calm {
		for _, t := range tracks(r.Seed, len(r.Nodes)) {
			evil.run("faults", func() error { return r.evil.follow(faults, t) })
		}
	}
	if r.Hostile {
		r.startHostile(faults, evil, r.Seed)
	}
	evil.all.Wait()
	<-faults.Done()
	r.Network.heal()
	r.say("everything is healed")
	wait(ctx, 2*time.Second)
	endProduce()
	late := time.AfterFunc(flushTime, giveUp)
	producers.all.Wait()
	late.Stop()
	r.say("all producers have ended: %d of %d records acknowledged", r.acks.Load(), r.sent.Load())
	r.end(ctx)
	endRead()
	others.all.Wait()
	return ctx.Err()
}

// end waits until all is whole and reads everything.
func (r *runner) end(ctx context.Context) {
	if n := r.sent.Load() - r.acks.Load(); n > 0 {
		r.complain("%d records were not acknowledged within %v after everything was healed", n, flushTime)
	}
	step := func(what string, limit time.Duration, fn func(context.Context) error) {
		sctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		began := time.Now()
		if err := fn(sctx); err != nil {
			r.complain("%s: %v", what, err)
			return
		}
		r.say("%s: %.1f s", what, time.Since(began).Seconds())
	}
	for i, n := range r.Nodes {
		if n.Ended() {
			r.complain("node %d ended by itself; the end of what it printed:\n%s", i+1, n.LogTail())
		}
	}
	step("until all replicas were in sync", wholeTime, r.whole)
	step("until the group had committed everything", wholeTime, r.group.drain)
	step("comparing the topics", time.Minute, r.topics.check)
	for i := range r.Nodes {
		rack := ""
		if i < len(r.Racks) {
			rack = r.Racks[i]
		}
		step(fmt.Sprintf("reading all logs from node %d", i+1), finalTime, func(ctx context.Context) error {
			share, err := r.final(ctx, i+1, rack)
			if err == nil && rack != "" && share < 50 && len(r.Nodes) <= 3 { // of more nodes, some lack replicas
				r.complain("node %d has rack %s, but only %d %% of what a consumer of that rack read came from it", i+1, rack, share)
			}
			return err
		})
	}
}

// whole returns when every partition has a leader and all its replicas in sync.
func (r *runner) whole(ctx context.Context) error {
	c, err := kgo.NewClient(r.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	for {
		m, err := admin.Metadata(kadm.WithAuthorizedOps(ctx)) // asked anew
		var missing []string
		m.Topics.EachPartition(func(p kadm.PartitionDetail) {
			if p.Err != nil || p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
				missing = append(missing, fmt.Sprintf("%s-%d (leader %d, in sync %v of %v)", p.Topic, p.Partition, p.Leader, p.ISR, p.Replicas))
			}
		})
		if err == nil && len(missing) == 0 {
			return nil
		}
		if wait(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("not whole: %d partitions, such as %s (%v)", len(missing), strings.Join(missing[:min(5, len(missing))], ", "), err)
		}
	}
}

// judge checks the history and writes it down.
func (r *runner) judge() (*Summary, error) {
	ops := r.operations()
	f, err := os.Create(filepath.Join(r.Dir, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lin.Write(f, ops); err != nil {
		return nil, err
	}
	s := r.summary()
	s.Operations = len(ops)
	for _, v := range lin.Verify(ops, lin.Options{Operations: 20_000}) {
		s.Violations = append(s.Violations, v.String())
	}
	for _, w := range checkCommits(r.group.commits) {
		s.Violations = append(s.Violations, "committed-offset-back: "+w)
	}
	for _, c := range r.complaints {
		s.Violations = append(s.Violations, c.String())
	}
	return s, nil
}
