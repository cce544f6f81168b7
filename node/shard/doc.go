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
//	store       wal.Append, and at the same time messages to the followers; acks=1 is answered when it is durable here
//	apply       committed, so durable on a majority, and durable here: the batch goes to the partition's log, readers see
//	            it, acks=all is answered, unless min.insync.replicas asks for more durable copies than the majority
//
// The appended state of a partition (next offset, tail segment, producers) belongs to one term of leadership. It is made
// from the applied state, which is complete when the first entry of the term is applied; until then the shard does not
// serve. Apply is a pure function of the entry: it reads neither clock nor settings nor the catalog.
//
// A pending request is known by the index and term of its entry. Applied in that term it has succeeded, superseded by
// another leader's entry it never will (NOT_LEADER_OR_FOLLOWER); until one of the two is seen here it stays without an
// answer, also when this replica has stopped leading. What was not yet proposed then is refused.
//
// # Replicas
//
// A message of a peer is an event ([Shard.Receive]). A MsgApp is given to raft only when each entry has the payload that
// its descriptors promise. The payloads lie in the stash, by index and term, until raft hands out the entries to be
// stored, which it does in the same turn; what is left in the stash then was not taken. A follower's answer waits for the
// write-ahead log, as raft says (the responses of MsgStorageAppend).
//
// The window (window.go) is raft's view of the log, in memory, without payloads. Payloads are in memory until their entry
// is applied; a follower that asks later is served from the write-ahead log. Entries are kept for slow followers while
// the write-ahead log is not too long: the leader keeps what any member lacks up to half of the log's bound; the others,
// one of which may lead next, everything up to a quarter of it, or up to where all had everything when the shard went to
// rest; above that a last piece is kept, and nothing when the log is full or the shard keeps its oldest file. Eight
// mebibytes of descriptors are the limit in any case. Who is behind the window gets a snapshot (snapshot.go) and is filled.
//
// In sync is who has lately had all that the leader had (Options.MaxLag), was heard of, is not suspected, and has only
// whole partitions (progress.go). Too few in sync is NOT_ENOUGH_REPLICAS at admission, and
// NOT_ENOUGH_REPLICAS_AFTER_APPEND for what is committed and waits for more copies.
//
// A read by index (reads.go) is confirmed by a round of heartbeats of the leader, asked for anew under a new number when
// it may be lost, and answered when the index is applied here. Numbers begin with the incarnation's nonce.
//
// Raft's clock ticks every 50 ms. A suspicion (election.go) makes the followers of the suspected node forget their leader;
// the survivors campaign one after the other, in an order that begins elsewhere in each shard. A leader whose write-ahead
// log has not answered for 30 ticks hands over.
//
// A leader that has been idle for six ticks rests (quiet.go): it says so to the followers, and nobody ticks any more.
// Requests, suspicions and messages wake a replica; one that wakes without its leader's doing, or hears nothing from it,
// asks it to wake, too. Contexts of one byte carry this, which raft never sees:
//
//	heartbeat         1 rest, everybody has everything | 2 rest, somebody who is suspected does not
//	its answer        3 wake | 4 this replica's partitions are whole | 5 some are not
//	acknowledgement   5 some of this replica's partitions are not whole
//
// A replica that learns that it has lost entries which it acknowledged retires: it takes no part in its shard any more.
//
// # Checkpoints and recovery
//
// A checkpoint is taken in three steps, so that produces go on meanwhile: the shard's task notes the applied index and
// what changed since the last checkpoint (capture); the checkpointer waits until the segments hold all of it and syncs
// the disk once for all shards; then each shard appends the records to the write-ahead log (install), which lets the log
// forget the entries up to that index, or to an earlier one that followers still need. Only when that is durable are
// files deleted that the earlier checkpoint named.
// Recovery opens partitions as their checkpoints say, and raft commits and applies again what came after.
//
// # The shards of a node
//
// A [Set] is all shards of a node. Its tasks, beside those of the shards:
//
//	checkpointer  takes the checkpoints of all shards
//	reconciler    makes the shards follow the catalog: starts them on every member, gives partitions their settings, has
//	              the shards that are led from here adopt and drop partitions
//	ticker        turns raft's clock for the shards that are not at rest
//	cleaner       compacts partitions, one after the other (clean.go)
//	cluster       owns what is known of the other nodes: who can be heard, who leads what
//	sessions      heartbeats of this broker; on the catalog's leader, fencing
//	preferred     gives leadership back to preferred leaders
//
// The image of the catalog may be behind. So a partition that it does not know is dropped only when it is proven to be
// current, by a read index that began after the partition was seen.
//
// # Clusters
//
// All nodes of a cluster hold the catalog: shard 0, whose members are in the file "meta" of each data directory. They come
// there by formation (formation.go). A node that belongs to no cluster asks every peer who it is. When all have said that
// they belong to none either, the one with the lowest id founds: it draws the cluster id, and writes it into its meta with
// the node and directory ids of all. The others find a formed node that lists them, write that into theirs, and each
// starts its replica. Every step is one durable write, and is found again by asking, whatever was interrupted. As long as
// a peer is silent, or tells of a cluster that knows this node with another directory, nothing is founded: a node whose
// disk was wiped never votes again. Each start of a node is counted in meta, durably, before anybody hears of it; an old
// copy of a directory has fewer starts than the catalog has seen, a clone as many in another incarnation, and neither is
// let in (links.go, admit).
//
// Leaders are announced by the nodes themselves, not by the catalog: when one begins or ceases to serve, when the replicas
// in sync change, when a node can be heard again, and every second. The highest term wins, within it the last word of the
// leader. Since partitions are adopted with the term as their first epoch, everybody knows leader epochs, too.
//
// A change of the catalog goes to the node that leads it, and is answered when its index is applied at the node that
// asked ([Set.Change]); a try whose fate is unknown is repeated when a second decision of the same command does nothing.
// The catalog's leader fences brokers of which it has not heard for a session timeout; one that has just begun to lead
// gives all of them a whole one.
//
// # Filling
//
// A follower behind the window gets a raft snapshot that is only a manifest: of each partition the ends, the epochs and
// the producers, and all records of the catalog. It makes the follower's write-ahead log forget what is before it, and a
// replica with holes counts for raft's majority; three replicas could so forget the last copy one after the other, each of
// them something that lay in its log only (found by partition's paper model before this was built). So nothing is
// forgotten: snapshotArrived holds the message back, applies what is logged here and agrees with the manifest (by offset and
// leader epoch), waits for a checkpoint that holds everything, and only then lets raft see it. installSnapshot makes it the
// state in memory; the records, the compaction and the hard state are one append to the write-ahead log. Segments that
// apply writes from then on lie behind a hole.
//
// The fillers (fill.go) are tasks of the Set. They ask a shard what a partition lacks, copy what is sound in damaged files,
// pull the rest from any member that holds it, piece by piece, and hand finished files to the shard, which counts them
// with the next checkpoint. A replica with a partition that is not whole is not in sync (its acknowledgements say so), is
// last to campaign, and yields when it leads; Lookup of a partition that is not whole answers LEADER_NOT_AVAILABLE. This is
// per shard: one partition that is not whole takes the replica out of the ISR of all partitions of the shard.
//
// Damage is found by a reader that stumbles over it, by the check before the first read of what an earlier life left, by
// another node that got bad bytes, and by the scrub (scrub.go), which reads everything once a day. A damaged segment is
// verified, taken away from readers, salvaged and filled. Without another replica its bad batches stay missing: reads of
// them fail, the log says what to do, and nothing is deleted.
//
// What cannot be filled is a write-ahead log with damage in its middle: then the node does not start (see wal), since which
// shards lost something cannot be told. A wiped disk is refused by the others. Both lose one replica of each shard of the
// node for good until partitions can be moved; docs/operations.md says what to do.
//
// # Compaction
//
// The cleaner compacts what is due, the dirtiest partition first, on every replica for itself (see package partition). Where
// tombstones have become old enough to go, it first asks the other members how far they are compacted (call 35), twice: all
// must be so at one moment. Who is asked compacts soon. docs/decisions/0006 says why.
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
//	"shard"            version u8 (1) | replica number u | members: count u, { replica number u, node z, directory id 16 } ... |
//	                   index u | term u | index u and term u up to which the log is compacted
//	                   version 0: of members only the numbers; compacted up to the checkpoint's index
//	"partition/<id>"   version u8 (0) | epoch base z | partition.Checkpoint
//	"catalog/<key>"    a catalog.Record
//
// The epoch base of a partition is its first leader epoch minus the term of the entry that adopted it; its leader epoch is
// epoch base + term. A first leader epoch of -1 is the term itself, so that the base is 0; that is what is written today.
//
// The file "meta" in a data directory, JSON. Format 1 had neither boots nor controllers and is read as a cluster of one:
//
//	{"format": 2, "cluster.id": "", "node.id": 1, "directory.id": "...", "boots": 3, "used": true,
//	 "controllers": [{"node.id": 1, "directory.id": "...", "replica": 1}, ...]}
//
// What nodes tell and ask each other by way of net/peer (u and z are varints, see above; a string of bytes is b):
//
//	note 1, leaders       version u8 (0) | flags u8: 1 the node is about to stop, 2 its disk is nearly full | count u,
//	                      shard u | term u | sequence u | in sync: count u, node z ...
//	note 2, heartbeat     version u8 (0) | broker epoch z | incarnation 16
//	call 1, introduction  JSON both ways: version (1), node, directory, peers, cluster, controllers as in meta
//	call 2, propose       a catalog.Command; answer: 0 not decided and never will be | 1 unknown | 2 and a catalog.Result
//	call 3, transfer      version u8 (0) | shard u | node z that is to lead; the answer is empty
//	call 4, quorum        empty; answer: version u8 (0) | term u | commit u | count u,
//	                      node z | directory 16 | match u | last contact z | last caught up z, ms since 1970
//	call 5, adopted       version u8 (0) | topic id 16; answer: 1 its partitions led from there are there | 0 not in time
//	call 32, files        version u8 (1) | shard u | topic id 16 | index z | five times 0 z; answer: status, count u, segments as in
//	                      a partition's checkpoint
//	call 33, range        version u8 (1) | shard u | topic id 16 | index z | base z | generation z | position z (-1: of the batch that
//	                      holds the offset) | offset z | bytes z; answer: status, position z, whole batches
//	call 34, doubtful     as call 33: what came of that file was bad; answer: status
//	call 35, settled      as call 32; answer: status, settled offset z | life of the log z
//	                      status: version u8 (1) | 0 good, 1 the partition is not here, 2 the file has changed
//
// The data of a raft snapshot (MsgSnap), at most 64 MiB:
//
//	version u8 (0) | partitions: count u, { epoch base z | partition.Manifest b } ... | records of the Machine: count u, { key b | value b } ...
package shard
