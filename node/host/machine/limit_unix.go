//go:build unix

package machine

import "syscall"

// FileLimit is how many file descriptors the process may have open; 0 when that is not known.
func FileLimit() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return int(min(uint64(l.Cur), 1<<30))
}
