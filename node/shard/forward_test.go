package shard

import (
	"fmt"
	"testing"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/sim"
)

// TestATopicIDNeverComesBack: a CreateTopic of unknown fate is tried again with another id, so that a topic that was made by
// the first try and deleted meanwhile does not come back as itself; and what the first try made counts as made.
func TestATopicIDNeverComesBack(t *testing.T) {
	if err := createAgain(); err != nil {
		t.Error(err)
	}
}

func createAgain() (err error) {
	w := sim.New(1, sim.Options{})
	defer w.Close()
	w.AddNode("n").Boot(func(h host.Host) {
		defer w.Stop()
		err = tryAgain(h)
	})
	if failed := w.Run(); failed != nil {
		return failed
	}
	return err
}

func tryAgain(h host.Host) error {
	first := catalog.CreateTopic{ID: catalog.ID{1}, Name: "t", Partitions: 1, Replication: 1}
	c := &change{set: &Set{host: h}, command: first, bytes: catalog.Encode(first)}
	if err := c.renew(); err != nil {
		return err
	}
	decoded, err := catalog.DecodeCommand(c.bytes)
	again, ok := decoded.(catalog.CreateTopic)
	if err != nil || !ok || again.ID == first.ID || again.ID == (catalog.ID{}) || again.Name != "t" {
		return fmt.Errorf("tried again: %+v, %w", decoded, err)
	}
	refused := catalog.Result{Error: wire.ErrTopicAlreadyExists, Index: 7}
	for id, done := range map[catalog.ID]bool{first.ID: true, {9}: false} {
		image := catalog.Empty()
		image.Topics = image.Topics.Set(ordered.String("t"), &catalog.Topic{ID: id, Name: "t"})
		if got := c.forgive(refused, image); (got.Error == wire.ErrNone && got.Topic.ID == id) != done {
			return fmt.Errorf("%x is there: %+v", id, got)
		}
	}
	return nil
}
