package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/node/host/machine"
	"millrace/partition"
	"millrace/partition/batch"
	"millrace/wal"
)

// smallOptions make everything happen soon.
func smallOptions() SetOptions {
	return SetOptions{
		Node:       1,
		WAL:        wal.Options{FileSize: 256 << 10, FirstFileSize: 64 << 10},
		Partitions: partition.Options{SmallestChunk: 4 << 10, LargestChunk: 16 << 10},
		Settings: func(*catalog.Image, *catalog.Topic) Settings {
			s := DefaultSettings()
			s.Roll.SegmentBytes = 8 << 10
			return s
		},
		CheckpointBytes: 32 << 10,
		CheckpointEvery: 500 * time.Millisecond,
		ReserveHigh:     1, ReserveLow: 1,
	}
}

// newMachine is the real world in a directory, for tests.
func newMachine(t testing.TB, dir string) host.Host {
	t.Helper()
	h, _, err := machine.New(machine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// deadline is long enough for anything that works.
func deadline(h host.Host) host.Instant { return h.Clock.Now().Add(30 * time.Second) }

// makeTopic registers the node and creates a topic; it waits until its partitions are there.
func makeTopic(h host.Host, s *Set, name string, partitions int32) (*catalog.Topic, error) {
	register := catalog.RegisterBroker{Node: 1, Directory: s.Identity().Directory, Lanes: 2}
	if r := s.Change(register, deadline(h)); r.Error != wire.ErrNone {
		return nil, fmt.Errorf("register: %d %s", r.Error, r.Message)
	}
	topic, ok := s.Catalog().Topic(name)
	if !ok {
		c := catalog.CreateTopic{Name: name, Partitions: partitions, Replication: 1}
		copy(c.ID[:], name)
		r := s.Change(c, deadline(h))
		if r.Error != wire.ErrNone {
			return nil, fmt.Errorf("create: %d %s", r.Error, r.Message)
		}
		topic = r.Topic
	}
	if !s.AwaitTopic(topic, deadline(h)) {
		return nil, fmt.Errorf("topic %s was not adopted", name)
	}
	return topic, nil
}

// sequenced is a producer's identity in a batch; the zero value is none.
type sequenced struct {
	id    int64
	epoch int16
	first int32
}

// newBatch makes a validated batch of values. What is in front of a = is the key, too; nothing behind it is a tombstone.
func newBatch(p sequenced, values ...string) (batch.Info, error) {
	h := batch.Header{ProducerID: batch.NoProducer, ProducerEpoch: -1, BaseSequence: batch.NoSequence}
	if p.id != 0 {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = p.id, p.epoch, p.first
	}
	var records []batch.Record
	for _, v := range values {
		r := batch.Record{Value: []byte(v), Timestamp: 1000}
		if key, value, ok := strings.Cut(v, "="); ok {
			if r.Key = []byte(key); value == "" {
				r.Value = nil
			}
		}
		records = append(records, r)
	}
	b, err := batch.Encode(nil, h, records, nil)
	if err != nil {
		return batch.Info{}, err
	}
	return batch.Validate(b, batch.Options{Version: 9})
}

// send appends one batch.
func send(s *Set, topic *catalog.Topic, index int32, acks int16, p sequenced, values ...string) (*Pending, error) {
	b, err := newBatch(p, values...)
	if err != nil {
		return nil, err
	}
	at, code := s.Lookup(topic.ID, index)
	if code != wire.ErrNone {
		return nil, fmt.Errorf("lookup: %d", code)
	}
	return at.Shard.Append(at.ID, b, nil, acks), nil
}

// values reads all records of a partition, with their offsets checked.
func values(s *Set, topic *catalog.Topic, index int32) ([]string, error) {
	at, code := s.Lookup(topic.ID, index)
	if code != wire.ErrNone {
		return nil, fmt.Errorf("lookup: %d", code)
	}
	view := at.Log.View()
	var out []string
	for next := view.LogStart; next < view.End; {
		r, err := at.Log.Read(next, 64<<10, true)
		if err != nil {
			return out, err
		}
		b, err := rangeBytes(r)
		r.Release()
		if err != nil {
			return out, err
		}
		for len(b) > 0 {
			h, err := batch.Parse(b)
			if err != nil {
				return out, err
			}
			if err := batch.CheckCRC(b[:h.Size()]); err != nil {
				return out, err
			}
			records, err := batch.Read(b[:h.Size()], nil, 1<<20)
			if err != nil {
				return out, err
			}
			var record batch.Record
			for records.Next(&record) {
				if record.Offset >= view.LogStart {
					out = append(out, string(record.Value))
				}
			}
			if h.BaseOffset > next {
				return out, fmt.Errorf("offset %d is followed by %d", next, h.BaseOffset)
			}
			next = h.LastOffset() + 1
			b = b[h.Size():]
		}
	}
	return out, nil
}

func rangeBytes(r *partition.Range) ([]byte, error) {
	var b []byte
	for _, p := range r.Parts {
		if p.File == nil {
			b = append(b, p.Bytes...)
			continue
		}
		piece := make([]byte, p.Len)
		if _, err := p.File.ReadAt(piece, p.Off); err != nil {
			return nil, err
		}
		b = append(b, piece...)
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("nothing to read below the end")
	}
	return b, nil
}
