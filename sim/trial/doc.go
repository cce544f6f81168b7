// Package trial is one seed: one, three or five brokers under load in a simulated world that breaks them, and the checks
// of what their clients saw.
//
// [Draw] makes the plan of a seed: the options of world, brokers and topics, the actors, the crashes and the other faults.
// A [Plan] is data: it can be written, read back ([ReadPlan]), and made smaller. [Run] carries it out:
//
//  1. The load: producers (idempotent or plain, acks all, 1 or 0), consumers with and without fetch sessions, an admin
//     who creates, grows, empties and deletes topics, groups that commit offsets. Half of the plans have a group with
//     members, a zombie that repeats what they said, and a watcher (group_*.go); some have clients that delete what they
//     commit, and the group (group_forget.go). Meanwhile the plan's crashes come, each
//     after so many more acknowledged records: at a yield, in the middle of a write or a sync, just after one, or just
//     after an answer was handed to the network; by killing the process, by cutting the power of a node or of all. Beside
//     them come the faults of a cluster (plan_cluster.go, faults.go): links, pauses, disks, losses. What may be lost for
//     good strikes one node of a plan.
//  2. The repair: no more faults. Every batch without an answer must get one, every group must settle.
//  3. In a cluster, the liveness phase (liveness.go): every partition takes produces, every replica becomes whole.
//  4. The end: everything is read from the start; the brokers are stopped in order, must leave nothing behind, have the
//     same bytes in their segments (replicas.go), and are read once more after another start.
//
// While this goes on, outage.go looks at what a power cut of all nodes would leave at the moment of every acknowledgement of
// acks=all; outage_disks.go reads for it what has changed on the disks.
//
// What must hold is in oracle.go; the checks follow the list D1 to D19 in docs/simulation.md. A seed that has too few
// acknowledged records, crashes, rolls or checkpoints has shown nothing and counts as failed.
package trial
