package shard

import (
	"fmt"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
)

// retryEvery is how often the reconciler tries again what was refused.
const retryEvery = 100 * time.Millisecond

// reconciler makes the shards of this node follow the catalog: it starts shards, gives partitions their settings, and has
// the leaders adopt and drop partitions. What is to be done follows from the newest image and from what the shards have,
// so it does not matter where it was interrupted.
type reconciler struct {
	set    *Set
	waiter host.Waiter
	ready  *host.Future[error]
	// image is the one that was compared last; empty before the first.
	image *catalog.Image
	first bool
	// swept says that what the catalog does not know was looked for, which takes shards that have applied all they know.
	swept bool
	todo  []*step
}

// step is an adoption or a drop that is not done.
type step struct {
	partition partition.ID
	shard     *Shard
	drop      bool
	// after is an adoption under way that must end before this drop.
	after *step
	// obsolete says that a drop follows, so that an adoption not yet proposed need not be.
	obsolete bool
	pending  *Pending
}

func newReconciler(s *Set, w host.Waiter, ready *host.Future[error]) *reconciler {
	return &reconciler{set: s, waiter: w, ready: ready, image: catalog.Empty(), first: true}
}

// run is the task.
func (r *reconciler) run() {
	r.set.changes.Add(r.waiter)
	r.set.metadata.changes.Add(r.waiter)
	for !r.set.stopped() {
		if err := r.pass(); err != nil {
			r.set.fail(fmt.Errorf("follow the catalog: %w", err))
			r.ready.Set(err)
			return
		}
		if len(r.todo) > 0 {
			r.waiter.WaitUntil(r.set.host.Clock.Now().Add(retryEvery))
		} else {
			r.waiter.Wait()
		}
	}
}

// pass compares once and does what can be done.
func (r *reconciler) pass() error {
	if !r.set.catalog.Status().Serving { // what it has applied may not be all that it knew before a restart
		return nil
	}
	if r.first {
		if err := r.set.format(); err != nil {
			return err
		}
	}
	image := r.set.Catalog()
	if err := r.startShards(image); err != nil {
		return err
	}
	r.compare(image)
	if !r.swept && r.serving() {
		r.swept = true
		r.dropStrangers(image)
	}
	r.image, r.first = image, false
	kept := r.todo[:0]
	for _, s := range r.todo {
		if !r.advance(s) {
			kept = append(kept, s)
		}
	}
	clear(r.todo[len(kept):])
	r.todo = kept
	if len(r.todo) == 0 && r.serving() {
		r.ready.Set(nil)
	}
	return nil
}

// serving says whether every shard with one replica serves.
func (r *reconciler) serving() bool {
	for _, s := range r.set.shards.Load().All {
		if !s.Status().Serving {
			return false
		}
	}
	return true
}

// startShards starts the shards that the catalog has made for this node and that do not run.
func (r *reconciler) startShards(image *catalog.Image) (err error) {
	ordered.Diff(r.image.Shards, image.Shards, func(id ordered.Int, _, is **catalog.Shard) {
		if err != nil || is == nil {
			return
		}
		own, member := (*is).Member(r.set.o.Node, r.set.identity.Directory)
		if _, runs := r.set.shards.Load().Get(id); member && !runs {
			err = r.set.start(*is, own)
		}
	})
	return err
}

// compare notes what the new image asks for that the last one did not.
func (r *reconciler) compare(image *catalog.Image) {
	all := false
	ordered.Diff(r.image.Resources, image.Resources, func(ordered.String, **catalog.Resource, **catalog.Resource) { all = true })
	if all {
		for _, t := range image.Topics.All {
			r.configure(image, t)
		}
	}
	ordered.Diff(r.image.Topics, image.Topics, func(_ ordered.String, was, is **catalog.Topic) {
		if was != nil && (is == nil || (*is).ID != (*was).ID) {
			r.each(*was, func(s *Shard, id partition.ID) { r.plan(s, id, true) })
		}
		if is != nil {
			if !all {
				r.configure(image, *is)
			}
			r.each(*is, func(s *Shard, id partition.ID) { r.plan(s, id, false) })
		}
	})
}

// each calls do for the partitions of a topic whose shard runs here.
func (r *reconciler) each(t *catalog.Topic, do func(*Shard, partition.ID)) {
	shards := r.set.shards.Load()
	for i, p := range t.Partitions {
		if s, ok := shards.Get(ordered.Int(p.Shard)); ok {
			do(s, partition.ID{Topic: t.ID, Index: int32(i)})
		}
	}
}

func (r *reconciler) configure(image *catalog.Image, t *catalog.Topic) {
	settings := r.set.o.Settings(image, t)
	r.each(t, func(s *Shard, id partition.ID) { s.Configure(id, settings) })
}

// plan adds a step unless the shard is there already.
func (r *reconciler) plan(s *Shard, id partition.ID, drop bool) {
	n := &step{partition: id, shard: s, drop: drop}
	for _, other := range r.todo {
		if other.partition != id {
			continue
		}
		if other.drop == drop {
			return
		}
		other.obsolete, n.after = true, other
	}
	if n.after == nil && r.done(n) {
		return
	}
	r.todo = append(r.todo, n)
}

// dropStrangers plans to drop what the shards hold and the catalog does not know: topics that were deleted shortly before
// the node stopped.
func (r *reconciler) dropStrangers(image *catalog.Image) {
	for _, s := range r.set.shards.Load().All {
		for k := range s.places.Load().All {
			t, ok := image.TopicByID(k.Topic)
			if !ok || int(k.Index) >= len(t.Partitions) || t.Partitions[k.Index].Shard != s.id {
				r.plan(s, partition.ID(k), true)
			}
		}
	}
}

// done says whether the shard is as the step wants it.
func (r *reconciler) done(s *step) bool {
	_, has := s.shard.places.Load().Get(key(s.partition))
	return has != s.drop
}

// advance does what can be done for a step; it returns whether the step is done with.
func (r *reconciler) advance(s *step) bool {
	if s.pending != nil {
		result, ok := s.pending.Try()
		if !ok {
			return false
		}
		s.pending = nil
		if result.Error == wire.ErrNone {
			return true
		}
		r.set.host.Log.Warn("a partition could not be changed, trying again", "partition", s.partition, "drop", s.drop, "error", result.Error)
		return s.obsolete
	}
	if s.obsolete {
		return true
	}
	if s.after != nil {
		if s.after.pending != nil {
			return false
		}
		s.after = nil
	}
	if r.done(s) {
		return true
	}
	if !s.shard.Status().Serving {
		return false
	}
	if s.drop {
		s.pending = s.shard.Drop(s.partition)
	} else {
		s.pending = s.shard.Adopt(s.partition, 0)
	}
	s.pending.Watch(r.waiter)
	return false
}
