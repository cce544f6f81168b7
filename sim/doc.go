// Package sim is a world in one thread: a seeded scheduler, virtual time, disks that forget and networks that lie. It
// implements node/host, so that the same broker source that runs on a machine runs here, thousands of times faster and
// the same way each time.
//
// # A world
//
// A [World] has nodes. A [Node] has a disk that survives it, a clock of its own, and at most one incarnation: the run
// of one process, begun by [Node.Boot] and ended by [Node.Crash]. Everything that an incarnation was given (tasks, file
// handles, connections, waiters) is inert once it is dead.
//
// Tasks are coroutines of [iter.Pull]. One runs at a time. Every wait, every I/O and every operation of a type that tasks
// share is a yield: the scheduler may let the task run on, let another one run, or end the node. A dead node's tasks are
// unwound by a private panic, so deferred code runs, and finds every handle inert.
//
// # What a seed decides
//
// Every draw is keyed: H(seed, node, incarnation, site, counter). A new line of code, or one fault less, does not shift
// the draws of other places. The world keeps a hash of every scheduling choice and of the bytes and the time of every
// I/O; two runs of one seed must agree on it, in other processes too.
//
// etcd's raft draws its election timeouts from crypto/rand.Reader. A world replaces that variable, from New to
// Close, by a reader that asks the world, so a process runs one world at a time.
//
// # The disk
//
// A file has what the node sees (the page cache) and what would survive a power cut, and between the two a list of
// writes that are not synced. At a power cut each of them, and each size and directory change, is kept, torn at sectors
// of 512 bytes, or lost, out of order. Two writes into one sector keep their order, since a device writes the sector
// that the cache holds. Killing the process alone keeps the cache. A failed sync drops the dirty pages from what will
// ever be written while the cache goes on showing them, as Linux does.
//
// A drive can also lie: lose what it said was synced, put it elsewhere, or read what was there before (disk_lies.go).
//
// A disk can be slow, stuck, full, failing, rotten (a bit of a synced sector flips), unreadable in places, copied, replaced
// and restored; see [DiskFaults], [Node.Rot], [Node.BadSector], [Node.ReplaceDisk].
//
// # The network
//
// Bytes arrive late and in chunks, down to single bytes; file ranges are read while they are sent; windows are bounded;
// connections break in the middle of a frame, dials are refused, links clog, and a node that lost its power is silent.
// Between two nodes there is a link in each direction, which can be cut ([World.Cut]), held back and slow. A cut loses
// nothing in connections that outlive it, as TCP sends again; credit for a window travels back over the other link, so
// that who can send but not hear stops when the window is full. One end of a connection can break alone ([World.HalfOpen]).
//
// # Pauses
//
// [Node.Pause] stops a node's tasks, while time, its kernel (which accepts connections and bytes) and the others go on.
package sim
