package linearizability

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// A topic of a name is there, with an id of its own, or is not. Nobody knows the id of one that was made without an
// answer, until somebody sees it.

// unnamed is the state of a topic that is there and whose id nobody has said.
const unnamed = math.MaxUint64

// topicModel is one name; the state is the id of the topic, 0 for none.
var topicModel = porcupine.NondeterministicModel{
	Init:  func() []any { return []any{uint64(0)} },
	Step:  func(s, in, _ any) []any { return stepTopic(s.(uint64), in.(*Operation)) },
	Equal: func(a, b any) bool { return a == b },
}

// stepTopic lists what may be after an operation; nothing when it cannot have gone like this.
func stepTopic(s uint64, op *Operation) []any {
	id := op.value()
	if id == 0 && op.Kind == Create {
		id = unnamed
	}
	is := func(legal bool, next uint64) []any {
		if !legal {
			return nil
		}
		return []any{next}
	}
	switch {
	case op.Unknown && op.Kind == Create && s == 0:
		return []any{s, id}
	case op.Unknown && op.Kind == Delete && s != 0:
		return []any{s, uint64(0)}
	case op.Unknown:
		return []any{s}
	case op.Kind == Create && op.Refused:
		return is(s != 0, s)
	case op.Kind == Create:
		return is(s == 0, id)
	case op.Kind == Delete && op.Refused:
		return is(s == 0, s)
	case op.Kind == Delete:
		return is(s != 0, 0)
	case s == unnamed && id != 0:
		return is(true, id)
	}
	return is(s == id, s)
}

// verifyTopic checks the history of one topic's name.
func (l *log) verifyTopic(list []*Operation, limit int) {
	made := make(map[uint64]*Operation)
	nameless := int64(math.MaxInt64) // when the first create began whose id nobody was told
	for _, op := range list {
		if err := op.check(); err != nil {
			l.report(Malformed, "%v", err)
			return
		}
		switch id := op.value(); {
		case op.Kind != Create || op.Refused:
		case id == 0:
			nameless = min(nameless, op.Call)
		case made[id] != nil:
			l.report(Duplicate, "%s has the id that %s has", op, made[id])
		default:
			made[id] = op
		}
	}
	var known []porcupine.Operation
	for _, op := range list {
		if id := op.value(); op.Kind == Describe && id != 0 {
			if by := made[id]; (by == nil || op.Return < by.Call) && op.Return < nameless {
				l.report(NeverSent, "%s shows an id that nobody made by then", op)
			}
		}
		end := op.Return
		if op.Unknown {
			end = math.MaxInt64
		}
		known = append(known, porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: end})
	}
	if len(l.violations) > 0 {
		return
	}
	slices.SortStableFunc(known, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	known = known[:min(len(known), limit)]
	switch porcupine.CheckOperationsTimeout(topicModel.ToModel(), known, patience) {
	case porcupine.Unknown:
		l.report(NoAnswer, "%d operations", len(known))
	case porcupine.Illegal:
		l.report(NotLinearizable, "%d operations on the topic", len(known))
	}
}
