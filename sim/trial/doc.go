// Package trial is one seed: a broker under load in a simulated world that breaks it, and the checks of what its clients
// saw.
//
// [Draw] makes the plan of a seed: the options of world, broker and topics, the actors, and the crashes. [Run] carries a
// plan out:
//
//  1. The load: producers (idempotent or plain, acks all, 1 or 0), consumers with and without fetch sessions, an admin
//     who creates, grows, empties and deletes topics, groups that commit offsets. Meanwhile the plan's crashes come, each
//     after so many more acknowledged records: at a yield, in the middle of a write or a sync, just after one, or just
//     after an answer was handed to the network; by killing the process or by cutting the power.
//  2. The repair: no more faults. Every batch without an answer must get one.
//  3. The end: everything is read from the start; the broker is stopped in order, must leave nothing behind, and is read
//     once more after another start.
//
// What must hold is in oracle.go; the checks follow the list D1 to D18 in docs/simulation.md. A seed that has too few
// acknowledged records, crashes, rolls or checkpoints has shown nothing and counts as failed.
package trial
