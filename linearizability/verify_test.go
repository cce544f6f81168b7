package linearizability

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// wholeHistory is a right history with consumers, refused produces and a final read.
func wholeHistory(seed uint64) []Operation {
	history, final := simulate(seed, 400, 6, 0.03)
	r := rand.New(rand.NewPCG(seed, 2))
	records := make([]uint64, len(final))
	for h, offset := range final {
		records[offset] = h
	}
	end := int64(len(records))
	var now int64
	for _, op := range history {
		now = max(now, op.Return)
	}
	for client := 100; client < 103; client++ {
		at := int64(0)
		for call := now / 2; at < end; call += 5 {
			to := min(end, at+r.Int64N(20))
			// What is read in the middle of the run must have been there: only old offsets are.
			op := Operation{Log: "t-0", Client: client, Kind: Fetch, Call: now + call, Return: now + call + 3, Offset: at, To: to, Records: records[at:to:to]}
			for i := range op.Records {
				op.Epochs = append(op.Epochs, int32(op.at(i)/100))
			}
			history = append(history, op)
			at = to
		}
	}
	history = append(history, Operation{Log: "t-0", Client: 7, Kind: Produce, Call: 1, Return: 2, Offset: -1, Records: []uint64{1}, Refused: true})
	for _, replica := range []string{"n1", "n2"} {
		history = append(history, Operation{Log: "t-0", Client: 99, Kind: Final, Call: 3 * now, Return: 3*now + 1, To: end, Records: slices.Clone(records), Replica: replica})
	}
	return history
}

func TestVerifyAcceptsWhatIsRight(t *testing.T) {
	for seed := range uint64(10) {
		if v := Verify(wholeHistory(seed), Options{}); len(v) > 0 {
			t.Fatalf("seed %d: %v", seed, v)
		}
	}
}

// find is the n-th operation of a kind that has enough records.
func find(history []Operation, kind Kind, n, records int) *Operation {
	for i := range history {
		if op := &history[i]; op.Kind == kind && len(op.Records) >= records && !op.Unknown && !op.Refused {
			if n--; n < 0 {
				return op
			}
		}
	}
	panic("no such operation")
}

// TestVerifyFinds plants one fault of each kind.
func TestVerifyFinds(t *testing.T) {
	plants := map[string]func(h []Operation) []Operation{
		InconsistentOffsets: func(h []Operation) []Operation {
			op := find(h, Fetch, 5, 4)
			op.Records = slices.Clone(op.Records)
			op.Records[1], op.Records[2] = op.Records[2], op.Records[1]
			return h
		},
		Duplicate: func(h []Operation) []Operation {
			op := find(h, Final, 1, 1)
			op.Records = append(op.Records, op.Records[0])
			op.To++
			return h
		},
		LostWrite: func(h []Operation) []Operation {
			for n := range 2 {
				op := find(h, Final, n, 1)
				op.Records, op.To = op.Records[:len(op.Records)-3], op.To-3
			}
			return h
		},
		AbortedRead: func(h []Operation) []Operation {
			find(h, Produce, 50, 1).Refused = true
			return h
		},
		NeverSent: func(h []Operation) []Operation {
			for n := range 2 {
				op := find(h, Final, n, 1)
				op.Records, op.To = append(op.Records, 12345), op.To+1
			}
			return h
		},
		NonmonotonicSend: func(h []Operation) []Operation {
			first := find(h, Produce, 10, 1)
			i := slices.IndexFunc(h, func(op Operation) bool {
				return op.Client == first.Client && op.Call > first.Call && op.Kind == Produce
			})
			last := len(h) - 1 - slices.IndexFunc(reversed(h), func(op Operation) bool {
				return op.Client == first.Client && op.Kind == Produce && !op.Unknown
			})
			h[i], h[last] = h[last], h[i]
			return h
		},
		NonmonotonicPoll: func(h []Operation) []Operation {
			a := slices.IndexFunc(h, func(op Operation) bool { return op.Kind == Fetch && len(op.Records) > 5 })
			return slices.Insert(h, a+1, h[a])
		},
		PollSkip: func(h []Operation) []Operation {
			a := slices.IndexFunc(h, func(op Operation) bool { return op.Kind == Fetch && len(op.Records) > 5 })
			return slices.Delete(h, a+1, a+4)
		},
		StaleEnd: func(h []Operation) []Operation {
			op := find(h, End, 60, 0)
			op.Offset -= 60
			return h
		},
		StaleOffset: func(h []Operation) []Operation {
			op := find(h, Produce, 100, 1)
			op.Call, op.Return = op.Call+1_000_000, op.Return+1_000_000
			return h
		},
		EpochBack: func(h []Operation) []Operation {
			op := find(h, Fetch, 20, 2)
			op.Epochs[1]++
			return h
		},
		Divergent: func(h []Operation) []Operation {
			op := find(h, Final, 1, 1)
			op.Records, op.To = op.Records[:len(op.Records)-3], op.To-3
			return h
		},
		NotLinearizable: func(h []Operation) []Operation {
			op := find(h, Produce, 20, 3) // an end in the middle of a batch
			h = append(h, Operation{Log: op.Log, Client: 50, Kind: End, Call: op.Call, Return: op.Return, Offset: op.Offset + 1})
			return h
		},
		Malformed: func(h []Operation) []Operation {
			find(h, Fetch, 3, 1).Epochs = []int32{}
			return h
		},
	}
	for kind, plant := range plants {
		for seed := range uint64(5) {
			v := Verify(plant(wholeHistory(seed)), Options{})
			if !slices.ContainsFunc(v, func(v Violation) bool { return v.Kind == kind }) {
				t.Errorf("%s, seed %d: found %.300v", kind, seed, v)
			}
		}
	}
}

func reversed(h []Operation) []Operation {
	h = slices.Clone(h)
	slices.Reverse(h)
	return h
}
