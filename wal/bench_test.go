package wal_test

import (
	"testing"

	"millrace/node/host"
	"millrace/node/host/machine"
	"millrace/wal"
)

// benchWorld is a log with files of the usual size on a real disk.
func benchWorld(b *testing.B) (host.Host, wal.Options) {
	h, _, err := machine.New(machine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	h.Secure = secure
	return h, wal.Options{}
}

// BenchmarkAppend appends entries one after the other, each acknowledged before the next: a group each.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1KiB", 1 << 10}, {"1MiB", 1 << 20}} {
		b.Run(size.name, func(b *testing.B) {
			h, o := benchWorld(b)
			log, _, err := wal.Open(h, o)
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			entries := []wal.Entry{{Term: 1, Data: make([]byte, 100), Payload: wal.Payload{Parts: [][]byte{make([]byte, size.bytes)}}}}
			waiter := h.Tasks.NewWaiter()
			done := func(err error) {
				if err != nil {
					b.Error(err)
				}
				waiter.Wake()
			}
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			cpu := cpuTime(b)
			for b.Loop() {
				entries[0].Index++
				log.Submit(wal.Append{Shard: 1, Entries: entries, Compact: entries[0].Index - 1, Done: done})
				waiter.Wait()
			}
			b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e9/float64(b.N)/float64(size.bytes), "CPU-s/GB")
		})
	}
}

// BenchmarkOpen opens logs that were left by a killed process.
func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct {
		name           string
		entries, bytes int
	}{{"empty", 0, 0}, {"256MiB-of-1MiB", 256, 1 << 20}, {"64MiB-of-1KiB", 15000, 1 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h, o := benchWorld(b)
				if c.entries > 0 {
					fill(b, h, o, c.entries, c.bytes)
				}
				b.StartTimer()
				cpu := cpuTime(b)
				log, shards, err := wal.Open(h, o)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric((cpuTime(b)-cpu).Seconds()*1e3, "CPU-ms/op")
				b.StopTimer()
				if c.entries > 0 && len(shards[0].Entries) != c.entries {
					b.Fatalf("recovered %d entries", len(shards[0].Entries))
				}
				log.Close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkRead reads the payloads of a recovered log in their order: by a Reader, and by a call to the disk each.
func BenchmarkRead(b *testing.B) {
	h, o := benchWorld(b)
	fill(b, h, o, 10000, 1<<10)
	log, shards, err := wal.Open(h, o)
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	reader := log.Reader()
	defer reader.Close()
	for name, read := range map[string]func(wal.Location) (*host.Buffer, error){"reader": reader.ReadPayload, "single": log.ReadPayload} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				p, err := read(shards[0].Entries[i%len(shards[0].Entries)].At)
				if err != nil {
					b.Fatal(err)
				}
				p.Release()
				i++
			}
		})
	}
}

// fill writes a group for each entry.
func fill(b *testing.B, h host.Host, o wal.Options, entries, bytes int) {
	log, _, err := wal.Open(h, o)
	if err != nil {
		b.Fatal(err)
	}
	waiter := h.Tasks.NewWaiter()
	e := []wal.Entry{{Term: 1, Data: make([]byte, 100), Payload: wal.Payload{Parts: [][]byte{make([]byte, bytes)}}}}
	for range entries {
		e[0].Index++
		log.Submit(wal.Append{Shard: 1, Entries: e, Done: func(error) { waiter.Wake() }})
		waiter.Wait()
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
}
