package broker

import "syscall"

// attributes of a broker's process: a group of its own, since an interrupt of the tool is for the tool, which then stops its
// brokers; and its end with the tool's, however that comes.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
