package main

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may wake a thread of the broker that sleeps. Go's runtime has a monitor that sleeps for
// twenty microseconds at a time as long as there are system calls that wait, and threads that look for work sleep for
// three; with the kernel's slack of 50 µs they wake up twenty thousand times a second under load, which took a sixth of
// the broker's CPU (docs/decisions/0008). Nothing here is timed more finely than this.
const timerSlack = 500 * time.Microsecond

// relaxed marks the process that has been executed again.
const relaxed = "_MILLRACE_RELAXED"

// relaxTimers gives all threads of the process that slack. A thread has that of the one that made it, and the monitor is
// made before anything here runs: so the process executes itself again, under the same id. Where that does not work it
// goes on as it is.
func relaxTimers() {
	if os.Getenv(relaxed) != "" {
		os.Unsetenv(relaxed)
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := os.Executable() // by its name, which ps and pkill show
	if err != nil {
		return
	}
	had, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(had) >= timerSlack {
		return
	}
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) != nil {
		return
	}
	// It returns only when it fails.
	_ = syscall.Exec(self, os.Args, append(os.Environ(), relaxed+"=1"))
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(had), 0, 0, 0)
}
