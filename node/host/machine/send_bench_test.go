//go:build linux

package machine

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"millrace/node/host"
)

// BenchmarkSend shows what a response of a 100-byte header and one file range costs the sending thread, by sendfile and
// by copying, with the file in the page cache: the ground of sendfileFrom.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int64{1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20} {
		for _, way := range []string{"sendfile", "copy"} {
			b.Run(fmt.Sprintf("%s/%dKiB", way, size>>10), func(b *testing.B) { benchmarkSend(b, size, way == "sendfile") })
		}
	}
}

func benchmarkSend(b *testing.B, size int64, bySendfile bool) {
	h, _, err := New(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	f, err := h.Disk.Create("data", 0, host.Mode{})
	if err != nil {
		b.Fatal(err)
	}
	if err := f.WriteAt(0, make([]byte, size)); err != nil {
		b.Fatal(err)
	}
	l, err := h.Transport.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	h.Tasks.Go("receiver", func() {
		c, err := h.Transport.Dial(l.Addr(), host.Never)
		if err != nil {
			return
		}
		buf := make([]byte, 1<<20)
		for err == nil {
			_, err = io.ReadFull(c, buf[:100+size])
			if err == nil {
				_, err = c.Send(host.Part{Bytes: buf[:1]})
			}
		}
	})
	accepted, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	c := accepted.(*conn)
	defer c.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header, memory, answer := make([]byte, 100), make([]byte, size), make([]byte, 1)
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_THREAD, &before)
	for b.Loop() {
		if bySendfile {
			if _, err = c.sendBytes([][]byte{header}, unix.MSG_MORE); err == nil {
				_, err = c.sendFile(&host.Part{File: f, Off: 0, Len: size})
			}
		} else {
			if _, err = f.ReadAt(memory, 0); err == nil {
				_, err = c.sendBytes([][]byte{header, memory}, 0)
			}
		}
		if err == nil {
			_, err = io.ReadFull(c, answer)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	unix.Getrusage(unix.RUSAGE_THREAD, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1000, "cpu-µs/op")
}
