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
// deletes later segments, since what is behind may be holes; it needs no sync, as another crash repeats it. A file that is missing or too short there is damaged (see Holes). Files are
// deleted only by Checkpointed, when no durable checkpoint needs them, after their last reader, and large ones piece by piece, so that a file
// system that discards what is freed does not hold up the log's durable writes. A segment's file and its directory entry come into
// being with its first write, before the SyncAll of the first checkpoint that names it.
//
// # Holes
//
// What a replica holds is what its segments hold: a gap between two of them, or between the log start and the first, is a
// hole. The log is whole when there is none. A read in a hole is ErrMissing, and so is a search by time whose answer could
// lie in one. Holes come from a manifest (Install: the state of a log that is ahead, without its records; apply goes on
// behind it) and from damage.
//
//	Fill        a segment file of its own beside those of apply, with a generation of its own in its name, written by
//	            another task; every batch is checked first: CRC, offsets without a gap unless its source is sparse, leader epoch (the CRC covers neither)
//	Take        the owner accepts it, unless something of its range is held: a fill never replaces what apply wrote
//	checkpoint  the next one to begin names it. When that is durable the fill is part of the log, readers see it, and it
//	            counts for Whole; not before, since a crash would open the hole again
//
// Others pull from Files and ReadFile: whole batches of one file, named by base offset and generation, from a position. The
// file that another one replaced is ErrChanged, so a fill never mixes two files. Holes are not listed, so they cannot spread.
//
// A segment with something bad in it (found by Verify, by a reader, when it is opened, when its last block is to be
// continued) is marked by MarkDamaged: nothing of it is held from then on, but the file is kept, and checkpoints list it,
// until other files hold all of its range. What is sound in it is copied by Salvage: when all replicas rot, each in another
// place, nothing is lost. What an earlier life of the node left is checked when it is read the first time.
//
// filling_model_test.go is all this on paper, with the rules that it needs and what goes wrong without each.
//
// # Compaction
//
// A Compaction is a run over the rolled segments that a durable checkpoint has, by a task of its own; it is local to the
// replica and changes no record, only which ones are there. BeginCompaction (owner) → Run (any task: reads what is new for
// the last offset of each key, then makes new files of everything up to there, in Compute, with a bounded map of keys) →
// TakeCompaction (owner) → the next checkpoint names the new files → Checkpointed: they take the place of the old ones, all
// at once, and the old ones are deleted after their last reader. A crash before that leaves files that Open deletes.
//
// The rules are Kafka's: a record goes when a later one has its key; one without a key goes; a batch that changes keeps
// offsets, leader epoch, producer, sequence and codec; a tombstone gets a delete horizon when it is compacted the first time
// (attributes bit 6, in place of the base timestamp) and goes when that has passed; the last batch of a producer that is
// remembered is kept without records; records of aborted transactions go, and a marker, after a horizon of its own, when
// nothing of its transaction is left. Unlike Kafka, a replica lets go of a tombstone only below Options.Safe: the others must
// be compacted up to there, too, and have kept their tombstones for as long (View.Settled, and why: docs/decisions/0006).
//
// What compaction has made is a sparse segment: its batches have gaps between their offsets, in front of the first and
// behind the last. It may be vacant: a range of offsets without a file. A read in a gap is answered with what comes next. In
// other segments offsets without gaps check each other, since no CRC covers them; a sparse one has a checksum over the first
// 16 bytes of all its batches in the checkpoint, and is checked as a whole.
//
// Marks are how far the log is compacted, with the latest delete horizons. What a fill brings below a mark moves it back.
//
// # Files
//
// A partition has a directory <topic id in hex>-<index> with, for each segment, two files named by the base offset, and by
// the generation when it is not 0 (00000000000000001234-7.log):
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
// Checkpoint: format version 2 (1 byte), topic id (16), then varints (z zigzag, u unsigned):
//
//	index z | log start z | end z | last stable offset z |
//	u × held range { start z, end z } | u × epoch { epoch z, start z } |
//	u × segment { base z, offsets z, bytes z, index entries z, max timestamp z, first timestamp z, first wall z, last wall z,
//	              position of the last index entry z, generation z, flags z (1 sparse, 2 transactional), checksum z,
//	              earliest delete horizon z } |
//	u × damaged segment { as above } | generation of the next file z | u × mark { offset z, delete horizon z } |
//	u bytes of producers
//
// In version 1 segments end with the generation, and there are no marks. In version 0 segments have no generation (it is 0), and there are neither damaged segments nor the next generation (1).
//
// Manifest: format version 0 (1 byte), topic id (16), index z | log start z | end z | last stable offset z |
// u × epoch { epoch z, start z } | u bytes of producers
//
// Producers: format version 0 (1 byte), time of the last expiry z, then, ascending by id,
//
//	u × { id z, epoch z, coordinator epoch z, first offset of the open transaction z (-1), entry time z,
//	      u × { first sequence z, last sequence z, base offset z, max timestamp z } }
//
// # If you change something here
//
// model_test.go plays random operations, readers and power cuts in the simulated world against a list; mutants_test.go
// (tag mutants) says how soon it finds planted bugs. compact_sim_test.go does the same for compaction, with consumers that
// keep the last value of each key. Races are for machine_test.go with -race. What is not done yet: transactions (the last
// stable offset is the end).
package partition
