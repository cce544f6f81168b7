package wal

import (
	"bytes"
	crand "crypto/rand"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/node/host/machine"
)

// secure is the real source, which simulated worlds replace for the whole process.
var secure = crand.Reader

// onMemory is a host with the disk m.
func onMemory(t testing.TB, m *memory) host.Host {
	h, _, err := machine.New(machine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	h.Disk, h.Secure = m, secure
	return h
}

var tiny = Options{FileSize: 32 << 10, FirstFileSize: 16 << 10, MaxBytes: 128 << 10, MarkAfter: time.Hour}

// writeSmallLog appends step after step, each acknowledged before the next, and notes the acknowledgements. The steps
// turn, move and recycle files.
func writeSmallLog(t testing.TB, h host.Host, m *memory) {
	log, _, err := Open(h, tiny)
	if err != nil {
		t.Fatal(err)
	}
	for i := range smallSteps {
		done := host.NewFuture[error](h.Tasks)
		a := smallStep(i)
		a.Done = func(err error) { done.Set(err) }
		log.Submit(a)
		if err := done.Get(); err != nil {
			t.Fatal(err)
		}
		m.note(note{what: "ack", ack: i + 1})
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

const smallSteps = 40

// smallStep is step i of the small log: an entry each, superseded now and then; a checkpoint every sixth.
func smallStep(i int) Append {
	n := uint64(i)
	switch {
	case i%6 == 5:
		return Append{Shard: 1, Compact: smallIndex(i) - 1, State: []State{
			{"a", bytes.Repeat([]byte{byte(i)}, 300)}, {fmt.Sprint("b", i), []byte{byte(i)}}, {fmt.Sprint("b", i-6), nil},
		}}
	case i%6 == 0:
		return Append{Shard: 2, HardState: &HardState{n, n, n}}
	}
	return Append{Shard: 1, HardState: &HardState{n, 1, n}, Entries: []Entry{
		// Steps 5 and 6 of six make no entry, so indexes run a little behind.
		{Index: smallIndex(i), Term: n, Data: []byte{byte(i)}, Payload: Payload{Parts: [][]byte{bytes.Repeat([]byte{byte(i)}, 5000)}}},
	}}
}

// smallIndex is the index of the entry of step i; step 3 of six supersedes that of step 2.
func smallIndex(i int) uint64 {
	index := uint64(0)
	for j := range i + 1 {
		if j%6 != 5 && j%6 != 0 && j%6 != 3 {
			index++
		}
	}
	return index
}

// TestEveryCrash cuts the power at every moment of a small log, keeping every subset of the blocks of the write under
// way, random subsets of its sectors, and every subset of the names that were not synced; and wants what was
// acknowledged, and nothing that was not appended.
func TestEveryCrash(t *testing.T) {
	m := newMemory()
	h := onMemory(t, m)
	writeSmallLog(t, h, m)
	r := rand.New(rand.NewPCG(1, 2))
	acked, images := 0, 0
	for n := range len(m.notes) + 1 {
		if n > 0 && m.notes[n-1].what == "ack" {
			acked = m.notes[n-1].ack
		}
		for _, sectors := range sectorSets(m, n, r) {
			for names := range 1 << m.pendingNames(n) {
				image := m.image(n, func(i int) bool { return names>>i&1 == 1 }, sectors)
				h.Disk = image
				if err := checkSmall(h, acked); err != nil {
					t.Fatalf("after %d of %d notes, %d acknowledged, names %b: %v", n, len(m.notes), acked, names, err)
				}
				images++
			}
		}
	}
	t.Logf("%d notes, %d images", len(m.notes), images)
}

// sectorSets are the ways in which the write after n notes is cut short.
func sectorSets(m *memory, n int, r *rand.Rand) []func(int) bool {
	sets := []func(int) bool{func(int) bool { return false }}
	if n == len(m.notes) || m.notes[n].what != "write" || !m.notes[n].durable {
		return sets
	}
	blocks := len(m.notes[n].data) / host.Align
	for set := range 1 << min(blocks, 4) {
		sets = append(sets, func(s int) bool { return set>>(s/8%4)&1 == 1 })
	}
	for range 8 {
		set := make([]uint64, blocks*8/64+1)
		for i := range set {
			set[i] = r.Uint64() | r.Uint64()
		}
		sets = append(sets, func(s int) bool { return bits.TrailingZeros64(set[s/64]>>(s%64)) == 0 })
	}
	return sets
}

// checkSmall opens an image of the small log, compares it with the steps, goes on appending, and opens it again.
func checkSmall(h host.Host, acked int) error {
	log, shards, err := Open(h, tiny)
	if err != nil {
		return err
	}
	steps, err := matchSmall(log, shards, acked)
	if err != nil {
		return err
	}
	done := host.NewFuture[error](h.Tasks)
	log.Submit(Append{Shard: 3, HardState: &HardState{Term: 9}, Done: func(err error) { done.Set(err) }})
	if err := done.Get(); err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	log, shards, err = Open(h, tiny)
	if err != nil {
		return fmt.Errorf("again: %w", err)
	}
	if last := shards[len(shards)-1]; last.ID != 3 || last.HardState.Term != 9 {
		return fmt.Errorf("again: what was appended after the crash is lost: %v", shards)
	}
	if _, err := matchSmall(log, shards[:len(shards)-1], steps); err != nil {
		return fmt.Errorf("again: %w", err)
	}
	return log.Close()
}

// matchSmall returns how many steps the shards show; it must be those that were acknowledged, or one more.
func matchSmall(log *Log, shards []RecoveredShard, acked int) (int, error) {
	got := describe(log, shards)
	for steps := acked; steps <= min(acked+1, smallSteps); steps++ {
		if got == describeSmall(steps) {
			return steps, nil
		}
	}
	return 0, fmt.Errorf("recovered\n%s\nacknowledged\n%s", got, describeSmall(acked))
}

func describe(log *Log, shards []RecoveredShard) string {
	var b bytes.Buffer
	for _, s := range shards {
		fmt.Fprintf(&b, "shard %d %v compact %d", s.ID, s.HardState, s.Compact)
		for _, e := range s.Entries {
			p, err := log.ReadPayload(e.At)
			if err != nil {
				return err.Error()
			}
			fmt.Fprintf(&b, " %d.%d=%d+%d×%d", e.Index, e.Term, e.Data[0], p.Bytes()[0], len(p.Bytes()))
			p.Release()
		}
		for _, st := range s.State {
			fmt.Fprintf(&b, " %s=%d×%d", st.Key, st.Value[0], len(st.Value))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func describeSmall(steps int) string {
	var b bytes.Buffer
	var hard [3]HardState
	var compact uint64
	var entries []string
	first := uint64(1)
	state := map[string]string{}
	for i := range steps {
		a := smallStep(i)
		if a.HardState != nil {
			hard[a.Shard] = *a.HardState
		}
		for _, e := range a.Entries {
			entries = append(entries[:e.Index-first], fmt.Sprintf(" %d.%d=%d+%d×%d", e.Index, e.Term, i, i, 5000))
		}
		if a.Compact > compact {
			drop := min(int(a.Compact-first+1), len(entries))
			entries, first, compact = entries[drop:], first+uint64(drop), a.Compact
		}
		for _, s := range a.State {
			if s.Value == nil {
				delete(state, s.Key)
			} else {
				state[s.Key] = fmt.Sprintf(" %s=%d×%d", s.Key, i, len(s.Value))
			}
		}
	}
	if steps > 1 {
		fmt.Fprintf(&b, "shard 1 %v compact %d", hard[1], compact)
		for _, e := range entries {
			b.WriteString(e)
		}
		var keys []string
		for k := range state {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			b.WriteString(state[k])
		}
		b.WriteByte('\n')
	}
	if steps > 0 {
		fmt.Fprintf(&b, "shard 2 %v compact 0\n", hard[2])
	}
	return b.String()
}
