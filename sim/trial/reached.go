package trial

import "strings"

// Kinds lists every kind of fault that a number of seeds must have seen to be worth anything, by the name under which it is
// counted.
func Kinds() []string {
	return []string{
		"crash/power", "crash/kill", "crash loop", "pause", "node lost for good", "restart in order", "start with other options",
		"point/yield", "point/send", "point/write", "point/sync", "point/synced", "point/name", "point/removed",
		"lost/write", "lost/torn", "lost/name", "lost/orphan", "sync failed", "durable write failed", "write failed",
		"no space", "disk nearly full", "slow/disk.write", "slow/disk.sync", "stuck disk", "bit rot", "rot on read", "bad sector",
		"bad sector read", "misdirected write", "misdirected write to the log", "acknowledged write gone after a power cut", "priority change", "disk replaced", "disk restored",
		"refused", "reset", "reset of a pair", "half-open", "cut", "clog", "clog one way", "slow link", "slow chunk", "reader stands still",
		"repeated after a lost answer", "wall clock forward", "wall clock back", "drift", "leader transfer", "topic created",
		"topic deleted", "partition added",
	}
}

// reached is what the nodes logged, and what the oracle and the disks know besides.
func (t *trial) reached() map[string]int {
	r := make(map[string]int)
	for message, n := range t.world.Reached() {
		if id, rest, ok := strings.Cut(message, " "); ok && strings.Trim(id, "0123456789abcdef") == "" && (id != "a" || strings.HasPrefix(rest, "stepped")) {
			message = "replica " + rest // raft says which
		}
		r[message] += n
	}
	r["(records) acknowledged"], r["(records) read"] = t.oracle.acked, t.oracle.reads
	r["(segments) rolled"], r["(checkpoints) taken"] = t.rolls(), t.checkpoints()
	r["(acknowledgements) compared with what a power cut would leave"] = t.looked
	if t.tables > 0 {
		r["(tables) made of compacted topics"] = t.tables
	}
	t.groupsReached(r)
	epochs := make(map[partitionKey]int)
	for k := range t.oracle.leaders {
		epochs[partitionKey{k.topic, k.partition}]++
	}
	for _, n := range epochs {
		r["(leadership) moved to another epoch"] += n - 1
	}
	for _, l := range t.partitions() {
		if l.start > 0 {
			r["(log start) moved"]++
		}
	}
	return r
}
