package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A diskProbe is a single writer of blocks as a log writes them, direct and durable, to a file that was written before.
// Acknowledgements that wait for a disk cannot be faster, so who reads a latency must see what the disk gave in the same
// window: virtual disks let single writes wait for tens of milliseconds now and then, with no load at all.
type diskProbe struct {
	file  *os.File
	block []byte
	next  int64
	took  *timings
}

const (
	probeTime   = 3 * time.Second
	probeRate   = 500 // writes a second
	probeBlocks = 4096
)

func startDiskProbe(dir string) (*diskProbe, error) {
	name := filepath.Join(dir, "disk-probe")
	if err := writeZeroes(name, probeBlocks*blockBytes/frameBytes); err != nil {
		return nil, fmt.Errorf("disk probe: %w", err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|unix.O_DIRECT|unix.O_DSYNC, 0)
	if err != nil {
		return nil, fmt.Errorf("disk probe: %w", err)
	}
	return &diskProbe{file: f, block: alignedBuffer(blockBytes), took: newTimings()}, nil
}

// run writes at the rate for the given time.
func (d *diskProbe) run(length time.Duration) error {
	began := time.Now()
	for n := 0; time.Since(began) < length; n++ {
		// A write that is late makes the next ones come at once, as records that wait would.
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / probeRate)))
		at := time.Now()
		if _, err := d.file.WriteAt(d.block, d.next%probeBlocks*blockBytes); err != nil {
			return fmt.Errorf("disk probe: %w", err)
		}
		d.took.add(time.Since(at))
		d.next++
	}
	return nil
}

// besideDisk runs a load and, just before and after it, the probe in the directory.
func besideDisk(ctx context.Context, l load, dir string) (result, error) {
	d, err := startDiskProbe(dir)
	if err != nil {
		return result{}, err
	}
	defer d.remove()
	if err := d.run(probeTime); err != nil {
		return result{}, err
	}
	r, err := l.run(ctx)
	if err != nil {
		return r, err
	}
	err = d.run(probeTime)
	d.fill(&r)
	return r, err
}

// fill adds what was found to a result.
func (d *diskProbe) fill(r *result) {
	r.DiskP50, r.DiskP99, r.DiskMax = d.took.ms(50), d.took.ms(99), d.took.ms(100)
}

func (d *diskProbe) remove() {
	d.file.Close()
	os.Remove(d.file.Name())
}
