package shard

import (
	"strings"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
)

// benchProduce appends batches of about size bytes with depth of them under way, and reports what the process took.
func benchProduce(b *testing.B, size, depth int) {
	h := newMachine(b, b.TempDir())
	o := smallOptions()
	o.WAL.FileSize, o.WAL.FirstFileSize, o.Partitions, o.CheckpointBytes = 0, 0, partition.Options{}, 0
	o.Settings = nil
	o.CheckpointEvery = time.Minute
	s, err := OpenSet(h, o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	topic, err := makeTopic(h, s, "bench", 1)
	if err != nil {
		b.Fatal(err)
	}
	at, code := s.Lookup(topic.ID, 0)
	if code != wire.ErrNone {
		b.Fatal(code)
	}
	info, err := newBatch(sequenced{}, strings.Repeat("x", size))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(info.Bytes)))
	var flying []*Pending
	for b.Loop() {
		if len(flying) == depth {
			if r, ok := flying[0].GetUntil(deadline(h)); !ok || r.Error != wire.ErrNone {
				b.Fatal(r)
			}
			flying = flying[1:]
		}
		p, hold := counted(h, info)
		flying = append(flying, at.Shard.Append(at.ID, p, hold, -1))
		hold.Release()
	}
	for _, p := range flying {
		p.GetUntil(deadline(h))
	}
}

// counted copies a batch into a counted buffer, as a server does that reads it from a connection.
func counted(h host.Host, info batch.Info) (batch.Info, *host.Buffer) {
	hold := h.Buffers.Get(len(info.Bytes))
	copy(hold.Bytes(), info.Bytes)
	info.Bytes = hold.Bytes()
	return info, hold
}

func BenchmarkProduceMiB(b *testing.B)   { benchProduce(b, 1<<20-200, 8) }
func BenchmarkProduceSmall(b *testing.B) { benchProduce(b, 100, 64) }
func BenchmarkProduceAlone(b *testing.B) { benchProduce(b, 100, 1) }
