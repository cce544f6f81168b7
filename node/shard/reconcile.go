package shard

import (
	"errors"
	"fmt"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/node/ordered"
	"millrace/partition"
)

// retryEvery is how often the reconciler tries again what was refused.
const retryEvery = 100 * time.Millisecond

// proofLost is how long a proof may take before another one is asked for.
const proofLost = time.Second

// reconciler makes the shards of this node follow the catalog: it starts shards, gives partitions their settings, and
// has the shards that are led from here adopt and drop partitions. What is to be done follows from the newest image and
// from what the shards have, so it does not matter where it was interrupted; when a shard begins to be led from here, all
// of its partitions are compared, and from then on only what changes.
//
// The image may be behind: of a shard that begins to be led from here, earlier leaders may have adopted what it does not
// know yet, and dropped what it does not know to be deleted. To drop the one would lose what was acknowledged; to adopt the
// other again, whose files are perhaps being deleted, would need them for nothing. So the partitions of a shard are compared for the
// first time with an image that is proven to be newer than the sight of its leadership. From then on nobody else changes
// what the shard has, and an image that is behind only comes later to the same.
type reconciler struct {
	set    *Set
	waiter host.Waiter
	ready  *host.Future[error]
	// image is the one that was compared last, made the one whose shards were started; empty before the first.
	image, made *catalog.Image
	// led are the terms in which shards are led from here and whose partitions were compared, taken those whose partitions are
	// yet to be, and proof a read index that began after all of them were seen.
	led, taken map[ordered.Int]uint64
	proof      *Pending
	asked      host.Instant
	proven     bool
	format     *Pending
	todo       []*step
	planned    map[partition.ID]*step // the last one of a partition in todo
}

// step is an adoption or a drop that is not done.
type step struct {
	partition partition.ID
	shard     *Shard
	// term is the one in which the shard is led from here; a step of an earlier one is void.
	term uint64
	drop bool
	// after is an adoption under way that must end before this drop.
	after *step
	// obsolete says that a drop follows, so that an adoption not yet proposed need not be.
	obsolete bool
	pending  *Pending
}

func newReconciler(s *Set, w host.Waiter, ready *host.Future[error]) *reconciler {
	return &reconciler{
		set: s, waiter: w, ready: ready, image: catalog.Empty(), made: catalog.Empty(),
		led: map[ordered.Int]uint64{}, taken: map[ordered.Int]uint64{}, planned: map[partition.ID]*step{},
	}
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
		if len(r.todo) > 0 || !r.proven || len(r.taken) > 0 {
			r.waiter.WaitUntil(r.set.host.Clock.Now().Add(retryEvery))
		} else {
			r.waiter.Wait()
		}
	}
}

// pass compares once and does what can be done.
func (r *reconciler) pass() error {
	current := r.proves()
	image := r.set.Catalog()
	if err := r.makeCluster(image); err != nil {
		return err
	}
	if err := r.startShards(image); err != nil {
		return err
	}
	if r.proven {
		if current || mutant.On("stranger-dropped-unproven") {
			r.takeOver(image)
		}
		if mutant.On("adopted-unproven") {
			r.adoptAll(image)
		}
		r.compare(image)
		r.look()
	}
	r.advance()
	r.prove()
	if r.proven && image.ClusterID != "" && (!r.set.o.alone() || r.settled()) {
		r.ready.Set(nil)
	}
	return nil
}

// settled says that a node whose shards have no other replicas has nothing left to do.
func (r *reconciler) settled() bool {
	if len(r.todo) > 0 || len(r.taken) > 0 {
		return false
	}
	for _, s := range r.set.shards.Load().All {
		if !s.Status().Serving {
			return false
		}
	}
	return true
}

// proves says whether there is a new proof that the image is current: every image loaded after that is good for what was
// seen before the proof was asked for.
func (r *reconciler) proves() bool {
	if r.proof == nil {
		return false
	}
	result, ok := r.proof.Try()
	if !ok && r.set.host.Clock.Now().Sub(r.asked) < proofLost {
		return false
	}
	r.proof = nil
	proven := ok && result.Error == wire.ErrNone
	r.proven = r.proven || proven
	return proven
}

// prove asks for a proof when one is needed and none is on its way.
func (r *reconciler) prove() {
	if r.proof == nil && (!r.proven || len(r.taken) > 0) {
		r.proof, r.asked = r.set.catalog.ReadIndex(), r.set.host.Clock.Now()
		r.proof.Watch(r.waiter)
	}
}

