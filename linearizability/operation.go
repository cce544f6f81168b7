package linearizability

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Kind says what an operation does.
type Kind string

// The kinds.
const (
	// Produce appends Records; the answer is the Offset of the first.
	Produce Kind = "produce"
	// End asks for the end of the log; the answer is Offset. A fetch that reports the high watermark is one, too.
	End Kind = "end"
)

// Operation is one operation of one client on one log. Times are of one clock, in any unit; operations whose intervals
// touch are concurrent.
type Operation struct {
	Log     string   `json:"log"`
	Client  int      `json:"client"`
	Kind    Kind     `json:"kind"`
	Call    int64    `json:"call"`
	Return  int64    `json:"return"`
	Offset  int64    `json:"offset"`
	Records []uint64 `json:"records,omitempty"` // hashes that identify the records
	// Unknown says that it may have had its effect at any time after Call, or never.
	Unknown bool `json:"unknown,omitempty"`
}

// Resolve settles unknown operations by the final log: find returns the offset of a record, if it is there. Those that
// never had an effect are left out; the others end when the first operation ends that proves them.
func Resolve(history []Operation, find func(log string, record uint64) (int64, bool)) []Operation {
	type proof struct{ end, at int64 }
	proofs := make(map[string][]proof) // at the time at, the log was known to reach to end
	for _, op := range history {
		if op.Unknown {
			continue
		}
		proofs[op.Log] = append(proofs[op.Log], proof{op.Offset + int64(len(op.Records)), op.Return})
	}
	for _, list := range proofs {
		// Sorted by end, each with the earliest time at which that end or a later one was known.
		slices.SortFunc(list, func(a, b proof) int { return cmp.Compare(a.end, b.end) })
		for i := len(list) - 2; i >= 0; i-- {
			list[i].at = min(list[i].at, list[i+1].at)
		}
	}
	var known []Operation
	for _, op := range history {
		if !op.Unknown {
			known = append(known, op)
			continue
		}
		if op.Kind != Produce || len(op.Records) == 0 {
			continue
		}
		offset, there := find(op.Log, op.Records[0])
		if !there {
			continue
		}
		op.Unknown, op.Offset, op.Return = false, offset, math.MaxInt64
		list := proofs[op.Log]
		i, _ := slices.BinarySearchFunc(list, offset+1, func(p proof, end int64) int { return cmp.Compare(p.end, end) })
		if i < len(list) {
			op.Return = max(op.Call, list[i].at)
		}
		known = append(known, op)
	}
	return known
}

// Limit keeps of each log the operations up to a point in time at which there are at most n.
func Limit(history []Operation, n int) []Operation {
	slices.SortStableFunc(history, func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
	counts := make(map[string]int)
	var kept []Operation
	for _, op := range history {
		if counts[op.Log]++; counts[op.Log] <= n {
			kept = append(kept, op)
		}
	}
	// What was cut off may have been applied before what is kept only if it was called before it returned: such a
	// produce leaves a gap, so those that come after the first missing offset are cut as well.
	return withoutGaps(kept)
}

// withoutGaps drops from each log everything at or above the first offset that no kept produce covers.
func withoutGaps(history []Operation) []Operation {
	produces := make(map[string][]Operation)
	for _, op := range history {
		if op.Kind == Produce {
			produces[op.Log] = append(produces[op.Log], op)
		}
	}
	ends := make(map[string]int64)
	for log, list := range produces {
		slices.SortFunc(list, func(a, b Operation) int { return cmp.Compare(a.Offset, b.Offset) })
		var end int64
		for _, op := range list {
			if op.Offset > end {
				break
			}
			end = max(end, op.Offset+int64(len(op.Records)))
		}
		ends[log] = end
	}
	return slices.DeleteFunc(history, func(op Operation) bool { return op.Offset+int64(len(op.Records)) > ends[op.Log] })
}

// Write writes a history as JSON lines.
func Write(w io.Writer, history []Operation) error {
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	for _, op := range history {
		if err := e.Encode(op); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// Read reads what Write wrote.
func Read(r io.Reader) ([]Operation, error) {
	var history []Operation
	for d := json.NewDecoder(r); ; {
		var op Operation
		if err := d.Decode(&op); err == io.EOF {
			return history, nil
		} else if err != nil {
			return history, fmt.Errorf("read history: %w", err)
		}
		history = append(history, op)
	}
}
