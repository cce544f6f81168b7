package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// farAheadFrom is what a device must be set to read ahead for the kernel to be left to itself.
const farAheadFrom = 1 << 20

// readsFarAhead says whether the kernel by itself reads far ahead on the device of the directory.
func readsFarAhead(dir *os.File) bool {
	var s unix.Stat_t
	if unix.Fstat(int(dir.Fd()), &s) != nil {
		return false
	}
	device := fmt.Sprintf("%d:%d", unix.Major(uint64(s.Dev)), unix.Minor(uint64(s.Dev)))
	return deviceReadAhead("/sys/dev/block", device) >= farAheadFrom
}

// deviceReadAhead is how many bytes the kernel reads ahead on a block device, 0 when that is not known: of a file system
// without a device of its own, say. A partition is set with its disk, whose directory is above it.
func deviceReadAhead(devices, device string) int64 {
	// Not Join alone: it would take the link's name away, not the directory that the link leads to.
	dir, err := filepath.EvalSymlinks(filepath.Join(devices, device))
	if err != nil {
		return 0
	}
	for _, disk := range []string{dir, filepath.Dir(dir)} {
		text, err := os.ReadFile(filepath.Join(disk, "queue", "read_ahead_kb"))
		if err != nil {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return 0
		}
		return kb << 10
	}
	return 0
}
