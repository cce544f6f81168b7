// Package machine is the real world behind the door: goroutines, files, TCP, TLS. It implements node/host for one data
// directory, and is, with cmd and chaos, the only place that uses the go statement, os, net, syscall and time.Now.
//
// What it adds to the operating system is little and lies here so that it is chosen in one place:
//
//   - Direct and Durable files are O_DIRECT and O_DSYNC; a file system that refuses O_DIRECT is used through its cache
//     (disk_linux.go). Elsewhere than on Linux, Durable is a write followed by a sync (disk_other.go).
//   - SyncAll is syncfs.
//   - Conn.Send chooses between copying and sendfile, with what was measured beside it (send_linux.go).
//   - PeerTransport ends TLS between nodes: what is above the door sees plain bytes and the name in the certificate (tls.go).
package machine
