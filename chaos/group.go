package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const groupName = "chaos-group"

// committed is a commit of the group, or a look at what is committed.
type committed struct {
	Log          string
	Call, Return int64
	Offset       int64
	Look         bool // what OffsetFetch answered; otherwise a commit
	Unknown      bool // a commit without an answer, or with an error
}

// group collects what its members do.
type group struct {
	*load
	mu      sync.Mutex
	commits []committed
	got     map[string]int64 // of each log, the highest offset behind a record that a member processed
}

func newGroup(l *load) *group { return &group{load: l, got: map[string]int64{}} }

func (g *group) note(c committed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.commits = append(g.commits, c)
}

// members keeps one member at work, and another after it, until the context ends.
func (g *group) members(ctx context.Context, r *rand.Rand) error {
	for ctx.Err() == nil {
		life, cancel := context.WithTimeout(ctx, between(r, 10*time.Second, 45*time.Second))
		err := g.member(life, ctx)
		cancel()
		if err != nil {
			return err
		}
		wait(ctx, between(r, 0, 3*time.Second))
	}
	return nil
}

// member joins the group, reads, and commits what it has read, until its life ends; then it leaves.
func (g *group) member(life, ctx context.Context) error {
	m := &member{group: g, sessions: map[string]*session{}}
	c, err := kgo.NewClient(g.options(kgo.ConsumerGroup(groupName), kgo.ConsumeTopics(logTopic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second),
		kgo.RebalanceTimeout(10*time.Second), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, a map[string][]int32) { m.begin(a) }))...)
	if err != nil {
		return err
	}
	defer c.CloseAllowingRebalance()
	g.count("group members", 1)
	for life.Err() == nil {
		call := g.now()
		pctx, cancel := context.WithTimeout(life, time.Second)
		fetches := c.PollFetches(pctx)
		cancel()
		m.took(call, fetches)
		if !fetches.Empty() {
			m.commit(ctx, c, fetches)
		}
		c.AllowRebalance()
	}
	return nil
}

// member is one member of the group. Each log that it is given begins a session of its own.
type member struct {
	*group
	mu       sync.Mutex
	sessions map[string]*session
}

func (m *member) begin(assigned map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for topic, partitions := range assigned {
		for _, p := range partitions {
			m.sessions[logName(topic, p)] = &session{load: m.load, id: m.client(), next: map[string]int64{}}
		}
	}
}

func (m *member) took(call int64, fetches kgo.Fetches) {
	fetches.EachError(func(topic string, partition int32, err error) {
		if !passing(err) && !outOfGroup(err) {
			m.complain("member of the group, %s: %v", logName(topic, partition), err)
		}
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		log := logName(p.Topic, p.Partition)
		m.mu.Lock()
		s := m.sessions[log]
		m.mu.Unlock()
		if s == nil || len(p.Records) == 0 {
			return
		}
		one := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: p.Topic, Partitions: []kgo.FetchPartition{p.FetchPartition}}}}}
		s.took(call, one)
	})
}

// outOfGroup are the errors of a member that was thrown out or whose group is moving.
func outOfGroup(err error) bool {
	for _, e := range []error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.FencedInstanceID} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// commit commits what the poll gave.
func (m *member) commit(ctx context.Context, c *kgo.Client, fetches kgo.Fetches) {
	var list []committed
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			list = append(list, committed{Log: logName(p.Topic, p.Partition), Offset: p.Records[n-1].Offset + 1})
		}
	})
	if len(list) == 0 {
		return
	}
	cctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	call := m.now()
	err := c.CommitRecords(cctx, fetches.Records()...)
	now := m.now()
	switch {
	case err == nil:
		m.count("commits", len(list))
	case passing(err) || outOfGroup(err):
		m.count("commits without success", len(list))
	default:
		m.complain("committing: %v", err)
	}
	for _, x := range list {
		x.Call, x.Return, x.Unknown = call, now, err != nil
		m.note(x)
		m.group.mu.Lock()
		m.got[x.Log] = max(m.got[x.Log], x.Offset)
		m.group.mu.Unlock()
	}
}

// look asks what is committed, again and again.
func (g *group) look(ctx context.Context, every time.Duration) error {
	c, err := kgo.NewClient(g.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	for ctx.Err() == nil {
		if _, err := g.lookOnce(ctx, admin); err != nil && !passing(err) && !errors.Is(err, kerr.GroupIDNotFound) {
			g.complain("asking for committed offsets: %v", err)
		}
		wait(ctx, every)
	}
	return nil
}

func (g *group) lookOnce(ctx context.Context, admin *kadm.Client) (map[string]int64, error) {
	call := g.now()
	offsets, err := admin.FetchOffsets(ctx, groupName)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, err
	}
	now, all := g.now(), map[string]int64{}
	offsets.Each(func(o kadm.OffsetResponse) {
		log := logName(o.Topic, o.Partition)
		all[log] = o.At
		g.count("committed offsets asked", 1)
		g.note(committed{Log: log, Call: call, Return: now, Offset: o.At, Look: true})
	})
	return all, nil
}

// drain lets one last member read to the end of all logs, and returns when it has committed there.
func (g *group) drain(ctx context.Context) error {
	c, err := kgo.NewClient(g.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	var ends kadm.ListedOffsets
	err = patiently(ctx, func() (err error) {
		if ends, err = admin.ListEndOffsets(ctx, logTopic); err == nil {
			err = ends.Error()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("asking for the ends that the group must reach: %w", err)
	}
	life, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- g.member(life, ctx) }()
	for {
		all, err := g.lookOnce(ctx, admin)
		behind := 0
		ends.Each(func(o kadm.ListedOffset) {
			if all[logName(o.Topic, o.Partition)] < o.Offset {
				behind++
			}
		})
		if err == nil && behind == 0 {
			stop()
			return <-done
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the group has not reached the ends of %d logs (%v): %w", behind, err, ctx.Err())
		}
		wait(ctx, 200*time.Millisecond)
	}
}
