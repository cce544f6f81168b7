// Package catalog is the cluster's metadata as a pure replicated state machine: brokers, topics with their ids,
// partitions and placements, configs, shards with their replica numbers, producer-id blocks, feature levels.
//
// It is shard 0: the same raft group code as the shards of partitions, with the data inside the entries. Three types carry
// all of it:
//
//	Command   a change that somebody proposes; encoded into an entry
//	Image     one version of the metadata: immutable, versioned by raft index, readable by any task
//	Record    a keyed piece of a checkpoint; one for each topic, broker, shard, resource, feature
//
// [Apply] makes the next image from the last one and a committed command, and the proposer's [Result]. Everything that
// can be refused is decided there, so two requests for one topic name cannot both win, and a request can be validated by
// applying it to the published image and throwing the outcome away. Apply reads no clock and draws no ids: what is random
// is in the command. Images share what did not change (package ordered), so an image costs what changed.
//
// [Records] compares the images of two checkpoints, so a checkpoint costs what changed, too; [Restore] is its inverse.
//
// # Brokers
//
// A broker registers at each start, with its data directory and the number of starts of that. Another directory, an older
// number, or the same number in another incarnation is refused: it must be a wiped disk, an old copy, a clone. A broker that
// was not heard of is fenced by a command of the catalog's leader: it is not shown to clients, and gets partitions only when
// there are not enough others. A registration or a heartbeat takes that back.
//
// # Placement
//
// A partition is placed on a list of replicas, and lives in a shard: a raft group over exactly that set of nodes that the
// first of them should lead. A broker says how many shards of one set it wants to lead (its lanes, so that more than one
// core can work); the catalog makes them as partitions need them, and puts a partition into the one with the fewest.
// Shard ids and replica numbers are issued once and never again.
//
// The leader of a new partition is the broker that leads the fewest of its topic, then the fewest of all. The others come
// from few sets (copysets): the brokers stand in a ring in which racks alternate, and the set of a place is the broker there
// and the next ones of other racks. So the loss of a few nodes seldom hits all replicas of anything, while each broker
// shares its partitions with about twice as many others as there are replicas.
//
// # Formats
//
// All numbers are varints as in encoding/binary (u unsigned, z zigzag), strings and lists are preceded by a u count.
//
//	command   kind byte | version byte | fields of the command in the order of its struct
//	record    version byte | fields
//
//	key                        fields of the value
//	image                      index u | cluster id | next producer id z | next shard u | next replica u | since version 1:
//	                           controllers: (node z | directory 16 | replica u | generation u) ...
//	topic/<id>                 id 16 | name | partitions: (shard u | replicas: z ...) ... | configs: (name | value) ...
//	broker/<node>              node z | incarnation 16 | directory 16 | rack | listeners: (name | protocol z | host | port u) ...
//	                           | lanes z | epoch z | fenced byte | since version 1: boots u
//	shard/<id>                 id u | preferred z | partitions z | members: (node z | directory 16 | replica u | generation u) ...
//	config/<type>/<name>       type z | name | configs
//	feature/<name>             level z
//
// Versions are 0 but for these, and those of the commands Format (1: with controllers) and RegisterBroker (1: with boots).
// Result has a format of its own, for nodes that forward commands: see EncodeResult.
//
// A kind or version that this release does not know stops the node: it must not guess what others decided. A cluster
// feature level keeps newer nodes from writing what older ones cannot read.
package catalog
