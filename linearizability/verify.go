package linearizability

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Options of Verify.
type Options struct {
	// Compacted says that records may be gone although their offsets are within the log.
	Compacted bool
	// Operations bounds what is checked for linearizability of each log; 0 means 5,000.
	Operations int
	// Polled says that consumers have polled every log to its end, when everything was well again: what none of them has
	// seen is unseen.
	Polled bool
}

// The kinds of Violation. The names are Jepsen's where it has one.
const (
	InconsistentOffsets = "inconsistent-offsets"  // one offset holds two records
	Duplicate           = "duplicate"             // one record at two offsets
	LostWrite           = "lost-write"            // what was acknowledged or read is not there any more
	Unseen              = "unseen"                // what was acknowledged is there, and nobody has polled it
	AbortedRead         = "aborted-read"          // a produce failed for certain and its record was read (G1a)
	NeverSent           = "never-sent"            // a record that nobody produced
	NonmonotonicSend    = "nonmonotonic-send"     // produces of one client in another order
	IntNonmonotonicSend = "int-nonmonotonic-send" // the records of one produce in another order
	NonmonotonicPoll    = "nonmonotonic-poll"     // a consumer went back
	IntNonmonotonicPoll = "int-nonmonotonic-poll" // one poll goes back
	PollSkip            = "poll-skip"             // a consumer jumped over records between two polls
	IntPollSkip         = "int-poll-skip"         // one poll jumps over records
	StaleEnd            = "stale-end"             // an end below what was known before it was asked for
	StaleOffset         = "stale-offset"          // an append below what was known before it began
	StaleCommit         = "stale-commit"          // a committed offset that was overwritten before it was asked for
	EpochBack           = "epoch-back"            // leader epochs fall along the log, or change
	Divergent           = "divergent"             // two replicas end in different places
	NotLinearizable     = "not-linearizable"
	NoAnswer            = "no-answer" // linearizability was not decided in time, which counts as a failure
	Malformed           = "malformed" // the history contradicts itself
)

// Violation is something that a log must never do.
type Violation struct {
	Kind string `json:"kind"`
	Log  string `json:"log"`
	What string `json:"what"`
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Log, v.Kind, v.What) }

// mostOfAKind bounds the violations of one kind that are reported for one log.
const mostOfAKind = 10

// Verify checks a whole history: each log directly, then for linearizability, with unknown outcomes settled by the Final
// operations. Logs without a Final, and logs of which the direct checks found something lost, are not searched: the
// outcomes of their operations are not known.
func Verify(history []Operation, o Options) []Violation {
	if o.Operations == 0 {
		o.Operations = 5000
	}
	logs := make(map[string][]*Operation)
	for i := range history {
		logs[history[i].Log] = append(logs[history[i].Log], &history[i])
	}
	var all []Violation
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		l := newLog(name, o)
		switch logs[name][0].Kind {
		case Commit, Committed, Forget:
			l.verifyOffsets(logs[name], o.Operations)
			all = append(all, l.violations...)
			continue
		case Create, Delete, Describe:
			l.verifyTopic(logs[name], o.Operations)
			all = append(all, l.violations...)
			continue
		}
		l.direct(logs[name])
		all = append(all, l.violations...)
		if final := l.final; final != nil && len(l.violations) == 0 {
			all = append(all, linear(name, logs[name], l.where, o.Operations)...)
		}
	}
	return all
}

// linear checks one log for linearizability.
func linear(name string, list []*Operation, where map[uint64]int64, limit int) []Violation {
	history := make([]Operation, len(list))
	for i, op := range list {
		history[i] = *op
	}
	history = Limit(Resolve(history, func(_ string, record uint64) (int64, bool) {
		offset, ok := where[record]
		return offset, ok
	}), limit)
	err := Check(history)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnknown):
		return []Violation{{NoAnswer, name, err.Error()}}
	}
	return []Violation{{NotLinearizable, name, err.Error()}}
}

// log is what is known of one log.
type log struct {
	name       string
	options    Options
	holds      map[int64]uint64 // by offset
	where      map[uint64]int64 // by record
	epochs     map[int64]int32
	sent       map[uint64]*Operation
	final      *Operation
	counts     map[string]int
	violations []Violation
}

func newLog(name string, o Options) *log {
	return &log{name: name, options: o, holds: make(map[int64]uint64), where: make(map[uint64]int64), epochs: make(map[int64]int32),
		sent: make(map[uint64]*Operation), counts: make(map[string]int)}
}

