package sim

import (
	"testing"
	"time"

	"millrace/node/host"
)

// drawing is a run of two nodes that write, talk, sleep and crash by what they draw. more is called wherever they draw.
func drawing(t *testing.T, seed uint64, more func(w *World, h host.Host)) (hash, events uint64, drawn []uint64) {
	t.Helper()
	w := New(seed, Options{Spurious: 0.05})
	defer w.Close()
	w.SetNet(NetProfile{Small: 0.5, Slow: 0.1, Reset: 0.3, ResetWithin: 2000})
	w.SetSlowDisks(0.1)
	a, b := w.AddNode("a"), w.AddNode("b")
	life := func(h host.Host) {
		f, err := h.Disk.Open("f", host.Mode{})
		if err != nil {
			if f, err = h.Disk.Create("f", 0, host.Mode{}); err != nil {
				return
			}
		}
		for range 200 {
			more(w, h)
			n := h.Random.Uint64("site")
			drawn = append(drawn, n)
			if f.WriteAt(int64(n%5000), make([]byte, n%300)) != nil || n%7 == 0 && f.Sync() != nil {
				return
			}
			h.Clock.Sleep(time.Duration(n % 1_000_000))
		}
	}
	for _, n := range []*Node{a, b} {
		n.Boot(func(h host.Host) {
			h.Tasks.Go("other", func() { life(h) })
			life(h)
		})
	}
	w.After(40*time.Millisecond, func() {
		a.Crash(Power)
		a.Boot(life)
	})
	w.After(time.Second, w.Stop)
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	return w.Hash(), w.Events(), drawn
}

// TestDrawAtANewSite: a line of code that draws where nobody drew before leaves every other draw, and so the whole run,
// as it was; one that draws at an old site does not.
func TestDrawAtANewSite(t *testing.T) {
	for seed := range uint64(5) {
		hash, events, drawn := drawing(t, seed, func(*World, host.Host) {})
		again, n, more := drawing(t, seed, func(w *World, h host.Host) {
			h.Random.Uint64("a new site")
			w.Draws("a new site of the harness").Uint64()
		})
		if again != hash || n != events || len(more) != len(drawn) {
			t.Errorf("seed %d: hash %x after %d events and %d draws, and %x after %d and %d with draws at a new site", seed, hash, events, len(drawn), again, n, len(more))
		}
		if other, _, _ := drawing(t, seed, func(_ *World, h host.Host) { h.Random.Uint64("site") }); other == hash {
			t.Errorf("seed %d: one draw more at an old site changes nothing: this test sees nothing", seed)
		}
	}
}

// TestReseed: draws before the time are the same, draws after it are others.
func TestReseed(t *testing.T) {
	draws := func(reseed uint64) (list []uint64) {
		w := New(9, Options{})
		defer w.Close()
		if reseed > 0 {
			w.Reseed(50*time.Millisecond, reseed)
		}
		w.AddNode("n").Boot(func(h host.Host) {
			for range 100 {
				list = append(list, h.Random.Uint64("site"))
				h.Clock.Sleep(time.Millisecond)
			}
			w.Stop()
		})
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		return list
	}
	plain, one, two := draws(0), draws(1), draws(2)
	for i := range plain {
		switch {
		case i < 45 && (plain[i] != one[i] || plain[i] != two[i]):
			t.Fatalf("draw %d comes before the time and is another one", i)
		case i > 55 && (plain[i] == one[i] || one[i] == two[i]):
			t.Fatalf("draw %d comes after the time and is the same", i)
		}
	}
}
