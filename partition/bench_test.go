package partition_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"millrace/partition"
	"millrace/partition/batch"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, s, _ := onMachine(b, partition.Options{})
			l := create(b, s)
			data := one(b, 0, size)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			base := int64(0)
			var used syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
			before := time.Duration(used.Utime.Nano() + used.Stime.Nano())
			for b.Loop() {
				batch.StampOffset(data, base, 0)
				if err := l.Append(partition.Batch{Bytes: data, Roll: base*int64(size)%(1<<30) == 0}); err != nil {
					b.Fatal(err)
				}
				l.Publish()
				base++
				if base*int64(size)%(1<<30) == 0 { // keep the disk small
					_ = l.SetLogStart(base)
					l.BeginCheckpoint()
					l.Checkpointed()
				}
			}
			l.Close()
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
			cpu := time.Duration(used.Utime.Nano()+used.Stime.Nano()) - before
			b.ReportMetric(cpu.Seconds()/(float64(b.N)*float64(len(data))/1e9), "cpu-s/GB")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, where := range []string{"tail", "file"} {
		b.Run(where, func(b *testing.B) {
			cache := int64(64 << 20)
			if where == "file" {
				cache = 1
			}
			_, s, _ := onMachine(b, partition.Options{CacheBytes: cache})
			l := create(b, s)
			const n = 2000
			for i := range int64(n) {
				add(b, l, i, 16<<10, false)
			}
			if _, err := l.Checkpoint(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			o := int64(0)
			for b.Loop() {
				r, err := l.Read(o%(n-100), 1<<20, true)
				if err != nil {
					b.Fatal(err)
				}
				r.Release()
				o += 61
			}
			l.Close()
		})
	}
}