// makeCluster proposes the catalog's first command, if this node leads the catalog, and checks that the catalog is the
// directory's.
func (r *reconciler) makeCluster(image *catalog.Image) error {
	identity := &r.set.identity
	if image.ClusterID != "" {
		if image.ClusterID != identity.ClusterID {
			return fmt.Errorf("the catalog is of cluster %s, but the data directory of cluster %s", image.ClusterID, identity.ClusterID)
		}
		return nil
	}
	if r.format != nil {
		result, ok := r.format.Try()
		if !ok {
			return nil
		}
		r.format = nil
		if result.Error != wire.ErrNone && result.Error != wire.ErrNotLeaderOrFollower {
			return errors.New("make the cluster: " + result.Message)
		}
	}
	if r.proven && r.set.catalog.Status().Serving {
		r.format = r.set.catalog.Propose(catalog.Encode(catalog.Format{ClusterID: identity.ClusterID, Controllers: identity.Controllers}))
		r.format.Watch(r.waiter)
	}
	return nil
}

// startShards starts the shards that the catalog has made for this node and that do not run.
func (r *reconciler) startShards(image *catalog.Image) (err error) {
	ordered.Diff(r.made.Shards, image.Shards, func(id ordered.Int, _, is **catalog.Shard) {
		if err != nil || is == nil {
			return
		}
		own, member := (*is).Member(r.set.o.Node, r.set.identity.Directory)
		if _, runs := r.set.shards.Load().Get(id); member && !runs {
			err = r.set.start(*is, own)
		}
	})
	r.made = image
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
	r.image = image
}

// look notices the shards that have begun to be led from here.
func (r *reconciler) look() {
	for id, s := range r.set.shards.Load().All {
		status := s.Status()
		switch {
		case !status.Serving:
			delete(r.led, id)
			delete(r.taken, id)
		case r.led[id] != status.Term && r.taken[id] != status.Term:
			r.taken[id], r.proof = status.Term, nil // a proof on its way may be older than this sight
		}
	}
}

// takeOver compares all partitions of the shards that have begun to be led from here: what the image has and a shard does
// not is adopted; the other way round they are of topics that were deleted shortly before the node stopped, or
// while another one led, and dropped.
func (r *reconciler) takeOver(image *catalog.Image) {
	if len(r.taken) == 0 {
		return
	}
	for id, s := range r.set.shards.Load().All {
		if term, fresh := r.taken[id]; fresh && s.Status().Term == term {
			r.led[id] = term
			for k := range s.places.Load().All {
				if !listed(image, s, partition.ID(k)) {
					r.plan(s, partition.ID(k), true)
				}
			}
		}
	}
	clear(r.taken)
	r.adoptAll(image)
}

// adoptAll has adopted what the image has and is not there.
func (r *reconciler) adoptAll(image *catalog.Image) {
	for _, t := range image.Topics.All {
		r.each(t, func(s *Shard, id partition.ID) { r.plan(s, id, false) })
	}
}

// listed says whether the image has a partition in a shard.
func listed(image *catalog.Image, s *Shard, id partition.ID) bool {
	t, ok := image.TopicByID(id.Topic)
	return ok && int(id.Index) < len(t.Partitions) && t.Partitions[id.Index].Shard == s.id
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

// plan adds a step unless the shard is led from elsewhere or is yet to be taken over, or the partition is as it should be
// already.
func (r *reconciler) plan(s *Shard, id partition.ID, drop bool) {
	status := s.Status()
	if !status.Serving || r.led[ordered.Int(s.id)] != status.Term && !mutant.On("adopted-unproven") {
		return
	}
	n := &step{partition: id, shard: s, drop: drop, term: status.Term}
	if other := r.planned[id]; other != nil && other.term == n.term {
		if other.drop == drop {
			return
		}
		other.obsolete, n.after = true, other
	} else if r.done(n) {
		return
	}
	r.todo = append(r.todo, n)
	r.planned[id] = n
}

// done says whether the shard is as the step wants it.
func (r *reconciler) done(s *step) bool {
	_, has := s.shard.places.Load().Get(key(s.partition))
	return has != s.drop
}

// advance does what can be done.
func (r *reconciler) advance() {
	kept := r.todo[:0]
	for _, s := range r.todo {
		switch {
		case !r.advanceStep(s):
			kept = append(kept, s)
		case r.planned[s.partition] == s:
			delete(r.planned, s.partition)
		}
	}
	clear(r.todo[len(kept):])
	r.todo = kept
}

// advanceStep does what can be done for a step; it returns whether the step is done with. One of a shard that is led from
// elsewhere meanwhile is the new leader's.
func (r *reconciler) advanceStep(s *step) bool {
	status := s.shard.Status()
	if s.pending != nil {
		result, ok := s.pending.Try()
		if !ok {
			return status.Term != s.term || !status.Serving
		}
		s.pending = nil
		if result.Error == wire.ErrNone {
			return true
		}
		if result.Error != wire.ErrNotLeaderOrFollower {
			r.set.host.Log.Warn("a partition could not be changed, trying again", "partition", s.partition, "drop", s.drop, "error", result.Error)
		}
		return s.obsolete
	}
	if s.obsolete || status.Term != s.term || !status.Serving {
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
	if s.drop {
		s.pending = s.shard.Drop(s.partition)
	} else {
		s.pending = s.shard.Adopt(s.partition, -1)
	}
	s.pending.Watch(r.waiter)
	return false
}
