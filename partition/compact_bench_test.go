package partition_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/partition"
	"millrace/partition/batch"
)

var (
	compactRecords = flag.Int64("compact.records", 1_000_000, "the number of records of BenchmarkCompaction")
	compactKeys    = flag.Int64("compact.keys", 100_000, "the number of keys of BenchmarkCompaction")
)

// BenchmarkCompaction compacts a log of small records whose keys come in any order, and compares its time with that of
// reading the log and writing it once, with the most memory that the heap took meanwhile:
//
//	go test ./partition -run '^$' -bench Compaction -benchtime 1x -compact.records 10000000 -compact.keys 1000000
func BenchmarkCompaction(b *testing.B) {
	for _, codec := range []batch.Codec{batch.None, batch.LZ4} {
		b.Run(codec.String(), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				compactOnce(b, codec)
			}
		})
	}
}

func compactOnce(b *testing.B, codec batch.Codec) {
	h, s, dir := onMachine(b, partition.Options{})
	l := create(b, s)
	defer l.Close()
	writeKeyed(b, l, codec)
	settle(b, l)
	plain := copyOnce(b, dir, h)
	runtime.GC()
	peak := watchHeap()
	b.StartTimer()
	began := time.Now()
	run := l.BeginCompaction(partition.CompactionConfig{DeleteRetentionMs: 1000, SegmentBytes: 1 << 30}, 1)
	if run == nil {
		b.Fatal("there is nothing to compact")
	}
	if err := run.Run(partition.CompactOptions{MapBytes: 128 << 20, Pace: anyPace}); err != nil {
		b.Fatal(err)
	}
	if err := h.Disk.SyncAll(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	b.StopTimer()
	did := run.Stats()
	if !l.TakeCompaction(run) {
		b.Fatal("the compaction was not taken")
	}
	settle(b, l)
	b.ReportMetric(took.Seconds(), "s")
	b.ReportMetric(plain.Seconds(), "s/read+write")
	b.ReportMetric(took.Seconds()/plain.Seconds(), "times")
	b.ReportMetric(float64(peak())/(1<<20), "MiB/heap")
	b.ReportMetric(float64(took.Nanoseconds())/float64(did.Records), "ns/record")
	b.StartTimer() // b.Loop asks for it
	b.Logf("%d records, %d kept, %d MB read, %d MB written", did.Records, did.Kept, did.Read/1e6, did.Written/1e6)
}

// writeKeyed fills the log, and rolls at the end.
func writeKeyed(b *testing.B, l *partition.Log, codec batch.Codec) {
	const perBatch = 100
	d := rand.New(rand.NewPCG(1, 2))
	coders, value := batch.NewCoders(), make([]byte, 80)
	records := make([]batch.Record, perBatch)
	keys := make([][16]byte, perBatch)
	var bytes int64
	for base := int64(0); base < *compactRecords; base += perBatch {
		for i := range records {
			binary.BigEndian.PutUint64(value, d.Uint64())
			copy(keys[i][:], fmt.Sprintf("key-%012d", d.Int64N(*compactKeys)))
			records[i] = batch.Record{Timestamp: 1000 + base/1000, Key: keys[i][:], Value: value}
		}
		h := batch.Header{BaseOffset: base, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Attributes: int16(codec)}
		one, err := batch.Encode(nil, h, records, coders)
		if err != nil {
			b.Fatal(err)
		}
		roll := bytes+int64(len(one)) > 256<<20
		if roll {
			bytes = 0
		}
		bytes += int64(len(one))
		if err := l.Append(partition.Batch{Bytes: one, Roll: roll}); err != nil {
			b.Fatal(err)
		}
	}
	l.Roll()
	l.Publish()
}

// copyOnce reads all segments and writes them to another file, durably.
func copyOnce(b *testing.B, dir string, h host.Host) time.Duration {
	names, err := filepath.Glob(filepath.Join(dir, "p", "*.log"))
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	buf := make([]byte, 1<<20)
	for i, name := range names {
		in, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		out, err := os.Create(filepath.Join(dir, fmt.Sprint("copy", i)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, buf); err != nil {
			b.Fatal(err)
		}
		in.Close()
		out.Close()
	}
	if err := h.Disk.SyncAll(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	for i := range names {
		os.Remove(filepath.Join(dir, fmt.Sprint("copy", i)))
	}
	return took
}

// watchHeap measures the greatest size of what the program has from the system until its result is called.
func watchHeap() func() uint64 {
	var peak atomic.Uint64
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapInuse+m.StackInuse))
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return peak.Load()
	}
}
