package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The floor: what it costs at least to take bytes from a connection and keep them, step by step. A child process sends
// frames as fast as they are taken; this process takes them, and its own CPU time is what counts.
const (
	frameBytes = 1 << 20
	logFrames  = 256 // of the log, which is written round and round as a broker recycles its files
	blockBytes = 4096
)

// step is one way of keeping what comes.
type step struct {
	name     string
	checksum bool // CRC32C over each frame
	pages    bool // write to a file through the page cache
	log      bool // write to a recycled file, direct and durable (O_DIRECT|O_DSYNC)
	segments bool // write to a growing file, direct
}

var steps = []step{
	{name: "receive"},
	{name: "receive, checksum", checksum: true},
	{name: "receive, checksum, page cache", checksum: true, pages: true},
	{name: "receive, checksum, durable log", checksum: true, log: true},
	{name: "receive, checksum, page cache, durable log", checksum: true, pages: true, log: true},
	{name: "receive, checksum, direct segments, durable log", checksum: true, segments: true, log: true},
}

// floorOf names the step that the broker's CPU is compared with, and the one that direct segments allow.
const (
	floorOf  = "receive, checksum, page cache, durable log"
	directOf = "receive, checksum, direct segments, durable log"
)

// cost is what a step took.
type cost struct {
	CPUSecPerGB float64 `json:"cpuSecPerGB"`
	MBPerSecond float64 `json:"mbPerSecond"`
}

// measureFloor runs each step with the given number of frames, in files below dir.
func measureFloor(ctx context.Context, dir string, frames int) (map[string]cost, error) {
	costs := map[string]cost{}
	for _, s := range steps {
		c, err := s.measure(ctx, dir, frames)
		if err != nil {
			return nil, fmt.Errorf("floor, %s: %w", s.name, err)
		}
		costs[s.name] = c
	}
	return costs, nil
}

func (s step) measure(ctx context.Context, dir string, frames int) (cost, error) {
	k, err := s.open(dir, frames)
	if err != nil {
		return cost{}, err
	}
	defer k.remove()
	unix.Sync()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return cost{}, err
	}
	defer l.Close()
	sender := exec.CommandContext(ctx, os.Args[0], "send-frames", l.Addr().String(), fmt.Sprint(frames))
	if err := sender.Start(); err != nil {
		return cost{}, err
	}
	defer sender.Wait()
	conn, err := l.Accept()
	if err != nil {
		return cost{}, err
	}
	defer conn.Close()
	cpu, began := ownCPU(), time.Now()
	if err := k.take(conn, frames); err != nil {
		return cost{}, err
	}
	gb := float64(frames) * frameBytes / 1e9
	return cost{(ownCPU() - cpu) / gb, gb * 1000 / time.Since(began).Seconds()}, nil
}

// sendFrames is the child process.
func sendFrames(addr string, frames int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	frame := make([]byte, frameBytes)
	for i := range frame {
		frame[i] = byte(i ^ i>>8)
	}
	for range frames {
		if _, err := conn.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

// ownCPU is the CPU time of this process in seconds.
func ownCPU() float64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// keeper holds the files of one step. What it takes goes from one stage to the next, each a goroutine.
type keeper struct {
	step
	pages, log, segments *os.File
}

func (s step) open(dir string, frames int) (*keeper, error) {
	k := &keeper{step: s}
	var err error
	if s.pages {
		if k.pages, err = os.Create(filepath.Join(dir, "floor-pages")); err != nil {
			return nil, err
		}
	}
	if s.log {
		name := filepath.Join(dir, "floor-log")
		if err := writeZeroes(name, logFrames); err != nil {
			return nil, err
		}
		if k.log, err = os.OpenFile(name, os.O_WRONLY|unix.O_DIRECT|unix.O_DSYNC, 0); err != nil {
			return nil, err
		}
	}
	if s.segments {
		if k.segments, err = os.OpenFile(filepath.Join(dir, "floor-segments"), os.O_CREATE|os.O_WRONLY|unix.O_DIRECT, 0o644); err != nil {
			return nil, err
		}
		if err := unix.Fallocate(int(k.segments.Fd()), 0, 0, int64(frames)*frameBytes); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// writeZeroes makes the file whole beforehand, so that writing to it again changes no metadata.
func writeZeroes(name string, frames int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	zeroes := make([]byte, frameBytes)
	for range frames {
		if _, err := f.Write(zeroes); err != nil {
			return err
		}
	}
	return f.Sync()
}

func (k *keeper) remove() {
	for _, f := range []*os.File{k.pages, k.log, k.segments} {
		if f != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
}

// take receives the frames and keeps them as the step says.
func (k *keeper) take(conn io.Reader, frames int) error {
	const buffers = 8
	free := make(chan []byte, buffers)
	for range buffers {
		free <- alignedBuffer(frameBytes)
	}
	failed := make(chan error, 2)
	out := free
	if k.segments != nil {
		out = stage(k.segments, frames, frames, out, failed)
	}
	if k.log != nil {
		out = stage(k.log, logFrames, frames, out, failed)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for range frames {
		b := <-free
		if _, err := io.ReadFull(conn, b); err != nil {
			return err
		}
		if k.checksum {
			crc32.Checksum(b, table)
		}
		if k.pages != nil {
			if _, err := k.pages.Write(b); err != nil {
				return err
			}
		}
		out <- b
	}
	for range buffers { // all came back: all is written
		<-free
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// stage writes what comes to the file, round and round, and hands it on.
func stage(f *os.File, round, frames int, next chan<- []byte, failed chan<- error) chan []byte {
	in := make(chan []byte, 4)
	go func() {
		for i := range frames {
			b := <-in
			if _, err := f.WriteAt(b, int64(i%round)*frameBytes); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
			next <- b
		}
	}()
	return in
}

// alignedBuffer is memory that begins at a block, as direct writes want it.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+blockBytes)
	off := int(-uintptr(unsafe.Pointer(&b[0])) & (blockBytes - 1))
	return b[off : off+n : off+n]
}
