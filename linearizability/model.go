package linearizability

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience is how long one check may take.
const patience = 10 * time.Second

// ErrUnknown says that no answer was found in time. It counts as a failure.
var ErrUnknown = errors.New("no answer in time")

// state is a partition's log: where it ends, and a hash over everything in it.
type state struct {
	end   int64
	chain uint64
}

// chain is the hash of a log with one more record.
func chain(sum, record uint64) uint64 {
	sum = (sum ^ record) * 0x9fb21c651e98df25
	return sum ^ sum>>32
}

// model is one partition. Its state is comparable, so that equality is cheap.
var model = porcupine.Model{
	Init:  func() any { return state{} },
	Step:  func(s, op, _ any) (bool, any) { return step(s.(state), op.(*Operation)) },
	Equal: func(a, b any) bool { return a == b },
	Hash: func(s any) uint64 {
		x := s.(state)
		return x.chain ^ uint64(x.end)*0x9e3779b97f4a7c15
	},
}

func step(s state, op *Operation) (bool, state) {
	if op.Kind == End {
		return op.Offset == s.end, s
	}
	if op.Offset != s.end {
		return false, s
	}
	for _, r := range op.Records {
		s.chain = chain(s.chain, r)
	}
	s.end += int64(len(op.Records))
	return true, s
}

// Check says whether the history of every log is linearizable. Operations must be resolved.
func Check(history []Operation) error {
	logs := make(map[string][]porcupine.Operation)
	for i := range history {
		op := &history[i]
		if op.Kind != Produce && op.Kind != End || op.Refused {
			continue
		}
		if op.Unknown {
			return fmt.Errorf("operation of client %d on %s has no outcome: resolve the history first", op.Client, op.Log)
		}
		logs[op.Log] = append(logs[op.Log], porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return})
	}
	for _, log := range slices.Sorted(maps.Keys(logs)) {
		switch porcupine.CheckOperationsTimeout(model, logs[log], patience) {
		case porcupine.Unknown:
			return fmt.Errorf("log %s, %d operations: %w", log, len(logs[log]), ErrUnknown)
		case porcupine.Illegal:
			return fmt.Errorf("log %s is not linearizable: %s", log, suspect(history, log))
		}
	}
	return nil
}

// suspect finds what is wrong where it can be told in a sentence. What it says is a hint: a history that is not
// linearizable has no short witness in general.
func suspect(history []Operation, log string) string {
	var list []*Operation
	for i := range history {
		if history[i].Log == log {
			list = append(list, &history[i])
		}
	}
	slices.SortFunc(list, func(a, b *Operation) int { return cmp.Compare(a.Return, b.Return) })
	var last *Operation // of those that have returned, the one that proves the longest log
	for _, op := range list {
		for _, earlier := range list {
			if earlier.Return >= op.Call {
				break
			}
			if last == nil || earlier.proves() > last.proves() {
				last = earlier
			}
		}
		if last != nil && last.Return < op.Call && op.Offset < last.proves() {
			return fmt.Sprintf("%s began after %s", op, last)
		}
	}
	return fmt.Sprintf("%d operations", len(list))
}
