package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// usage is what processes have used so far.
type usage struct {
	cpuSeconds float64
	rssMB      float64
}

// ticksPerSecond is the unit of /proc/PID/stat, which Linux fixes for all that read it.
const ticksPerSecond = 100

// usageOf adds up the processes with the given ids.
func usageOf(pids []int) (usage, error) {
	var u usage
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return u, err
		}
		// The name in parentheses may hold anything; after it, user and system time are fields 12 and 13.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		for _, f := range fields[11:13] {
			n, err := strconv.ParseFloat(string(f), 64)
			if err != nil {
				return u, err
			}
			u.cpuSeconds += n / ticksPerSecond
		}
		rss, err := residentMB(pid)
		if err != nil {
			return u, err
		}
		u.rssMB += rss
	}
	return u, nil
}

func residentMB(pid int) (float64, error) {
	kb, err := kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	return float64(kb) / 1024, err
}

// kilobytes returns the number of a line "NAME: NUMBER kB" of a file in /proc.
func kilobytes(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

func parsePids(text string) ([]int, error) {
	var pids []int
	for _, p := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, fmt.Errorf("process id %q: %w", p, err)
		}
		pids = append(pids, n)
	}
	return pids, nil
}
