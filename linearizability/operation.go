package linearizability

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
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
	// End asks for the end of the log, as ListOffsets does; the answer is Offset.
	End Kind = "end"
	// Fetch is a poll of one consumer: it read Records from Offset up to To. What it says is old at once, so it proves
	// what it saw and nothing more.
	Fetch Kind = "fetch"
	// Final is the log as it was when everything had ended, from its start at Offset to its end at To.
	Final Kind = "final"
	// Commit commits Offset for a group and a partition, which Log names; Records holds one hash that says which commit it
	// was. Committed is a look at what is committed; without Records there was nothing. Forget deletes what is committed. A
	// log has either these operations or the others.
	Commit    Kind = "commit"
	Committed Kind = "committed"
	Forget    Kind = "forget"
	// Create, Delete and Describe are about the topic that Log names. Records holds one hash of the topic's id: of the one
	// that was made, or that is there; a Describe without Records says that there is no such topic. A Create that is
	// Refused found a topic of the name, a Delete that is Refused found none; other refusals are left out. Who is asked
	// must know: a broker whose metadata may be late is none to Describe.
	Create   Kind = "create"
	Delete   Kind = "delete"
	Describe Kind = "describe"
)

// Operation is one operation of one client on one log. Times are of one clock, in any unit; operations whose intervals
// touch are concurrent. A client is one producer, or one consumer; produces of a client to a log are listed in the
// order in which it sent them.
type Operation struct {
	Log    string `json:"log"` // "topic-partition", and whatever else tells two logs apart
	Client int    `json:"client"`
	Kind   Kind   `json:"kind"`
	Call   int64  `json:"call"`
	Return int64  `json:"return"`
	Offset int64  `json:"offset"`
	// To is the offset behind what a Fetch or Final covers; 0 means behind the last of Records.
	To int64 `json:"to,omitempty"`
	// Records identify the records; see Hash.
	Records []uint64 `json:"records,omitempty"`
	// Offsets are those of the Records of a Fetch or Final, when they do not follow each other from Offset on.
	Offsets []int64 `json:"offsets,omitempty"`
	// Epochs are the leader epochs of the Records of a Fetch or Final, when they are known.
	Epochs []int32 `json:"epochs,omitempty"`
	// Unknown says that it may have had its effect at any time after Call, or never.
	Unknown bool `json:"unknown,omitempty"`
	// Refused says that a Produce certainly had no effect and never will.
	Refused bool `json:"refused,omitempty"`
	// Loose says that a lost answer may have put a Produce behind later ones of its client, which idempotence forbids.
	Loose bool `json:"loose,omitempty"`
	// Seek says that the client of a Fetch chose Offset anew instead of going on where it was.
	Seek bool `json:"seek,omitempty"`
	// Replica is who served a Final, when each replica was read.
	Replica string `json:"replica,omitempty"`
}

// Hash identifies a record by its key and value, which must be unique together.
func Hash(key, value []byte) uint64 {
	h := fnv.New64a()
	h.Write(key)
	h.Write([]byte{0})
	h.Write(value)
	return h.Sum64()
}

// at is the offset of the i-th of the records.
func (op *Operation) at(i int) int64 {
	if op.Offsets != nil {
		return op.Offsets[i]
	}
	return op.Offset + int64(i)
}

// proves is the end that the log has at least when the operation returns.
func (op *Operation) proves() int64 {
	if op.To > 0 {
		return op.To
	}
	if n := len(op.Offsets); n > 0 {
		return op.Offsets[n-1] + 1
	}
	return op.Offset + int64(len(op.Records))
}

// String describes the operation in a line.
func (op *Operation) String() string {
	when := fmt.Sprintf("from %d to %d", op.Call, op.Return)
	switch op.Kind {
	case Commit, Committed, Forget:
		return op.describeOffset(when)
	case Create, Delete, Describe:
		return fmt.Sprintf("client %d's %s of the topic (%016x) %s", op.Client, op.Kind, op.value(), when)
	case End:
		return fmt.Sprintf("client %d's look at the end (%d) %s", op.Client, op.Offset, when)
	case Fetch, Final:
		return fmt.Sprintf("client %d's %s of %d to %d %s", op.Client, op.Kind, op.Offset, op.proves(), when)
	}
	return fmt.Sprintf("client %d's produce of %d records at %d %s", op.Client, len(op.Records), op.Offset, when)
}

// check refuses operations that contradict themselves, which only a faulty recorder writes.
func (op *Operation) check() error {
	switch {
	case op.Offsets != nil && len(op.Offsets) != len(op.Records):
		return fmt.Errorf("%s: %d offsets of %d records", op, len(op.Offsets), len(op.Records))
	case op.Epochs != nil && len(op.Epochs) != len(op.Records):
		return fmt.Errorf("%s: %d epochs of %d records", op, len(op.Epochs), len(op.Records))
	case op.Return < op.Call && !op.Unknown:
		return fmt.Errorf("%s: it ended before it began", op)
	}
	switch op.Kind {
	case Produce, End, Fetch, Final, Commit, Committed, Forget, Create, Delete, Describe:
		return nil
	}
	return fmt.Errorf("client %d, log %s: there is no kind of operation %q", op.Client, op.Log, op.Kind)
}

// Resolve settles unknown operations by the final log: find returns the offset of a record, if it is there. Those that
// never had an effect are left out; the others end when the first operation ends that proves them. What Check does not
// need, fetches and refused produces, is left out too.
func Resolve(history []Operation, find func(log string, record uint64) (int64, bool)) []Operation {
	type proof struct{ end, at int64 }
	proofs := make(map[string][]proof) // at the time at, the log was known to reach to end
	for _, op := range history {
		if op.Unknown || op.Refused {
			continue
		}
		proofs[op.Log] = append(proofs[op.Log], proof{op.proves(), op.Return})
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
			if op.Kind == Produce && !op.Refused || op.Kind == End {
				known = append(known, op)
			}
			continue
		}
		if op.Kind != Produce || len(op.Records) == 0 || op.Refused {
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
