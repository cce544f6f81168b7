// Package group is the group coordinator: who is a member of which consumer group, which generation the group is in,
// what the leader assigned, and which offsets were committed. It is a pure state machine. It does no I/O, reads no
// clock, draws no random number that it was not handed; time comes in with every call, records and answers go out.
//
// # Where its state lives
//
// Groups live in the internal topic __consumer_offsets, compacted, in Kafka's record formats (records.go). A group
// belongs to one partition of it ([PartitionOf]); there is one [Coordinator] per partition. Its state has two layers:
//
//	image   what the applied log says: committed offsets, the last stored metadata of every group. Every replica
//	        has it, built by Apply. It is a function of the log and of nothing else.
//	live    what only the leader of the partition knows: members that are joining, timers, answers that wait.
//	        Elect builds it from the image, Resign throws it away.
//
// So failover loads nothing, and what a crash forgets is what Kafka forgets: a rebalance that was under way.
//
// # The flow
//
//	c := group.New(group.DefaultConfig(), random)
//	c.SetCluster(cluster, created)                                                   // and whenever the metadata changes
//	for each record of the partition's log { c.Apply(offset, producer, record) }     // replay; every replica
//	out := c.Elect(now)                                                              // this replica leads
//
//	out = c.Step(now, group.Input{Tag: 7, Request: &group.SyncRequest{…}})           // a request came
//	out = c.Expire(now)                                                              // c.Deadline() is reached
//	out = c.Committed(now, token, baseOffset)                                        // an append was applied
//	out = c.Failed(now, token, code)                                                 // … or definitely was not
//
// Each of them returns an [Output], to be handled whole before the next call:
//
//	out.Appends   batches to append to the partition, each atomic, in this order; each has a token
//	out.Replies   answers to hand out now, by the tag of their request
//	out.Begun     the rebalances that this call began, and why, to be counted and logged
//
// A request gets exactly one reply: at once; when its append is applied (Committed) or refused (Failed); or when other
// members or a timer end its wait (JoinGroup, SyncGroup). Nothing that a reply says rests on a record that is not yet
// applied. Tags are the caller's own, never zero, unique among the requests that wait.
//
// Of each batch that is applied to the partition, exactly one of Apply (for its records) or Committed (for its token)
// must be told, in log order. On a leader all are its own, so a leader calls Committed only. Committed tokens come in
// the order in which their appends were handed out. An append whose fate is unknown stays unresolved until it is known,
// also after Resign; its request stays unanswered, and the caller may give it up at a timeout of its own.
//
// # Classic groups
//
// The files join.go, rebalance.go, sync.go, leave.go hold the protocol of JoinGroup, SyncGroup, Heartbeat and
// LeaveGroup as Kafka 4.3 speaks it, with static members (KIP-345), known member ids (KIP-394), protocol type and name
// checks (KIP-559), skipped assignment (KIP-814):
//
//	         join                 all joined, or timeout           leader's SyncGroup applied
//	Empty ─────────► Preparing ──────────────────────► Completing ────────────────────────► Stable
//	  ▲   after the  Rebalance ◄─────────────────────── Rebalance                             │
//	  │   initial      │  ▲        join, leave, timeout                                       │
//	  └── delay ───────┘  └───────────────────────────────────────────────────────────────────┘
//	    nobody joined                  join, leave, timeout, changed subscription
//
// A generation is written to the log once, when its leader's assignment arrives, and when a group becomes empty.
//
// # Consumer groups
//
// In a group of the consumer protocol (KIP-848, in consumer*.go) members do not wait for each other. Three numbers say how
// far everything is:
//
//	group epoch       grows when members, subscriptions, or the topics' partitions change
//	assignment epoch  the group epoch for which the target was computed, by an assignor here (assign.go)
//	member epoch      the assignment epoch whose target the member has reached, as far as others let it
//
// A heartbeat brings a member's wishes, may move the first two, and takes the member a step (reconcile.go):
//
//	                 target changed,            said that it gave            others gave back
//	                 it must give back          everything back              all that it waits for
//	Stable ───────────────────► Unrevoked ───────────────► Unreleased ────────────────────► Stable
//	   └──────────────────────────────────── nothing to give back ──────────┴──────────────────┘
//
// So a partition is never given to a member before the one that had it has said that it has it no more, or is fenced: its
// session has ended, or it took longer than its rebalance timeout to give back. Nothing is given by time alone, and who has
// what follows from records (consumer_records.go), of which every replica knows the owners.
//
// The state of a consumer group is the same type in the image and at the leader, who is ahead by one batch at most
// (lane.go): operations on a group run one after the other, what comes while a batch is open goes into the next, and a batch
// that fails takes the leader's group back to the image's.
//
// Members of the classic protocol may be in a consumer group (consumer_classic.go). The first member of the consumer
// protocol makes a classic group a consumer group, the last that leaves makes it a classic one again (migrate.go).
//
// # What is told beside Kafka's protocol
//
// The leader remembers of each group why its last rebalances began (story.go): in memory, bounded, gone with its leadership.
// StoryRequest tells that, whom a group waits for, and its offsets; ObserveRequest (observe.go) how many groups there are
// and all their offsets, for the measuring of lag in the room above.
//
// What differs from Kafka 4.3.1: a group that becomes a classic one always rebalances, and
// remembers what they have, not what they should have, since otherwise two could have the same; one that becomes a consumer
// group is always assigned anew, since its topics may have grown since its leader assigned them; the hash of the topics' metadata, so that who changes from one to the other assigns once
// more; racks are not in it, since no assignor looks at them. Assignors take members in the order of their ids, where Kafka
// takes them in the order of a hash table. A regular expression whose program is too large for its group's topics is refused
// or matches nothing.
//
// Records of types that this package does not know are skipped by Apply.
package group
