package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// warmMemory touches free memory and lets go of it, at most most bytes. A virtual machine may give free pages back to its
// host, within seconds; taking one GB of them again costs up to 3 s of CPU, of whoever writes or reads a file next, which
// no other machine asks for. It returns the seconds for each GB of the second of two passes: what such memory costs now.
func warmMemory(most int64) (float64, error) {
	free, err := memoryInfo("MemFree")
	if err != nil {
		return 0, err
	}
	// What is written meanwhile needs some, and what is in the page cache is to stay there.
	length := min(most, free*3/4)
	var cost float64
	for range 2 {
		before := ownCPU()
		m, err := unix.Mmap(-1, 0, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
		if err != nil {
			return 0, fmt.Errorf("touch %d bytes of memory: %w", length, err)
		}
		cost = (ownCPU() - before) / (float64(length) / 1e9)
		if err := unix.Munmap(m); err != nil {
			return 0, fmt.Errorf("let go of memory: %w", err)
		}
	}
	return cost, nil
}

// memoryInfo returns a line of /proc/meminfo in bytes.
func memoryInfo(name string) (int64, error) {
	kb, err := kilobytes("/proc/meminfo", name)
	return kb << 10, err
}
