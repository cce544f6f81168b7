// Package linearizability checks histories of a distributed log: whether what its clients saw can be explained by one log
// on which every operation had its effect at one moment between call and return. It knows nothing of Millrace and can be
// used on the history of any Kafka cluster.
//
// [Verify] checks a whole history: directly, one pass per question (does an offset ever hold two records, is anything
// acknowledged not there, did a consumer jump), and then by the search below. A history is JSON lines, one [Operation]
// each; [Write] and [Read] them; docs/history.md describes the lines for those who write them in another language. The
// constants name what can be found; the names are Jepsen's where it has one.
//
// Three kinds of objects have a model: the log of a partition ([Produce], [End]; [Fetch] and [Final] say what it holds), the
// committed offset of a group for a partition, a register ([Commit], [Committed], [Forget]), and a topic's name ([Create], [Delete],
// [Describe]), which is free or has one topic with an id that is never used again.
//
// A search for such an order is either linear or hopeless, and the model decides. Here the state of a partition is two
// numbers: its end offset and a hash chained over all its records. The offset that a produce returns fixes its place, so
// hardly anything is left to search.
//
// What ruins this are operations of which nobody knows the outcome: each may have had its effect at any time, or never.
// [Resolve] settles them before the check from the final log: one whose records are there was applied, at the latest
// when anybody saw that; one whose records are not there never was. This is sound only if acknowledged records are known
// to be durable, which must be checked first, by itself.
//
// A committed offset of a group is a register of its own: a log of [Commit] and [Committed] operations. Each commit writes
// something unique, so that one without an answer need only be settled when somebody has seen it.
//
// A check that finds no answer within its time counts as a failure.
package linearizability
