package catalog

import (
	"fmt"
	"strings"

	"millrace/node/host/mutant"
	"millrace/node/ordered"
)

// Record is one keyed piece of a checkpoint. A nil Value deletes.
type Record struct {
	Key   string
	Value []byte
}

// recordVersion is the newest version of a record of some kind, which is written; it begins the value. Older ones are
// still read.
func recordVersion(kind string) byte {
	switch kind {
	case "image", "broker":
		return 1
	}
	return 0
}

// Records returns what turns the checkpoint of one image into that of a later one; the checkpoint of Empty has no
// records. A change of one topic is one record.
func Records(before, after *Image) []Record {
	var records []Record
	emit := func(key string, absent bool, put func(*writer)) {
		if absent && mutant.On("catalog-deletions-not-in-checkpoint") {
			return
		}
		if absent {
			records = append(records, Record{Key: key})
			return
		}
		w := &writer{}
		kind, _, _ := strings.Cut(key, "/")
		w.byte(recordVersion(kind))
		put(w)
		records = append(records, Record{Key: key, Value: w.b})
	}
	if before.Index != after.Index {
		emit("image", false, after.putCounters)
	}
	ordered.Diff(before.byID, after.byID, func(id ID, was, is **Topic) {
		if was != nil && is != nil && len((*was).Partitions) == len((*is).Partitions) && mutant.On("catalog-configs-not-in-checkpoint") {
			return
		}
		emit("topic/"+id.String(), is == nil, func(w *writer) { (*is).put(w) })
	})
	ordered.Diff(before.Brokers, after.Brokers, func(node ordered.Int, _, is **Broker) {
		emit(fmt.Sprintf("broker/%d", node), is == nil, func(w *writer) { (*is).put(w) })
	})
	ordered.Diff(before.Shards, after.Shards, func(id ordered.Int, _, is **Shard) {
		emit(fmt.Sprintf("shard/%d", id), is == nil, func(w *writer) { (*is).put(w) })
	})
	ordered.Diff(before.Resources, after.Resources, func(key ordered.String, _, is **Resource) {
		emit("config/"+string(key), is == nil, func(w *writer) { (*is).put(w) })
	})
	ordered.Diff(before.Features, after.Features, func(name ordered.String, _, is *int16) {
		emit("feature/"+string(name), is == nil, func(w *writer) { w.int(int64(*is)) })
	})
	return records
}

// Restore builds the image of a checkpoint from all of its records, in any order.
func Restore(records []Record) (*Image, error) {
	image := Empty()
	for _, record := range records {
		if err := image.restore(record); err != nil {
			return nil, fmt.Errorf("catalog: restore the checkpoint record %q: %w", record.Key, err)
		}
	}
	return image, nil
}

func (i *Image) restore(record Record) error {
	r := &reader{b: record.Value}
	kind, name, _ := strings.Cut(record.Key, "/")
	version := r.byte()
	if newest := recordVersion(kind); version > newest && !r.failed {
		return fmt.Errorf("its version %d is newer than this release knows (%d)", version, newest)
	}
	switch kind {
	case "image":
		i.getCounters(r)
		if version >= 1 {
			i.Controllers = getList(r, getMember)
		}
	case "topic":
		i.setTopic(getTopic(r))
	case "broker":
		b := getBroker(r)
		if version >= 1 {
			b.Boots = r.uint()
		}
		i.Brokers = i.Brokers.Set(ordered.Int(b.Node), b)
	case "shard":
		s := getShard(r)
		i.Shards = i.Shards.Set(ordered.Int(s.ID), s)
	case "config":
		c := &Resource{Type: ResourceType(r.int8()), Name: r.string(), Configs: r.configs()}
		i.Resources = i.Resources.Set(ResourceKey(c.Type, c.Name), c)
	case "feature":
		i.Features = i.Features.Set(ordered.String(name), r.int16())
	default:
		return fmt.Errorf("this release does not know its kind")
	}
	return r.done(kind)
}

func (i *Image) putCounters(w *writer) {
	w.uint(i.Index)
	w.string(i.ClusterID)
	w.int(i.NextProducerID)
	w.uint(i.NextShard)
	w.uint(i.NextReplica)
	putList(w, i.Controllers, putMember)
}

func (i *Image) getCounters(r *reader) {
	i.Index, i.ClusterID, i.NextProducerID = r.uint(), r.string(), r.int()
	i.NextShard, i.NextReplica = r.uint(), r.uint()
	if mutant.On("catalog-producer-ids-reused") {
		i.NextProducerID = 0
	}
}

func (t *Topic) put(w *writer) {
	w.id(t.ID)
	w.string(t.Name)
	putList(w, t.Partitions, func(w *writer, p Partition) { w.uint(p.Shard); w.nodes(p.Replicas) })
	w.configs(t.Configs)
}

func getTopic(r *reader) *Topic {
	return &Topic{
		ID: r.id(), Name: r.string(),
		Partitions: getList(r, func(r *reader) Partition { return Partition{Shard: r.uint(), Replicas: r.nodes()} }),
		Configs:    r.configs(),
	}
}

func (b *Broker) put(w *writer) {
	RegisterBroker{
		Node: b.Node, Incarnation: b.Incarnation, Directory: b.Directory, Rack: b.Rack, Listeners: b.Listeners, Lanes: b.Lanes,
	}.putOldest(w)
	w.int(b.Epoch)
	w.bool(b.Fenced)
	w.uint(b.Boots)
}

func getBroker(r *reader) *Broker {
	c := getRegisterBroker(r)
	return &Broker{
		Node: c.Node, Incarnation: c.Incarnation, Directory: c.Directory, Rack: c.Rack, Listeners: c.Listeners, Lanes: c.Lanes,
		Epoch: r.int(), Fenced: r.bool(),
	}
}

func (s *Shard) put(w *writer) {
	w.uint(s.ID)
	w.int(int64(s.Preferred))
	w.int(int64(s.Partitions))
	putList(w, s.Members, putMember)
}

func putMember(w *writer, m Member) {
	w.int(int64(m.Node))
	w.id(m.Directory)
	w.uint(m.Replica)
	w.uint(uint64(m.Generation))
}

func getMember(r *reader) Member {
	return Member{Node: r.int32(), Directory: r.id(), Replica: r.uint(), Generation: uint32(r.uint())}
}

func getShard(r *reader) *Shard {
	return &Shard{
		ID: r.uint(), Preferred: r.int32(), Partitions: r.int32(),
		Members: getList(r, getMember),
	}
}

func (c *Resource) put(w *writer) {
	w.int(int64(c.Type))
	w.string(c.Name)
	w.configs(c.Configs)
}