func (l *log) report(kind, format string, args ...any) {
	if l.counts[kind]++; l.counts[kind] <= mostOfAKind {
		l.violations = append(l.violations, Violation{kind, l.name, fmt.Sprintf(format, args...)})
	}
}

// direct runs every check that needs no search.
func (l *log) direct(list []*Operation) {
	for _, op := range list {
		if err := op.check(); err != nil {
			l.report(Malformed, "%v", err)
			return
		}
	}
	l.gather(list)
	l.checkReads(list)
	l.checkAcks(list)
	l.checkSeen(list)
	l.checkOrder(list)
	l.checkSessions(list)
	l.checkTime(list)
	l.checkEpochs()
}

// gather notes what each offset holds.
func (l *log) gather(list []*Operation) {
	for _, op := range list {
		if op.Kind != Produce {
			continue
		}
		for i, r := range op.Records {
			if other := l.sent[r]; other != nil {
				l.report(Malformed, "record %016x was sent twice, by %s and by %s", r, other, op)
			}
			l.sent[r] = op
			if acked(op) && op.Offset >= 0 {
				l.place(op.Offset+int64(i), r, op)
			}
		}
	}
	for _, op := range list {
		if op.Kind != Fetch && op.Kind != Final {
			continue
		}
		if op.Kind == Final {
			if l.final != nil && l.final.proves() != op.proves() {
				l.report(Divergent, "%s ends at %d on %s and at %d on %s", l.name, l.final.proves(), l.final.Replica, op.proves(), op.Replica)
			}
			l.final = op
		}
		for i, r := range op.Records {
			l.place(op.at(i), r, op)
			if op.Epochs != nil {
				l.placeEpoch(op.at(i), op.Epochs[i], op)
			}
		}
	}
}

// acked says that a produce had its effect.
func acked(op *Operation) bool { return op.Kind == Produce && !op.Unknown && !op.Refused }

func (l *log) place(offset int64, r uint64, op *Operation) {
	if have, ok := l.holds[offset]; ok && have != r {
		l.report(InconsistentOffsets, "offset %d holds %016x, and %016x according to %s", offset, have, r, op)
	}
	if have, ok := l.where[r]; ok && have != offset {
		l.report(Duplicate, "record %016x is at %d, and at %d according to %s", r, have, offset, op)
	}
	l.holds[offset], l.where[r] = r, offset
}

func (l *log) placeEpoch(offset int64, epoch int32, op *Operation) {
	if have, ok := l.epochs[offset]; ok && have != epoch {
		l.report(EpochBack, "offset %d has leader epoch %d, and %d according to %s", offset, have, epoch, op)
	}
	l.epochs[offset] = epoch
}

// checkReads compares each read with what is known of the range that it covers.
func (l *log) checkReads(list []*Operation) {
	known := slices.Sorted(maps.Keys(l.holds))
	for _, op := range list {
		if op.Kind != Fetch && op.Kind != Final {
			continue
		}
		has := make(map[int64]bool, len(op.Records))
		last := op.Offset - 1
		for i, r := range op.Records {
			if at := op.at(i); at <= last || at >= op.proves() {
				l.report(IntNonmonotonicPoll, "%s has offset %d after %d", op, at, last)
			}
			last = op.at(i)
			has[last] = true
			switch sent := l.sent[r]; {
			case sent == nil:
				l.report(NeverSent, "%s has record %016x at %d", op, r, last)
			case sent.Refused:
				l.report(AbortedRead, "%s has record %016x at %d; %s was refused", op, r, last, sent)
			}
		}
		if l.options.Compacted {
			continue
		}
		from, _ := slices.BinarySearch(known, op.Offset)
		for _, offset := range known[from:] {
			if offset >= op.proves() {
				if op.Kind == Final {
					l.report(LostWrite, "%s ends before offset %d (record %016x)", op, offset, l.holds[offset])
				}
				break
			}
			switch {
			case has[offset]:
			case op.Kind == Fetch && l.survives(offset):
				l.report(IntPollSkip, "%s does not have offset %d (record %016x), which is there", op, offset, l.holds[offset])
			default:
				l.report(LostWrite, "%s does not have offset %d (record %016x)", op, offset, l.holds[offset])
			}
		}
	}
}

// survives says that an offset is in the final log.
func (l *log) survives(offset int64) bool {
	return l.final != nil && slices.Contains(l.final.Records, l.holds[offset])
}

