package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	lin "millrace/linearizability"
)

// passingTopics are those that the administrator creates and deletes.
const passingTopics = "chaos-passing-"

// topics is what an administrator did, and what of it must hold in the end.
type topics struct {
	*load
	replicas int16
	mu       sync.Mutex
	there    map[string]bool // by name; missing: it is not known
	names    []string        // that were ever to be created
	who      int             // in the history
}

func newTopics(l *load, replicas int) *topics {
	return &topics{load: l, replicas: int16(replicas), there: map[string]bool{}, who: l.client()}
}

// topicLog is the name of a topic as an object of the history.
func topicLog(name string) string { return "topic " + name }

// topicHash identifies the id of a topic.
func topicHash(id kadm.TopicID) []uint64 {
	if id == (kadm.TopicID{}) {
		return nil
	}
	return []uint64{binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])}
}

// begin is an operation on a topic that starts now. As long as nobody knows better it may have had its effect or not, or have
// it later. All tries are one operation, since no name is used twice and nobody else uses it.
func (t *topics) begin(name string, kind lin.Kind) *lin.Operation {
	if kind == lin.Create {
		t.mu.Lock()
		t.names = append(t.names, name)
		t.mu.Unlock()
	}
	return &lin.Operation{Log: topicLog(name), Client: t.who, Kind: kind, Call: t.now(), Unknown: true}
}

func (t *topics) end(op *lin.Operation) {
	op.Return = t.now()
	t.add(*op)
}

func (t *topics) set(name string, there bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.there[name] = there
}

func (t *topics) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.there, name)
}

// work creates topics and deletes some of them again until the context ends.
func (t *topics) work(ctx context.Context, every time.Duration) error {
	c, err := kgo.NewClient(t.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	admin.SetTimeoutMillis(5000)
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprint(passingTopics, i)
		t.create(ctx, admin, name)
		if i >= 3 {
			t.delete(ctx, admin, fmt.Sprint(passingTopics, i-3))
		}
		wait(ctx, every)
	}
	return nil
}

// create creates a topic. An error that leaves the outcome open is followed by another try, of which the answer that it
// exists is a success.
func (t *topics) create(ctx context.Context, admin *kadm.Client, name string) {
	op := t.begin(name, lin.Create)
	defer t.end(op)
	for ctx.Err() == nil {
		made, err := admin.CreateTopic(ctx, 3, t.replicas, nil, name)
		switch {
		case err == nil || errors.Is(err, kerr.TopicAlreadyExists):
			if op.Unknown = false; err == nil {
				op.Records = topicHash(made.ID)
			}
			t.set(name, true)
			t.count("topics created", 1)
			return
		// While a node is away there may be too few for the replicas; nothing was created.
		case errors.Is(err, kerr.InvalidReplicationFactor):
			t.count("topics refused", 1)
		case !passing(err):
			t.complain("creating %s: %v", name, err)
			return
		}
		wait(ctx, 500*time.Millisecond)
	}
}

func (t *topics) delete(ctx context.Context, admin *kadm.Client, name string) {
	t.mu.Lock()
	there := t.there[name]
	t.mu.Unlock()
	if !there {
		return
	}
	t.forget(name)
	op := t.begin(name, lin.Delete)
	defer t.end(op)
	for ctx.Err() == nil {
		_, err := admin.DeleteTopic(ctx, name)
		switch {
		case err == nil || errors.Is(err, kerr.UnknownTopicOrPartition):
			op.Unknown = false
			t.set(name, false)
			t.count("topics deleted", 1)
			return
		case !passing(err):
			t.complain("deleting %s: %v", name, err)
			return
		}
		wait(ctx, 500*time.Millisecond)
	}
}

// check compares the cluster's topics with what was acknowledged.
func (t *topics) check(ctx context.Context) error {
	c, err := kgo.NewClient(t.options()...)
	if err != nil {
		return err
	}
	defer c.Close()
	var list kadm.TopicDetails
	var called int64
	err = patiently(ctx, func() (err error) {
		called = t.now()
		list, err = kadm.NewClient(c).ListTopics(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("asking for all topics: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(t.there)) {
		if d, listed := list[name]; (listed && d.Err == nil) != t.there[name] {
			t.complain("topic %s: acknowledged %v, and there %v", name, map[bool]string{true: "as created", false: "as deleted"}[t.there[name]], listed)
		}
	}
	for _, name := range t.names {
		op := &lin.Operation{Log: topicLog(name), Client: t.who, Kind: lin.Describe, Call: called}
		if d, listed := list[name]; listed && d.Err == nil {
			op.Records = topicHash(d.ID)
		}
		t.end(op)
	}
	for name := range list {
		if _, known := t.there[name]; !known && strings.HasPrefix(name, passingTopics) {
			t.count("topics of unknown outcome", 1)
		}
	}
	return nil
}
