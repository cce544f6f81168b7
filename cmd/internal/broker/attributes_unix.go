//go:build unix && !linux

package broker

import "syscall"

// attributes of a broker's process: a group of its own, since an interrupt of the tool is for the tool, which then stops its
// brokers. One that is killed leaves them behind here.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
