// Package peer keeps the links between the nodes of a cluster: raft messages with their payloads, notes, and calls. It
// knows neither shards nor the write-ahead log: a [Handler] takes what comes.
//
// # Connections
//
// From each node to each other one there are three connections, dialled by the node that sends:
//
//	control  votes, heartbeats, answers of raft, read indexes; notes; calls with small answers; pings
//	append   MsgApp with the payloads of its entries
//	bulk     MsgSnap; calls with large answers, ranges of files among them
//
// Answers to calls come back on the connection of the call; everything else goes in the direction of the dial only. So
// a vote never waits behind a batch, nor a batch behind a segment. The append and bulk connections are dialled when the
// control connection stands. A connection that ends is dialled again after 20 ms, then less and less often, twice a second
// at least; at once when the other node has dialled here; and not within half a second after one side has refused the
// other.
//
// # Tasks
//
//	peer-accept   takes connections; of more than 128 that have not proven who they are the oldest go
//	peer-receive  one for each connection that was accepted: handshake, then frame → Handler
//	peer-serve    one for each call that is being served; peer-answer sends their answers, one for each connection
//	peer-send     one for each stream to a peer: dials, then queue → frames → Conn.Send
//	peer-answers  one for each connection that was dialled: reads answers and wakes who waits for them
//	peer-keeper   knows all connections; asks Handler.Admit; decides who is up
//
// Links.Send puts a message into the queue of a stream and returns. The queue is bounded by bytes; what does not fit, or
// finds no connection, is refused at once. What had been taken when the connection broke is reported by Handler.Dropped.
// Payloads are referenced, not copied: their Holds are retained until Conn.Send has returned, and the receiver reads the
// payloads of a frame into one counted buffer, of which every message gets slices. A message of raft is handed on only
// when the checksum of its frame is right and each payload is there in its full length: who cannot load one does not
// send the message.
//
// # Who is up
//
// A node is up while both control connections with it stand (its own and the one dialled to it) and it is heard: a
// sender that has had nothing to send for Options.Ping sends a ping, and a node of which nothing came for Options.Silence
// on its control connection is down. TCP loses nothing, so what counts is the difference between the two: more pings would
// only keep processors awake. When either control connection ends, the node is down at once. Up and Down alternate. A node that stays silent for five times Silence loses all connections, so that they are
// dialled anew: one that is dead at the other end only would be believed in for a quarter of an hour otherwise. A silent
// node is doubted for a sixteenth of Silence first: when this process itself did not run for a while, what came in the
// meantime is still to be read.
//
// # Who is let in
//
// Both sides prove that they know the cluster's secret, by HMAC-SHA256 over both hellos, whose nonces come from
// host.Secure; the dialler proves first, so that who merely reaches the port gets nothing to guess from. Then each side
// examines the hello of the other:
//
//   - its node must be the one that was dialled, not this one, and the one that the certificate names (node-<id>), if the
//     transport has asked for one;
//   - of a data directory, an earlier boot than was seen before is an old copy, and another incarnation of the same boot
//     is a clone;
//   - a data directory other than that of the node that is connected now is a second node with one id;
//   - Handler.Admit decides about the rest: cluster, directory, membership.
//
// A refusal is told to the other side with its reason, and logged on both. When a new incarnation is let in, connections
// of the node's older ones are closed. After the handshake frames are protected by checksums against accidents only: who
// can change traffic between machines is kept out by certificates (node/host/machine), not by the secret.
//
// # Before frames: messages of the handshake
//
// All numbers are little-endian.
//
//	+--------------+---------+------+-------------+------
//	| magic "MRPL" | kind, 1 | 0, 1 | size of the | rest, at most 1,024 bytes
//	| 4 bytes      |         |      | rest, 2     |
//	+--------------+---------+------+-------------+------
//
//	kind 1  opening  dialler → listener  greeting
//	     2  reply    listener → dialler  greeting
//	     3  proof    dialler → listener  HMAC(secret, "millrace peer dialer\0" + opening + reply), 32 bytes
//	     4  verdict  listener → dialler  HMAC(secret, "millrace peer listener\0" + opening + reply), 32 bytes
//	     5  refusal  either side         text; the connection ends
//	     6  begin    dialler → listener  nothing; frames follow
//	     7  old copy either side         HMAC(secret, "millrace peer old copy\0" + opening + reply), 32 bytes, and text: a
//	                                     refusal that makes its reader stop, so that it must come from a node of the cluster
//
// The HMACs are over whole messages, from the magic on. A greeting:
//
//	offset  size
//	     0     2  version: the newest that the dialler speaks; in a reply the one that the listener has chosen
//	     2     2  the oldest version that the sender speaks
//	     4     1  stream: 0 control, 1 append, 2 bulk
//	     5     1  length of the cluster's id, at most 64
//	     6     2  0
//	     8     4  node
//	    12     4  the node that the sender wants to speak to
//	    16     8  boots
//	    24    16  directory
//	    40    16  incarnation
//	    56    32  nonce
//	    88     4  0
//	    92        the cluster's id
//
// This is version 1.
//
// # Frames
//
//	offset  size
//	     0     4  size of the head
//	     4     4  size of the payload section
//	     8     4  CRC32C of the head
//	    12     4  CRC32C of the payload section; 0 with flag 1
//	    16     4  flags: 1 = the payload section has no checksum (an answer from a file, whose contents have their own)
//	    20     4  CRC32C of bytes 0 to 20
//	    24        head: items, one after the other
//	              payload section: the payloads of the items, one after the other
//
// Head and payload section together are at most Options.MaxFrameBytes long. A frame with neither is a ping. What waits
// shares a frame up to 64 KiB. An item:
//
//	0     1  kind: 1 message, 2 heartbeats, 3 note, 4 call, 5 answer
//	1     1  of a message: raft's type; of a note or call: the Handler's kind; of an answer: 0 good, 1 failed, 2 busy
//	2     1  flags of a message: 1 reject, 2 with a snapshot
//	3     1  0
//	4     4  size of the item, with these 8 bytes
//
// A message goes on with eight bytes each of shard, to, from, term, log term, index, commit, reject hint and vote; then
// the length of the context and the number of entries, four bytes each; the context; the entries; the snapshot.
//
//	entry:     term 8, index 8, type 4, length of data 4, length of payload 4, data
//	snapshot:  index 8, term 8, numbers of voters, learners, outgoing voters and next learners 4 each, auto leave 4,
//	           length of data 4, the ids 8 each, data
//
// Heartbeats and the answers to them, one after the other: shard, to, from, term, commit, 8 bytes each; 1 if it is an answer,
// 1 byte; length of the context, 1 byte; six zeros; the context.
//
// A note's bytes follow its header. A call goes on with its id (8), the nanoseconds until nobody waits for the answer any
// more or 0 (8), and the request. An answer is alone in its frame: the id of the call (8), then the text of an error; a
// good answer is the payload section.
//
// Anything else ends the connection.
package peer
