// Package host is the door: the only way in which Millrace's rooms see the world.
//
// Storage, replication, coordination and network code never start a goroutine, read a clock, open a file or a socket,
// or draw a random number by themselves. They are handed a [Host] and go through it. There are two implementations:
// node/host/machine (goroutines, files, TCP) and sim (a seeded scheduler, virtual time, disks that forget, networks
// that lie). The same broker source runs on both.
//
// # Tasks and sharing
//
// A task is ordinary blocking code started by [Tasks.Go]. A mutable object belongs to one task. Tasks share only
// through the types of this package:
//
//	Queue[T]     many producers, one consumer that takes all that waits (natural group commit)
//	Future[T]    a value set once, awaited by any number of tasks
//	Snapshot[T]  one writer, published values immutable
//	Counter, Gauge, Histogram   numbers to be seen
//	Ref          a counted lifetime: acquire only if not already zero
//	Buffer       counted, 4096-aligned memory from a pool, untouched after Put or the last Release
//
// Every operation of these types begins with [Tasks.Yield]. On the machine that is nothing; in the simulator it is a
// point where another task may run or the node may die. Without it the simulator would be atomic between waits, which
// production is not.
//
// # Disk
//
// Files have no cursor: every call names its offset, so a file can be shared and sent. A written byte is durable only
// after Sync of its file, SyncAll of the disk, or, in a file opened [Durable], when WriteAt returns. A name is durable
// only after SyncDir of its directory. After a failed Sync a file is lost: it must not be retried, since the kernel may
// have dropped the dirty pages.
package host
