package shard

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"millrace/net/peer"
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/mutant"
)

const (
	// servedFor is how long the catalog's leader waits for the fate of a command of another node.
	servedFor = 5 * time.Second
	// retryAfter is the time between two tries to reach the catalog's leader.
	retryAfter = 50 * time.Millisecond
)

// Change proposes a change of the metadata, wherever the catalog is led from, and waits until its outcome can be seen in
// this node's image. A try that certainly failed is repeated, and so is one with an unknown outcome when that cannot do
// harm: then the command may have been decided by an earlier try, and counts as done. An outcome unknown at the end, or
// not visible here, is REQUEST_TIMED_OUT.
func (s *Set) Change(c catalog.Command, deadline host.Instant) catalog.Result {
	change := change{set: s, command: c, bytes: catalog.Encode(c), deadline: deadline, waiter: s.host.Tasks.NewWaiter()}
	s.changes.Add(change.waiter)
	defer s.changes.Remove(change.waiter)
	if d, ok := c.(catalog.DeleteTopic); ok {
		change.deleted, _ = s.Catalog().TopicByID(d.ID)
	}
	for {
		result, fate := change.try()
		switch {
		case fate == decided:
			return change.finish(result)
		case fate == unknown && !repeatable(c):
			return catalog.Result{Error: wire.ErrRequestTimedOut, Message: "the catalog's leader was lost before it answered"}
		case fate == unknown:
			if err := change.renew(); err != nil {
				return catalog.Result{Error: wire.ErrRequestTimedOut, Message: "the catalog's leader was lost before it answered"}
			}
		}
		if now := s.host.Clock.Now(); now >= deadline || s.over() {
			return catalog.Result{Error: wire.ErrRequestTimedOut, Message: "the catalog did not answer in time"}
		}
		change.waiter.WaitUntil(min(deadline, s.host.Clock.Now().Add(retryAfter)))
	}
}

// fate is what is known of a try.
type fate int

const (
	// failed: certainly not decided, and never will be.
	failed fate = iota
	// unknown: decided, or may be later.
	unknown
	// decided: by the catalog.
	decided
)

// change is one call of Change.
type change struct {
	set      *Set
	command  catalog.Command
	bytes    []byte
	deadline host.Instant
	waiter   host.Waiter
	// repeated says that an earlier try had an unknown outcome; deleted is what a DeleteTopic is to delete, and earlier are
	// the ids that earlier tries of a CreateTopic had.
	repeated bool
	deleted  *catalog.Topic
	earlier  []catalog.ID
}

// renew prepares another try after one of unknown outcome. A topic gets another id: the one of before may have been made
// and deleted again by somebody else since, and an id must never come back, since files are named by it and may be under
// deletion.
func (c *change) renew() error {
	c.repeated = true
	create, ok := c.command.(catalog.CreateTopic)
	if !ok || create.ID == (catalog.ID{}) || mutant.On("shard-topic-id-comes-back") {
		return nil
	}
	c.earlier = append(c.earlier, create.ID)
	if _, err := io.ReadFull(c.set.host.Secure, create.ID[:]); err != nil {
		return fmt.Errorf("draw a topic id: %w", err)
	}
	c.command, c.bytes = create, catalog.Encode(create)
	return nil
}

// repeatable says whether a command that was decided already can be proposed once more without another effect.
func repeatable(c catalog.Command) bool {
	switch c := c.(type) {
	case catalog.Format, catalog.RegisterBroker, catalog.FenceBroker, catalog.UnregisterBroker, catalog.CreateTopic,
		catalog.CreatePartitions, catalog.AllocateProducerIDs:
		return true
	case catalog.DeleteTopic:
		return c.ID != catalog.ID{}
	}
	return false // a config could be set back after somebody else has changed it
}

// try proposes once, here or at the node that leads the catalog.
func (c *change) try() (catalog.Result, fate) {
	s := c.set
	if status := s.catalog.Status(); status.Serving || s.o.alone() {
		result, ok := awaitUntil(s, s.catalog.Propose(c.bytes), c.deadline)
		switch {
		case !ok:
			return catalog.Result{}, unknown
		case result.Error == wire.ErrNotLeaderOrFollower:
			return catalog.Result{}, failed
		case result.Error != wire.ErrNone:
			return catalog.Result{Error: result.Error, Message: result.Message}, decided
		}
		return result.Value.(catalog.Result), decided
	}
	leader := s.Controller()
	if leader < 0 || leader == s.o.Node {
		return catalog.Result{}, failed
	}
	answer, err := s.links.Call(leader, callPropose, c.bytes, min(c.deadline, s.host.Clock.Now().Add(servedFor)))
	switch {
	case errors.Is(err, peer.ErrNotConnected), errors.Is(err, peer.ErrBusy), err != nil && mutant.On("change-lost-taken-for-failed"):
		return catalog.Result{}, failed
	case err != nil:
		return catalog.Result{}, unknown
	}
	defer answer.Release()
	return decodeFate(answer.Bytes())
}

