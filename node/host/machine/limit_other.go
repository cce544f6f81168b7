//go:build !unix

package machine

// FileLimit is how many file descriptors the process may have open; 0 when that is not known.
func FileLimit() int { return 0 }
