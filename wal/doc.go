// Package wal is the write-ahead log of a data directory: raft entries, hard states and checkpoints of all shards in one
// stream of preallocated, recycled files, with one synchronous write for whatever waits (group commit).
package wal
