package story

import "regexp"

// Meaning is what a failure says, beyond its words.
type Meaning struct {
	// Check is the invariant that does not hold any more, by the numbers of docs/simulation.md; Class joins the failures
	// that are one to somebody who looks for a cause.
	Check, Class string
	// Rule is what should have held, Means what it means to a user that it did not.
	Rule, Means string
}

// The classes.
const (
	classLoss     = "records"
	classEnds     = "ends"
	classProgress = "progress"
	classRefusal  = "refusal"
	classMetadata = "metadata"
	classReplicas = "replicas"
	classGroup    = "group"
	classProcess  = "process"
	classOther    = "other"
)

var meanings = []struct {
	pattern *regexp.Regexp
	Meaning
}{
	{regexp.MustCompile(`no progress: `), Meaning{"D17", classProgress,
		"whatever breaks, something is acknowledged within two minutes", "the cluster has come to a standstill that does not end by itself"}},
	{regexp.MustCompile(`liveness: group`), Meaning{"D17", classGroup,
		"a minute after nothing breaks any more, the members of a group are in, own every partition, and have read and committed all",
		"a group of consumers stands still until somebody restarts it"}},
	{regexp.MustCompile(`has two owners|of member .* goes back`), Meaning{"D14", classGroup,
		"a partition has one owner in a group, until it gives the partition back or must count with being fenced",
		"two consumers of a group read the same records, and undo each other's commits"}},
	{regexp.MustCompile(`was acknowledged, and .* had it|was acknowledged in generation|was taken, (after )?\d+ was told`), Meaning{"D13", classGroup,
		"who is no longer a member, or has lost a partition, commits nothing for it", "the group goes back or skips records, because a consumer that was replaced still decides"}},
	{regexp.MustCompile(`liveness: `), Meaning{"D17", classProgress,
		"a minute after nothing breaks any more, every partition takes records and every replica is in sync",
		"the cluster does not become whole again by itself"}},
	{regexp.MustCompile(`^deadlock`), Meaning{"D17", classProgress, "some task can always go on", "the process hangs"}},
	{regexp.MustCompile(`did not end in its`), Meaning{"D17", classProgress, "a run comes to its end", "tasks run for ever and get nowhere"}},
	{regexp.MustCompile(`panicked`), Meaning{"process", classProcess, "no task panics", "the process ends where it should have gone on"}},
	{regexp.MustCompile(`, start \d+: |does not stop|has not come up|the process ended`), Meaning{"process", classProcess,
		"a process ends only when its disk failed, or when it is told to", "a node ends by itself, or cannot start from what it wrote"}},
	{regexp.MustCompile(`left behind after an orderly stop`), Meaning{"D16", classProcess,
		"an orderly stop leaves no task, file, connection or buffer", "something leaks"}},
	{regexp.MustCompile(`takes part under its old name`), Meaning{"D19", classProcess,
		"a node that lost its disk, or got an old copy of it, refuses to take part under its old name",
		"it may vote and acknowledge without what it once promised: acknowledged records can be lost"}},
	{regexp.MustCompile(`no answer for|was not asked for|answer to |gave \d+/\d+`), Meaning{"D18", classOther,
		"answers have the form that the protocol demands", "clients misunderstand the broker"}},
	{regexp.MustCompile(`if all nodes lost their power now`), Meaning{"D2", classLoss,
		"what is acknowledged with acks=all would be left on a majority of its replicas if all nodes lost their power at that instant",
		"acknowledged records are lost when the power goes"}},
	{regexp.MustCompile(`an acknowledged batch .* is not there|: lost(?:-write)?: |is gone, the log ends at|was not read`), Meaning{"D1, D2", classLoss,
		"what was acknowledged, or read, is there for ever", "acknowledged records are lost"}},
	{regexp.MustCompile(`holds record .*, and now|: inconsistent-offsets?: `), Meaning{"D1", classLoss,
		"an offset that was acknowledged or read holds the same record for ever",
		"an acknowledged record was lost and another one took its offset; readers have seen two different logs"}},
	{regexp.MustCompile(`is at offset \d+ and at \d+|sent again, at|: duplicate: `), Meaning{"D1, D10", classLoss,
		"a record has one offset", "a record is there twice although its producer is idempotent"}},
	{regexp.MustCompile(`holds what nobody sent|holds \d+ records|where \d+ was expected|: never-sent: |hold \d+ records`), Meaning{"D4", classLoss,
		"a read gives the records that were sent, one after the other", "a reader gets garbage, a gap, or records twice"}},
	{regexp.MustCompile(`which was refused|was refused .* and is at|: refused-read: |: aborted-read: `), Meaning{"D11", classLoss,
		"what was refused for certain never shows up", "a producer that sends it again makes a duplicate"}},
	{regexp.MustCompile(`record \S+ follows |: reordered: |: nonmonotonic-send: |not in one piece|of a batch of \d+ are there|has no outcome`), Meaning{"D11", classLoss,
		"records of a producer stay in their order, and batches whole", "order within a partition is broken, or a batch is torn"}},
	{regexp.MustCompile(`had leader epoch|has leader epoch|: epoch-back: |where epochs ended|ended at \d+`), Meaning{"D1, D6", classLoss,
		"records keep their leader epoch, and epochs never fall along the log",
		"followers and clients that find their place by epochs truncate what is good, or keep what is bad"}},
	{regexp.MustCompile(`both nodes \d+ and \d+ lead|names leader epoch`), Meaning{"D6", classMetadata,
		"an epoch has one leader, and no broker goes back to an older epoch", "two nodes take records for the same offsets, or clients are sent back to a deposed leader"}},
	{regexp.MustCompile(`had time|has time`), Meaning{"D1", classLoss, "a record keeps its time", "reads by time and retention go wrong"}},
	{regexp.MustCompile(`was seen before|and ends at|may have moved it beyond|it showed|above the high watermark|: stale-end: |: stale-offset: |: not-linearizable: |a new topic ends|below \d+ deleted`),
		Meaning{"D5", classEnds, "the end and the start of a log never go back, and what is shown is committed",
			"readers see records that are not certain, or certain ones vanish from sight"}},
	{regexp.MustCompile(`is out of range`), Meaning{"D5", classEnds,
		"OFFSET_OUT_OF_RANGE is answered only where the log certainly does not reach", "a consumer resets its position, and reads everything again or skips records"}},
	{regexp.MustCompile(`: (nonmonotonic-poll|poll-skip|int-[a-z-]+|unseen): `), Meaning{"D11, D14", classLoss,
		"a consumer reads every record once, in order", "a consumer skipped records or went back"}},
	{regexp.MustCompile(`Produce to .*sequence`), Meaning{"D10", classRefusal,
		"the sequence of an idempotent producer is refused only after a gap", "a producer that did nothing wrong is stopped for good"}},
	{regexp.MustCompile(`committed offset|fetch offset|commit offset|: stale-commit: |group`), Meaning{"D13", classGroup,
		"a committed offset is the last one that was acknowledged, or a later one", "a group reads records again, or skips some"}},
	{regexp.MustCompile(`: on n\d+: |on n\d+ and|: divergent: `), Meaning{"D3, D7, D9", classReplicas,
		"replicas hold the same bytes at the same offsets", "the next change of leader shows another log"}},
	{regexp.MustCompile(`although a majority of the copies is lost`), Meaning{"beyond repair", classLoss,
		"what cannot be repaired is refused", "a cluster that has lost what was acknowledged goes on as if nothing were missing"}},
	{regexp.MustCompile(`comes where \d+ is the least|of key .*, behind `), Meaning{"D15", classLoss,
		"compaction keeps offsets and the order of each key's records", "a reader of a compacted topic sees an older value after a newer one"}},
	{regexp.MustCompile(`of key .*, whose record `), Meaning{"D15", classLoss,
		"compaction keeps the last record of each key", "whoever makes a table of the topic has a wrong value"}},
	{regexp.MustCompile(`its tombstone is gone too early`), Meaning{"D15", classLoss,
		"a replica lets go of a tombstone only when no other one has what it stands for", "a key that was deleted comes back when one replica is filled from another"}},
	{regexp.MustCompile(`nothing may have moved it`), Meaning{"D15", classEnds,
		"the log start moves only where retention or DeleteRecords may have moved it", "records are gone that nobody deleted"}},
	{regexp.MustCompile(`a batch of codec .* was refused`), Meaning{"D18", classRefusal,
		"a broker takes what its clients may send", "a client is refused without a reason"}},
	{regexp.MustCompile(`topic|partitions|metadata`), Meaning{"D15", classMetadata,
		"topics that were made are there, and deleted ones stay away", "metadata that was acknowledged is lost, or comes back"}},
	{regexp.MustCompile(`cannot be read to (?:their|its) end|[Ff]etch|list offsets|ListOffsets`), Meaning{"D18", classRefusal,
		"a broker answers what no fault forbids", "a client is refused without a reason, or gets what it cannot read"}},
}

// Explain says what a failure means.
func Explain(failure string) Meaning {
	line := firstLine(failure)
	for _, m := range meanings {
		if m.pattern.MatchString(line) {
			return m.Meaning
		}
	}
	return Meaning{"", classOther, "", ""}
}
