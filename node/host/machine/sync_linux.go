//go:build !nosync

package machine

import (
	"os"

	"golang.org/x/sys/unix"
)

// durableFlag makes each write return only when its bytes, and the metadata needed to read them, are on stable storage.
const durableFlag = unix.O_DSYNC

func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
func syncDir(f *os.File) error  { return f.Sync() }
func syncAll(d *disk) error     { return unix.Syncfs(int(d.dir.Fd())) }
