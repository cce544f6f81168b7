// Package shard runs raft groups that replicate many partitions each, and puts the shards of a node together.
//
// # One task
//
// A [Shard] is one raft group (etcd's RawNode with asynchronous storage writes) and one task with one inbox. Requests,
// answers of the write-ahead log, messages of peers and captures for a checkpoint are events in that inbox; nothing else
// touches the state, so there is nothing to lock. In each turn the task takes all events, packs the requests that wait
// into entries, steps raft, and hands what raft wants stored to the write-ahead log, whose answer is again an event.
//
// An entry's Data is a list of descriptors; the batches travel beside it as a wal.Payload, by reference, from the frame
// they arrived in to the log and to the segment. An entry holds at most a mebibyte of payload, or one batch.
//
// # The way of a batch
//
//	Append      the request gets a place in the inbox; the caller keeps a Pending
//	admit       only while serving: checks the producer's sequence against the appended state, assigns the base offset,
//	            stamps offset and leader epoch into the bytes, decides whether a segment rolls. The wall clock and the
//	            topic's settings are read here and nowhere later
//	propose     one MsgProp with all entries; if raft refuses, what was admitted is undone and answered with an error
//	store       wal.Append; acks=1 is answered when it is durable
//	apply       committed on a majority: the batch goes to the partition's log, readers see it, acks=all is answered
//
// The appended state of a partition (next offset, tail segment, producers) belongs to one term of leadership. It is made
// from the applied state, which is complete when the first entry of the term is applied; until then the shard does not
// serve. Apply is a pure function of the entry: it reads neither clock nor settings nor the catalog.
//
// # Checkpoints and recovery
//
// A checkpoint is taken in three steps, so that produces go on meanwhile: the shard's task notes the applied index and
// what changed since the last checkpoint (capture); the checkpointer waits until the segments hold all of it and syncs
// the disk once for all shards; then each shard appends the records to the write-ahead log (install), which lets the log
// forget the entries up to that index. Only when that is durable are files deleted that the earlier checkpoint named.
// Recovery opens partitions as their checkpoints say, and raft commits and applies again what came after.
//
// # Formats
//
// Entry data (little endian). Version 0:
//
//	 0  version u8 | 3 bytes zero
//	 4  number of records u32
//	 8  wall clock of the leader i64, ms since 1970
//	16  records, one after the other
//
// Every record begins with kind u8 | flags u8 | and has the length that its kind says:
//
//	batch (kind 1, 64 bytes; its bytes follow those of the batches before it in the payload)
//	 0  1 | flags: 1 roll before it | producer epoch i16 | partition i32 | topic id 16
//	24  base offset i64 | record count i32 | bytes u32
//	40  crc u32 (as in the batch) | base sequence i32 | producer id i64 | max timestamp i64
//	adopt (kind 2, 32 bytes)       2 | 0 | 0 u16 | partition i32 | topic id 16 | first leader epoch i32 | 0 u32
//	drop (kind 3, 24 bytes)        3 | 0 | 0 u16 | partition i32 | topic id 16
//	log start (kind 4, 32 bytes)   4 | 0 | 0 u16 | partition i32 | topic id 16 | offset i64
//	roll (kind 5, 24 bytes)        5 | 0 | 0 u16 | partition i32 | topic id 16
//	expire (kind 6, 12 bytes)      6 | 0 | 0 u16 | producers idle for longer than i64 ms are forgotten, in all partitions
//	command (kind 7, 8 + n bytes)  7 | 0 | 0 u16 | n u32 | n bytes for the Machine
//
// State records of a shard in the write-ahead log:
//
//	"shard"            version u8 (0) | replica number u | replica numbers of all members: count u, u ... | index u | term u
//	"partition/<id>"   version u8 (0) | epoch base z | partition.Checkpoint
//	"catalog/<key>"    a catalog.Record
//
// The epoch base of a partition is its first leader epoch minus the term of the entry that adopted it; its leader epoch is
// epoch base + term.
package shard
