// Package partition is the log of one partition: segment files that hold nothing but Kafka record batches, and all that
// helps to find, keep and delete them.
//
// A Log is fed with committed batches only, in their order, by the one task that owns it, and is never truncated while it
// serves. Everything it does is a function of what it is fed: it reads neither clock nor configuration. The decisions
// that need those (when to roll, what retention deletes, whether a sequence number is right) are pure functions for the
// leader, who puts the result into a raft entry: Tail.RollNeeded, Log.RetentionStart, Producers.Check.
//
// # The way of a byte
//
//	Append ── copies into ──► chunk (aligned memory, counted) ──► writer task ──► segment file, O_DIRECT, whole blocks
//	Publish ─ stores ───────► View (immutable) ──► Read: parts of chunks still in memory, else file ranges (sendfile)
//
// The page cache is the largest cost of a produce, so segments are written past it in whole 4096-byte blocks, from chunks
// that double from 4 KiB up to 1 MiB while a log fills them. A chunk that is full belongs to the writer, which keeps it
// after the write and gives up the oldest ones of the node when the cache budget is exceeded. A reader acquires a chunk
// (host.Ref); when that fails, its bytes are in the file: a chunk is given up only after its write. At a checkpoint
// the chunk that is not full is written too, its last block as a padded copy; that block is written again when it has
// grown, so a block in a file only ever gains bytes. It is never sent from the file while it may grow: a page that is on
// its way to a socket cannot be thrown out of the page cache by a direct write, and would stay there stale.
//
// Files are opened for reading on demand by the files task, which keeps a bounded number open. A segment is pinned by a
// Ref: the owner first publishes a view without it, then lets go; a reader that loses the race looks at the new view.
//
// # What is durable when
//
// Nothing here syncs. A checkpoint is: BeginCheckpoint (owner) → Wait (all writes done) → Disk.SyncAll (contents, sizes and
// names) → the encoded Checkpoint durable in the write-ahead log → Checkpointed (owner). Until then the raft entries after
// the previous checkpoint are kept and applied again. Open truncates the last segment to the checkpoint's position and
// deletes later segments, since what is behind may be holes; it needs no sync, as another crash repeats it. Files are
// deleted only by Checkpointed, when no durable checkpoint needs them. A segment's file and its directory entry come into
// being with its first write, before the SyncAll of the first checkpoint that names it.
//
// # Files
//
// A partition has a directory <topic id in hex>-<index> with, for each segment, two files named by the base offset:
//
//	00000000000000001234.log     batches one after the other (see package batch); nothing else
//	00000000000000001234.index   blocks of 4096 bytes, each:
//
//	     0  magic "MIX", format version 0   4
//	     4  block number                    4
//	     8  number of entries, up to 255    2
//	    10  zero                            2
//	    12  CRC32C of the segment's base offset (8 bytes) and the block without this field
//	    16  entries of 16 bytes: base offset of a batch less the segment's (4), its position (4), the greatest
//	        timestamp of all batches in front of it (8)
//
// An entry is made for a batch that begins at least max(4096, position/8192) bytes behind the last one: at most some
// 40,000 for a segment of 1 GiB. The index is derived. Entries are written at checkpoints and rolls; the checkpoint says
// how many are valid. One that is missing or does not check is made again from the segment, whose CRCs are checked then.
//
// # Encodings
//
// Checkpoint: format version 0 (1 byte), topic id (16), then varints (z zigzag, u unsigned):
//
//	index z | log start z | end z | last stable offset z |
//	u × held range { start z, end z } | u × epoch { epoch z, start z } |
//	u × segment { base z, offsets z, bytes z, index entries z, max timestamp z, first timestamp z, first wall z, last wall z,
//	              position of the last index entry z } |
//	u bytes of producers
//
// Producers: format version 0 (1 byte), time of the last expiry z, then, ascending by id,
//
//	u × { id z, epoch z, coordinator epoch z, first offset of the open transaction z (-1), entry time z,
//	      u × { first sequence z, last sequence z, base offset z, max timestamp z } }
//
// # If you change something here
//
// model_test.go plays random operations, readers and power cuts in the simulated world against a list; mutants_test.go
// (tag mutants) says how soon it finds planted bugs. Races are for machine_test.go with -race. What is not done yet:
// transactions (the last stable offset is the end), compaction, and held ranges with holes (filling).
package partition
