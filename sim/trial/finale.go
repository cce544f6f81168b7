package trial

import (
	"maps"
	"slices"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/sim"
	"millrace/sim/client"
)

// finale waits until the cluster is whole, reads everything, stops the brokers in order, compares the replicas, and reads
// everything again after another start.
func (t *trial) finale() {
	d := t.world.Draws("finale")
	if len(t.brokers) > 1 && !t.liveness() {
		return
	}
	t.healed = true
	if !t.readEverything("at the end") {
		return
	}
	t.finalMetadata()
	if len(t.brokers) > 1 && !t.awaitCopies() {
		return
	}
	list := t.whole()
	for i := range list {
		j := i + int(d.Below(int64(len(list)-i)))
		list[i], list[j] = list[j], list[i]
		if !list[i].stop() {
			return
		}
	}
	list = slices.DeleteFunc(list, func(b *broker) bool { return b.lost != "" }) // some found only now that their log is damaged
	if len(list) > 1 && !t.compareReplicas() || !t.compareCompacted() {
		return
	}
	for _, b := range list {
		b.node.Crash(sim.Pick(d, sim.Kill, sim.Power))
	}
	for _, b := range list {
		b.boot()
	}
	t.readEverything("after a stop and another start")
}

// checkGone looks whether deleted topics have stayed away.
func (t *trial) checkGone(c *client.Client, when string, deadline host.Instant) {
	for _, name := range slices.Sorted(maps.Keys(t.gone)) {
		if !t.gone[name] {
			continue
		}
		err := c.Retry(deadline, func() error {
			err := c.Refresh(name)
			switch {
			case client.IsCode(err, wire.ErrUnknownTopicOrPartition):
				return nil
			case err == nil:
				t.failf("%s: the deleted topic %s is in the metadata", when, name)
			}
			return err
		})
		if err != nil {
			t.failf("%s: metadata of the deleted topic %s: %w", when, name, err)
		}
	}
}

// readEverything reads each partition from its start to its end with a new client, and checks the whole.
func (t *trial) readEverything(when string) bool {
	c := t.newClient("reader "+when, ActorPlan{})
	defer c.Close()
	f := client.NewFetcher(c, client.FetchOptions{MaxWait: 10 * time.Millisecond, MinBytes: 1, MaxBytes: 8 << 20, PartitionMaxBytes: 1 << 20})
	r := &reader{who: 99, client: c, fetcher: f}
	deadline := t.host.Clock.Now().Add(patience)
	starts, ends := make(map[*partitionLog]int64), make(map[*partitionLog]int64)
	for _, l := range t.partitions() {
		err := c.Retry(deadline, func() error {
			b := t.oracle.bounds(l)
			start, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Earliest)
			if err != nil {
				return err
			}
			end, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Latest)
			if err != nil {
				return err
			}
			t.oracle.watermarks(l, b, end, start, true, "ListOffsets "+when)
			starts[l], ends[l] = start, end
			return nil
		})
		if err != nil {
			t.failf("%v: %s: list offsets: %w", l, when, err)
			return false
		}
	}
	t.checkGone(c, when, deadline)
	r.readAll(t.partitions())
	for {
		left := 0
		for _, x := range r.list {
			if x.position.Offset < ends[x.log] {
				left++
			}
		}
		if left == 0 {
			break
		}
		if t.host.Clock.Now() > deadline {
			t.failf("%s: %d partitions cannot be read to their end", when, left)
			return false
		}
		t.poll(r) // an error is tried again until the deadline
	}
	for _, x := range r.list {
		start := max(starts[x.log], x.log.start)
		t.oracle.checkLog(x.log, start, x.position.Offset)
		t.oracle.recordFinal(x.log, start, x.position.Offset)
		if err := t.checkEpochs(c, x.log); err != nil {
			t.failf("%v: %s: where epochs ended: %w", x.log, when, err)
			return false
		}
	}
	return t.readCompacted(when)
}

// checkEpochs asks for every epoch of which a record is known, and for one that nobody had, where it ended.
func (t *trial) checkEpochs(c *client.Client, l *partitionLog) error {
	deadline := t.host.Clock.Now().Add(patience)
	first, last := make(map[int32]int64), make(map[int32]int64)
	for offset, r := range l.records { //door:ordered smallest and largest per epoch, whatever the order
		if r.epoch < 0 || offset < l.start {
			continue
		}
		last[r.epoch] = max(last[r.epoch], offset)
		if have, ok := first[r.epoch]; !ok || offset < have {
			first[r.epoch] = offset
		}
	}
	epochs := slices.Sorted(maps.Keys(last))
	for i, epoch := range epochs {
		err := c.Retry(deadline, func() error {
			found, end, err := c.EpochEnd(l.topic.plan.Name, l.index, epoch)
			if err != nil {
				return err
			}
			t.world.Note("oracle: %v: epoch %d: %d ended at %d", l, epoch, found, end)
			start, _, err := c.ListOffset(l.topic.plan.Name, l.index, client.Earliest)
			if err != nil || start > last[epoch] {
				return err // its records went meanwhile, and what was known of it
			}
			if found != epoch || end <= last[epoch] || i+1 < len(epochs) && end > first[epochs[i+1]] {
				t.failf("%v: epoch %d, whose last record is at %d: the broker says that epoch %d ended at %d", l, epoch, last[epoch], found, end)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
