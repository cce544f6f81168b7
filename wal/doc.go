// Package wal is the write-ahead log of a data directory: raft entries, hard states and checkpoints of all its shards in
// one stream of preallocated, recycled files, with one synchronous write for whatever waits.
//
// # Tasks
//
// The writer takes all appends that wait, puts one group together in aligned memory that it uses again and again, writes
// it with one write to a Direct and Durable file, and calls the appends' Done. Only then it begins the next group. The
// keeper makes and recycles files, and reads what is to be copied, so that the writer does nothing but write. What is
// still needed, and where it lies, is in the ledger, which belongs to the writer. Readers see a published view.
//
// # Files
//
//	wal/0000000000000007.wal    a file of the log; its header and its name are durable before it is used
//	wal/0000000000000003.spare  a file whose contents mean nothing, to be used again
//
// Numbers only grow; they are the order of the log. A file begins with a header in a block of 4096 bytes. Groups follow,
// each at a multiple of 4096. What comes after the last group is zeros, what a write that was cut short has left, or an
// earlier use of the file. All numbers are little-endian. "crc" is CRC-32C.
//
//	file header                           group header, 64 bytes                record header, 48 bytes
//	 0  8 "MRWALOG" 0                      0  4 "MRWG"                           0  4 crc, from the seed on, of bytes 4
//	 8  4 format version: 1                4  4 number of records                     to 47 and of the data
//	12  4 0                                8  8 generation                       4  4 crc, from the seed on, of the payload
//	16 16 id of the data directory        16  8 file number                      8  4 data bytes
//	32  8 generation                      24  8 offset of the group in the file 12  4 payload bytes
//	40  8 file number                     32  8 sequence number of the group    16  1 kind
//	48  8 file size                       40  8 oldest file that is needed      17  1 raft's entry type
//	56  4 0                               48  8 bytes from here to the end of   18  2 bytes between data and payload
//	60  4 crc of bytes 0 to 59                  the last record                 20  4 0
//	64    zeros to 4096                   56  4 0                               24  8 shard
//	                                      60  4 crc of bytes 0 to 59            32  8 index
//	                                      64    records, zeros to 4096          40  8 term
//	                                                                            48    data, padding, payload, zeros to 8
//
// The generation is a random number, drawn for each use of a file. The seed of a group is the crc of its generation and
// sequence (16 bytes), so that no byte of an earlier use of the file, nor of another group, checks; and nobody can make
// a payload that looks like a group. Sequence numbers have no gaps over all files.
//
//	kind                  index, term  data                                   payload
//	1 shard               0, 0         term, vote, commit, compact: 4×8       -
//	2 entry               its own      raft's bytes                           record batches
//	3 entry, copied       its own      raft's bytes                           record batches
//	4 keyed record        0, 0         key                                    value
//	5 keyed record ends   0, 0         key                                    -
//	6 shard ends          0, 0         -                                      -
//
// In a group, copies come first, then the shard records of all appends, then the rest in the order of submission. An
// entry supersedes all entries of its shard with its index or a larger one; a copy supersedes nothing.
//
// # What is durable when
//
// A group is durable when its write returns. An append lies in one group, so it is recovered whole or not at all. A file
// gets its name, durably, after its header; it loses its name, durably, after a group is durable that does not need it,
// and after all older files have lost theirs. A group that somebody relies on and that is the last one for a while is
// followed by an empty one, the mark. After a failed write or sync nothing is tried again: the log fails, and the node
// must stop. A start writes the last group once more, as it is: an earlier one may have failed to sync it, and could still read it.
//
// # Recovery
//
// Recovery reads the groups of all files in their order. A group counts if its header and records check, and, when no
// group follows it, its payloads too; payloads of other groups are checked when they are read. Where the groups of a file
// end, one of three things was there:
//
//   - nothing, or an earlier use of the file;
//   - a write that a crash has cut short: nobody was told that it is durable, so it is dropped;
//   - a group that was durable and has been damaged since.
//
// A group is written only when the one before it is durable. So if any group with a later number is found, in the rest
// of the file or in another one, it was the third, and the log is refused with the place of the damage. What cannot be
// told from a cut write is damage to the very last group when no mark follows it, which takes MarkAfter.
//
// After recovery the log goes on in another file with a generation of its own, so the cut write stays dead where it is.
//
// # Size
//
// A file is freed when nothing in it is needed. Entries are needed until their shard compacts them (Append.Compact), after
// a checkpoint; Pressure names the shards that keep the oldest file. Shard records and keyed records live until they
// are replaced, so they are copied to the end of the log when they are what is left of the oldest file; entries only when the
// log comes near MaxBytes. MaxBytes does not stop appends: who admits new work asks Pressure. On the disk there may be more: the
// next file, made ahead, and spare ones; a file of a larger size than usual takes the place of a spare one. Pressure.Growth
// foretells how much of the disk the log may need yet. A disk without space for the next file stops the log until there is some.
package wal