// checkSeen finds what was acknowledged and no consumer has seen, when all should have been. Without a final log, what
// lies below something that was polled counts as lost.
func (l *log) checkSeen(list []*Operation) {
	if l.options.Compacted || !l.options.Polled {
		return
	}
	seen, from, to := make(map[uint64]bool), int64(math.MaxInt64), int64(-1)
	for _, op := range list {
		if op.Kind == Fetch {
			from, to = min(from, op.Offset), max(to, op.proves())
			for _, r := range op.Records {
				seen[r] = true
			}
		}
	}
	for _, op := range list {
		if !acked(op) || op.Offset < 0 {
			continue
		}
		for i, r := range op.Records {
			at := op.Offset + int64(i)
			switch {
			case seen[r] || at < from:
			case l.final == nil && at < to:
				l.report(LostWrite, "record %016x of %s was polled by nobody, and offset %d was", r, op, to-1)
			case l.final == nil || at >= l.final.Offset:
				l.report(Unseen, "record %016x of %s was polled by nobody", r, op)
			}
		}
	}
}

// checkAcks finds what was acknowledged without an offset and is not there.
func (l *log) checkAcks(list []*Operation) {
	if l.final == nil || l.final.Offset > 0 || l.options.Compacted {
		return
	}
	for _, op := range list {
		for _, r := range op.Records {
			if _, there := l.where[r]; acked(op) && !there {
				l.report(LostWrite, "record %016x of %s is not there", r, op)
			}
		}
	}
}

// checkOrder: what a client sent first comes first.
func (l *log) checkOrder(list []*Operation) {
	type last struct {
		offset int64
		op     *Operation
	}
	clients := make(map[int]last)
	for _, op := range list {
		if op.Kind != Produce || op.Loose {
			continue
		}
		for _, r := range op.Records {
			at, there := l.where[r]
			if !there {
				continue
			}
			before, ok := clients[op.Client]
			switch {
			case !ok || at > before.offset:
			case before.op == op:
				l.report(IntNonmonotonicSend, "%s has a record at %d behind one at %d", op, at, before.offset)
			default:
				l.report(NonmonotonicSend, "%s is at %d, what its client sent before (%s) at %d", op, at, before.op, before.offset)
			}
			clients[op.Client] = last{at, op}
		}
	}
}

// checkSessions: a consumer that did not seek goes on where it was.
func (l *log) checkSessions(list []*Operation) {
	known := slices.Sorted(maps.Keys(l.holds))
	last := make(map[int]*Operation)
	for _, op := range list {
		if op.Kind != Fetch {
			continue
		}
		before := last[op.Client]
		last[op.Client] = op
		if before == nil || op.Seek {
			continue
		}
		if op.Offset < before.proves() {
			l.report(NonmonotonicPoll, "%s follows %s", op, before)
		}
		if i, _ := slices.BinarySearch(known, before.proves()); !l.options.Compacted && i < len(known) && known[i] < op.Offset {
			l.report(PollSkip, "%s follows %s; offset %d is there", op, before, known[i])
		}
	}
}

// checkTime: what returned before something else began bounds it.
func (l *log) checkTime(list []*Operation) {
	ended := slices.DeleteFunc(slices.Clone(list), func(op *Operation) bool {
		return op.Unknown || op.Refused || op.Kind == Produce && op.Offset < 0
	})
	slices.SortStableFunc(ended, func(a, b *Operation) int { return cmp.Compare(a.Return, b.Return) })
	begun := slices.Clone(list)
	slices.SortStableFunc(begun, func(a, b *Operation) int { return cmp.Compare(a.Call, b.Call) })
	var longest *Operation
	for _, op := range begun {
		for len(ended) > 0 && ended[0].Return < op.Call {
			if longest == nil || ended[0].proves() > longest.proves() {
				longest = ended[0]
			}
			ended = ended[1:]
		}
		if longest == nil {
			continue
		}
		switch end := longest.proves(); op.Kind {
		case End:
			if !op.Unknown && op.Offset < end {
				l.report(StaleEnd, "%s began after %s", op, longest)
			}
		case Produce:
			for _, r := range op.Records {
				if at, there := l.where[r]; there && at < end {
					l.report(StaleOffset, "%s is at %d and began after %s", op, at, longest)
					break
				}
			}
		}
	}
}

// checkEpochs: leader epochs never fall along the log.
func (l *log) checkEpochs() {
	var epoch int32 = -1
	for _, offset := range slices.Sorted(maps.Keys(l.epochs)) {
		if e := l.epochs[offset]; e < epoch {
			l.report(EpochBack, "offset %d has leader epoch %d after %d", offset, e, epoch)
		} else {
			epoch = e
		}
	}
}