// finish waits until the outcome can be seen here, and takes what an earlier try did for done.
func (c *change) finish(result catalog.Result) catalog.Result {
	image, ok := c.await(result.Index)
	if !ok {
		return catalog.Result{Error: wire.ErrRequestTimedOut, Message: "the change was made, but this node has not seen it yet"}
	}
	if c.repeated && result.Error != wire.ErrNone {
		result = c.forgive(result, image)
	}
	if result.Topic != nil {
		if t, ok := image.TopicByID(result.Topic.ID); ok {
			result.Topic = t
		}
	}
	return result
}

// forgive turns the refusal of a repeated command into success when it was refused because it had been done.
func (c *change) forgive(result catalog.Result, image *catalog.Image) catalog.Result {
	switch command := c.command.(type) {
	case catalog.CreateTopic:
		if t, ok := image.Topic(command.Name); ok && result.Error == wire.ErrTopicAlreadyExists && slices.Contains(c.earlier, t.ID) {
			return catalog.Result{Topic: t, Index: result.Index}
		}
	case catalog.DeleteTopic:
		if result.Error == wire.ErrUnknownTopicId && c.deleted != nil {
			return catalog.Result{Topic: c.deleted, Index: result.Index}
		}
	case catalog.UnregisterBroker:
		if result.Error == wire.ErrBrokerIdNotRegistered {
			return catalog.Result{Index: result.Index}
		}
	case catalog.CreatePartitions:
		if t, ok := image.Topic(command.Name); ok && result.Error == wire.ErrInvalidPartitions && len(t.Partitions) == int(command.Count) {
			return catalog.Result{Topic: t, Index: result.Index}
		}
	}
	return result
}

// await waits until the image here has an index, which it never will when the node has failed.
func (c *change) await(index uint64) (*catalog.Image, bool) {
	c.set.WatchCatalog(c.waiter)
	defer c.set.UnwatchCatalog(c.waiter)
	c.set.failed.Watch(c.waiter)
	defer c.set.failed.Unwatch(c.waiter) // it lives as long as the node
	for {
		if image := c.set.Catalog(); image.Index >= index {
			return image, true
		}
		if c.set.over() || !c.waiter.WaitUntil(c.deadline) {
			return nil, false
		}
	}
}

// Answers to callPropose begin with the fate; a catalog.Result follows when it was decided.
const (
	answerFailed  = 0
	answerUnknown = 1
	answerDecided = 2
)

// servePropose proposes a command of another node, if this one leads the catalog.
func (s *Set) servePropose(command []byte) ([]byte, error) {
	if _, err := catalog.DecodeCommand(command); err != nil {
		return nil, err // it must not reach the log, where it would stop every node
	}
	shard, ok := s.shards.Load().Get(0)
	if !ok || !shard.Status().Serving {
		return []byte{answerFailed}, nil
	}
	result, ok := awaitUntil(s, shard.Propose(append([]byte(nil), command...)), s.host.Clock.Now().Add(servedFor))
	switch {
	case !ok:
		return []byte{answerUnknown}, nil
	case result.Error == wire.ErrNotLeaderOrFollower:
		return []byte{answerFailed}, nil
	case result.Error != wire.ErrNone:
		return append([]byte{answerDecided}, catalog.EncodeResult(catalog.Result{Error: result.Error, Message: result.Message})...), nil
	}
	return append([]byte{answerDecided}, catalog.EncodeResult(result.Value.(catalog.Result))...), nil
}

func decodeFate(b []byte) (catalog.Result, fate) {
	switch {
	case len(b) == 1 && b[0] == answerFailed:
		return catalog.Result{}, failed
	case len(b) > 1 && b[0] == answerDecided:
		if result, err := catalog.DecodeResult(b[1:]); err == nil {
			return result, decided
		}
	}
	return catalog.Result{}, unknown
}

// ReadCatalog returns an image that has everything that was acknowledged before the call.
func (s *Set) ReadCatalog(deadline host.Instant) (*catalog.Image, wire.ErrorCode) {
	for {
		result, ok := awaitUntil(s, s.catalog.ReadIndex(), min(deadline, s.host.Clock.Now().Add(servedFor)))
		if ok && result.Error == wire.ErrNone {
			return s.Catalog(), wire.ErrNone
		}
		if s.host.Clock.Now() >= deadline || s.over() {
			return nil, wire.ErrRequestTimedOut
		}
		s.host.Clock.Sleep(retryAfter)
	}
}
