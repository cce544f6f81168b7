package linearizability

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

// simulate makes a linearizable history of n operations by some clients on one log, of which a share has no answer.
func simulate(seed uint64, n, clients int, unknown float64) (history []Operation, final map[uint64]int64) {
	r := rand.New(rand.NewPCG(seed, 1))
	free := make([]int64, clients) // when a client is free
	final = make(map[uint64]int64)
	var end int64
	now := int64(0)
	for i := range n {
		c := r.IntN(clients)
		now += 1 + r.Int64N(10) // the moment of effect
		call := max(free[c], now-r.Int64N(30))
		if call > now {
			now = call
		}
		op := Operation{Log: "t-0", Client: c, Call: call, Return: now + r.Int64N(30), Kind: End, Offset: end}
		if r.IntN(5) > 0 {
			op.Kind = Produce
			for j := range 1 + r.IntN(3) {
				h := uint64(i*10+j) * 0x9e3779b97f4a7c15
				op.Records = append(op.Records, h)
				final[h] = end + int64(j)
			}
			end += int64(len(op.Records))
			op.Unknown = r.Float64() < unknown
		}
		free[c] = op.Return + 1
		history = append(history, op)
	}
	return history, final
}

func resolve(history []Operation, final map[uint64]int64) []Operation {
	return Resolve(history, func(_ string, record uint64) (int64, bool) {
		offset, ok := final[record]
		return offset, ok
	})
}

func TestLinearizableHistoriesPass(t *testing.T) {
	for seed := range uint64(20) {
		history, final := simulate(seed, 500, 1+int(seed%8), float64(seed%4)/50)
		if err := Check(resolve(history, final)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestLargeHistoryIsFast(t *testing.T) {
	history, final := simulate(1, 20_000, 10, 0.02)
	if err := Check(resolve(history, final)); err != nil {
		t.Fatal(err)
	}
}

// TestViolationsAreFound plants one fault into a history that is otherwise right.
func TestViolationsAreFound(t *testing.T) {
	faults := map[string]func(history []Operation) bool{
		"stale end": func(history []Operation) bool {
			for i := len(history) - 1; i > 0; i-- {
				if history[i].Kind == End && history[i].Offset > 100 {
					history[i].Offset -= 100
					return true
				}
			}
			return false
		},
		"two produces at one offset": func(history []Operation) bool {
			var last *Operation
			for i := range history {
				if op := &history[i]; op.Kind == Produce && !op.Unknown {
					if last != nil && len(last.Records) == len(op.Records) {
						op.Offset = last.Offset
						return true
					}
					last = op
				}
			}
			return false
		},
		"an end that nobody produced": func(history []Operation) bool {
			history[len(history)/2] = Operation{Log: "t-0", Client: 99, Kind: End, Call: history[len(history)/2].Call, Return: history[len(history)/2].Return, Offset: 1 << 30}
			return true
		},
	}
	for name, plant := range faults {
		for seed := range uint64(5) {
			history, final := simulate(seed, 300, 5, 0.02)
			history = resolve(history, final)
			if !plant(history) {
				t.Fatalf("%s: nothing planted", name)
			}
			if Check(history) == nil {
				t.Errorf("%s, seed %d: not found", name, seed)
			}
		}
	}
}

// TestUnknownIsResolved: what has no answer and is not there never happened; what is there ended before it was seen.
func TestUnknownIsResolved(t *testing.T) {
	history := []Operation{
		{Log: "t", Client: 1, Kind: Produce, Call: 0, Unknown: true, Records: []uint64{1}},
		{Log: "t", Client: 2, Kind: Produce, Call: 0, Unknown: true, Records: []uint64{2}},
		{Log: "t", Client: 3, Kind: End, Call: 10, Return: 20, Offset: 1},
		{Log: "t", Client: 3, Kind: End, Call: 30, Return: 40, Offset: 1},
	}
	got := Resolve(history, func(_ string, r uint64) (int64, bool) { return 0, r == 2 })
	if len(got) != 3 || got[0].Client != 2 || got[0].Return != 20 || got[0].Unknown {
		t.Errorf("got %+v", got)
	}
	if err := Check(got); err != nil {
		t.Error(err)
	}
	if Check(history) == nil {
		t.Error("an unresolved history was checked")
	}
}

func TestLimitKeepsAPrefix(t *testing.T) {
	for n := 1; n < 300; n += 13 {
		history, final := simulate(3, 300, 5, 0.02)
		got := Limit(resolve(history, final), n)
		if err := Check(got); err != nil || len(got) > n {
			t.Fatalf("limit %d: %d operations, %v", n, len(got), err)
		}
		if n > 200 && len(got) < 100 {
			t.Errorf("limit %d keeps only %d", n, len(got))
		}
	}
}

func TestJSONLines(t *testing.T) {
	history, _ := simulate(4, 50, 3, 0.1)
	var b bytes.Buffer
	if err := Write(&b, history); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil || !reflect.DeepEqual(got, history) {
		t.Errorf("read something else than was written: %v", err)
	}
}
