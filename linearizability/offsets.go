package linearizability

import (
	"fmt"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// The committed offset of a group for a partition is a register: a look at it gives what was committed last. Each commit
// writes something unique, so that who sees it knows which one it was. To forget it is to write that there is none.

// offsetModel is the committed offset of one partition in one group; 0 stands for none.
var offsetModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(s, in, _ any) (bool, any) {
		op := in.(*Operation)
		if op.Kind == Commit || op.Kind == Forget {
			return true, op.value()
		}
		return s.(uint64) == op.value(), s
	},
	Equal: func(a, b any) bool { return a == b },
	Hash:  func(s any) uint64 { return s.(uint64) },
}

// value is what a Commit writes and a Committed saw.
func (op *Operation) value() uint64 {
	if len(op.Records) == 0 {
		return 0
	}
	return op.Records[0]
}

// verifyOffsets checks the history of one committed offset.
func (l *log) verifyOffsets(list []*Operation, limit int) {
	commits := make(map[uint64]*Operation)
	for _, op := range list {
		if err := op.check(); err != nil {
			l.report(Malformed, "%v", err)
			return
		}
		if op.Kind == Commit {
			if commits[op.value()] != nil {
				l.report(Malformed, "%s writes what %s has written", op, commits[op.value()])
				return
			}
			commits[op.value()] = op
		}
	}
	seen := make(map[uint64]int64) // when a look at a value ended first
	var none int64                 // when a look at none ended last
	for _, op := range list {
		if op.Kind != Committed {
			continue
		}
		if op.value() == 0 {
			none = max(none, op.Return)
			continue
		}
		v := op.value()
		switch by := commits[v]; {
		case by == nil:
			l.report(NeverSent, "%s has what nobody committed", op)
		case by.Refused:
			l.report(AbortedRead, "%s has what %s was refused", op, by)
		case op.Return < by.Call:
			l.report(NeverSent, "%s was committed later, by %s", op, by)
		}
		if at, ok := seen[v]; !ok || op.Return < at {
			seen[v] = op.Return
		}
	}
	l.checkStale(list)
	if len(l.violations) > 0 {
		return
	}
	var known []porcupine.Operation
	for _, op := range list {
		out := op.Return
		switch {
		case op.Kind == Forget && (op.Refused || op.Unknown && op.Call > none):
			continue
		case op.Kind == Forget && op.Unknown:
			out = math.MaxInt64 // nobody can say that he saw it
		case op.Kind == Commit && (op.Refused || op.Unknown):
			at, ok := seen[op.value()]
			if !ok || op.Refused {
				continue // nobody saw it, so that nothing depends on whether it was
			}
			out = at
		}
		known = append(known, porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: out})
	}
	slices.SortStableFunc(known, func(a, b porcupine.Operation) int { return int(min(1, max(-1, a.Call-b.Call))) })
	later := known[min(len(known), limit):]
	known = known[:len(known)-len(later)] // later ones bind nothing that was before them
	switch porcupine.CheckOperationsTimeout(offsetModel, untilLast(known, later), patience) {
	case porcupine.Unknown:
		l.report(NoAnswer, "%d operations", len(known))
	case porcupine.Illegal:
		l.report(NotLinearizable, "%d commits and looks", len(known))
	}
}

// untilLast leaves out looks that may have seen a commit that was cut off, or that it was forgotten then.
func untilLast(known, later []porcupine.Operation) []porcupine.Operation {
	there := map[uint64]bool{0: true}
	for _, x := range known {
		if op := x.Input.(*Operation); op.Kind == Commit {
			there[op.value()] = true
		}
	}
	forgotten := int64(math.MaxInt64)
	for _, x := range later {
		if op := x.Input.(*Operation); op.Kind == Forget {
			forgotten = min(forgotten, op.Call)
		}
	}
	return slices.DeleteFunc(known, func(x porcupine.Operation) bool {
		op := x.Input.(*Operation)
		return !there[op.value()] || op.Kind == Committed && op.value() == 0 && op.Return >= forgotten
	})
}

// checkStale finds looks that saw what was overwritten before they began: by a commit, or its being forgotten, that began
// after the commit that they saw had been answered.
func (l *log) checkStale(list []*Operation) {
	commits := make(map[uint64]*Operation)
	var forgets []*Operation
	for _, op := range list {
		switch {
		case op.Refused:
		case op.Kind == Commit:
			commits[op.value()] = op
		case op.Kind == Forget:
			forgets = append(forgets, op)
		}
	}
	for _, look := range list {
		if look.Kind != Committed {
			continue
		}
		by := commits[look.value()]
		for _, op := range list {
			if op.Kind != Commit && op.Kind != Forget || op.Refused || ends(op) >= look.Call || op == by {
				continue
			}
			if stale(look, by, op, forgets) {
				l.report(StaleCommit, "%s, after %s", look, op)
				return
			}
		}
	}
}

// ends is when an operation has had its effect.
func ends(op *Operation) int64 {
	if op.Unknown {
		return math.MaxInt64
	}
	return op.Return
}

// stale says that a look, at what by committed if that is not nil, must have seen what op did, or something later.
func stale(look, by, op *Operation, forgets []*Operation) bool {
	if look.value() != 0 {
		return by != nil && ends(by) < op.Call
	}
	return op.Kind == Commit && !slices.ContainsFunc(forgets, func(f *Operation) bool { return ends(f) >= op.Call && f.Call <= look.Return })
}

// describeOffset is the operation in a line.
func (op *Operation) describeOffset(when string) string {
	switch op.Kind {
	case Forget:
		return fmt.Sprintf("client %d's deletion of the committed offset %s", op.Client, when)
	case Commit:
		return fmt.Sprintf("client %d's commit of %d (%016x) %s", op.Client, op.Offset, op.value(), when)
	}
	return fmt.Sprintf("client %d's look at the committed offset (%d, %016x) %s", op.Client, op.Offset, op.value(), when)
}
