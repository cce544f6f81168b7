package linearizability

import (
	"fmt"
	"slices"
	"testing"
)

// topicOp is an operation on a topic; id 0 says nothing.
func topicOp(kind Kind, call, ret int64, id uint64) Operation {
	op := Operation{Log: "topic/t", Client: int(call % 3), Kind: kind, Call: call, Return: ret}
	if id != 0 {
		op.Records = []uint64{id}
	}
	return op
}

func refusedOp(op Operation) Operation { op.Refused = true; return op }
func unknownOp(op Operation) Operation { op.Unknown = true; return op }

func TestTopics(t *testing.T) {
	for _, c := range []struct {
		name    string
		history []Operation
		want    string
	}{
		{"its life", []Operation{topicOp(Describe, 1, 2, 0), topicOp(Create, 3, 5, 7), topicOp(Describe, 6, 7, 7), refusedOp(topicOp(Create, 8, 9, 0)),
			topicOp(Delete, 10, 12, 0), refusedOp(topicOp(Delete, 13, 14, 0)), topicOp(Create, 15, 16, 8), topicOp(Describe, 17, 18, 8)}, ""},
		{"at the same time", []Operation{topicOp(Create, 1, 10, 7), topicOp(Describe, 2, 3, 0), topicOp(Describe, 4, 5, 7)}, ""},
		{"made without an answer, seen", []Operation{unknownOp(topicOp(Create, 1, 2, 0)), topicOp(Describe, 3, 4, 0), topicOp(Describe, 9, 10, 7),
			topicOp(Describe, 11, 12, 7)}, ""},
		{"made without an answer, never seen", []Operation{unknownOp(topicOp(Create, 1, 2, 0)), topicOp(Create, 3, 4, 7), topicOp(Describe, 9, 10, 7)}, ""},
		{"deleted without an answer", []Operation{topicOp(Create, 1, 2, 7), unknownOp(topicOp(Delete, 3, 4, 0)), topicOp(Describe, 5, 6, 7),
			topicOp(Describe, 7, 8, 0)}, ""},
		{"two of a name", []Operation{topicOp(Create, 1, 2, 7), topicOp(Create, 3, 4, 8)}, NotLinearizable},
		{"back after its deletion", []Operation{topicOp(Create, 1, 2, 7), topicOp(Delete, 3, 4, 0), topicOp(Describe, 5, 6, 7)}, NotLinearizable},
		{"gone", []Operation{topicOp(Create, 1, 2, 7), topicOp(Describe, 3, 4, 0)}, NotLinearizable},
		{"another one", []Operation{topicOp(Create, 1, 2, 7), topicOp(Describe, 3, 4, 9)}, NeverSent},
		{"the id of the one before", []Operation{topicOp(Create, 1, 2, 7), topicOp(Delete, 3, 4, 0), topicOp(Create, 5, 6, 7)}, Duplicate},
		{"refused, and there is none", []Operation{refusedOp(topicOp(Create, 1, 2, 0))}, NotLinearizable},
		{"nameless, then two ids", []Operation{unknownOp(topicOp(Create, 1, 2, 0)), topicOp(Describe, 3, 4, 7), topicOp(Describe, 5, 6, 8)}, NotLinearizable},
	} {
		got := Verify(c.history, Options{})
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.ContainsFunc(got, func(v Violation) bool { return v.Kind == c.want }) {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
}

// TestManyTopicOperations: a long history with unknown outcomes is decided.
func TestManyTopicOperations(t *testing.T) {
	var history []Operation
	at := int64(0)
	for i := range uint64(200) {
		history = append(history, topicOp(Create, at, at+5, i+1), topicOp(Describe, at+6, at+7, i+1), topicOp(Delete, at+8, at+9, 0), topicOp(Describe, at+10, at+11, 0))
		if i%40 == 0 {
			history = append(history, unknownOp(topicOp(Delete, at+1, at+2, 0)))
		}
		at += 20
	}
	if v := Verify(history, Options{}); len(v) > 0 {
		t.Error(v)
	}
}

// TestJepsenRows plants what only these kinds name; the others are in TestVerifyFinds.
func TestJepsenRows(t *testing.T) {
	produce := func(client int, call int64, offset int64, records ...uint64) Operation {
		return Operation{Log: "t-0", Client: client, Kind: Produce, Call: call, Return: call + 1, Offset: offset, Records: records}
	}
	fetch := func(call int64, offsets []int64, records ...uint64) Operation {
		return Operation{Log: "t-0", Client: 9, Kind: Fetch, Call: call, Return: call + 1, Offset: offsets[0], Offsets: offsets, Records: records}
	}
	final := func(records ...uint64) Operation {
		return Operation{Log: "t-0", Client: 10, Kind: Final, Call: 100, Return: 101, Records: records}
	}
	sent := []Operation{produce(1, 1, 0, 11), produce(1, 3, 1, 12), produce(1, 5, 2, 13)}
	open := produce(2, 1, 0, 21, 22)
	open.Unknown = true
	for _, c := range []struct {
		want    string
		polled  bool
		history []Operation
	}{
		{IntPollSkip, false, append(slices.Clone(sent), fetch(7, []int64{0, 2}, 11, 13), final(11, 12, 13))},
		{LostWrite, true, append(slices.Clone(sent), fetch(7, []int64{0}, 11), fetch(9, []int64{2}, 13))},
		{IntNonmonotonicPoll, false, append(slices.Clone(sent), fetch(7, []int64{0, 2, 1}, 11, 13, 12), final(11, 12, 13))},
		{Unseen, true, append(slices.Clone(sent), fetch(7, []int64{0, 1}, 11, 12), final(11, 12, 13))},
		{IntNonmonotonicSend, false, []Operation{open, final(22, 21)}},
		{"", false, append(slices.Clone(sent), fetch(7, []int64{0, 1}, 11, 12), final(11, 12, 13))},
		{"", true, append(slices.Clone(sent), fetch(7, []int64{0, 1, 2}, 11, 12, 13), final(11, 12, 13))},
	} {
		got := Verify(c.history, Options{Polled: c.polled})
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.ContainsFunc(got, func(v Violation) bool { return v.Kind == c.want }) {
			t.Errorf("want %q: %v", c.want, got)
		}
	}
}

func ExampleVerify() {
	history := []Operation{
		{Log: "orders-0", Client: 1, Kind: Produce, Call: 0, Return: 5, Offset: 0, Records: []uint64{Hash(nil, []byte("a"))}},
		{Log: "orders-0", Client: 1, Kind: Produce, Call: 6, Return: 9, Offset: 1, Records: []uint64{Hash(nil, []byte("b"))}},
		// The broker was killed, and what it had acknowledged last is gone.
		{Log: "orders-0", Client: 2, Kind: Final, Call: 20, Return: 21, Records: []uint64{Hash(nil, []byte("a"))}},
	}
	for _, v := range Verify(history, Options{}) {
		fmt.Println(v.Kind)
	}
	// Output: lost-write
}
