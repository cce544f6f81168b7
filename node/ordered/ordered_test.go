package ordered

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Map[Int, int]
		model := map[int64]int{}
		versions := []Map[Int, int]{m}
		models := []map[int64]int{{}}
		for range rapid.IntRange(0, 60).Draw(t, "operations") {
			k := rapid.Int64Range(0, 40).Draw(t, "key")
			if rapid.Bool().Draw(t, "set") {
				v := rapid.IntRange(0, 3).Draw(t, "value")
				m, model[k] = m.Set(Int(k), v), v
			} else {
				m = m.Delete(Int(k))
				delete(model, k)
			}
			versions, models = append(versions, m), append(models, maps.Clone(model))
		}
		for i := range versions {
			check(t, versions[i], models[i])
		}
		a := rapid.IntRange(0, len(versions)-1).Draw(t, "before")
		b := rapid.IntRange(0, len(versions)-1).Draw(t, "after")
		checkDiff(t, versions[a], versions[b], models[a], models[b])
		start := rapid.Int64Range(0, 41).Draw(t, "start")
		var got []int64
		m.From(Int(start), func(k Int, _ int) bool { got = append(got, int64(k)); return true })
		want := slices.DeleteFunc(slices.Sorted(maps.Keys(model)), func(k int64) bool { return k < start })
		if !slices.Equal(got, want) {
			t.Fatalf("From(%d) = %v, want %v", start, got, want)
		}
	})
}

func check(t *rapid.T, m Map[Int, int], model map[int64]int) {
	if m.Len() != len(model) {
		t.Fatalf("%d keys, want %d", m.Len(), len(model))
	}
	last := Int(-1)
	for k, v := range m.All {
		if k <= last || model[int64(k)] != v {
			t.Fatalf("key %d after %d with value %d, want %d", k, last, v, model[int64(k)])
		}
		last = k
		if got, ok := m.Get(k); !ok || got != v {
			t.Fatalf("Get(%d) = %d, %v", k, got, ok)
		}
	}
}

func checkDiff(t *rapid.T, before, after Map[Int, int], was, is map[int64]int) {
	patched := maps.Clone(was)
	last := Int(-1)
	Diff(before, after, func(k Int, a, b *int) {
		if k <= last {
			t.Fatalf("key %d reported after %d", k, last)
		}
		last = k
		if a != nil && b != nil && *a == *b {
			t.Fatalf("key %d reported though it did not change", k)
		}
		if (a != nil) != hasKey(patched, int64(k)) {
			t.Fatalf("key %d: wrong old presence", k)
		}
		if b == nil {
			delete(patched, int64(k))
		} else {
			patched[int64(k)] = *b
		}
	})
	if !maps.Equal(patched, is) {
		t.Fatalf("diff applied gives %v, want %v", patched, is)
	}
}

func hasKey(m map[int64]int, k int64) bool { _, ok := m[k]; return ok }

func TestShapeDependsOnKeysOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringN(0, 6, -1), rapid.ID).Draw(t, "keys")
		var a, b Map[String, int]
		for _, k := range keys {
			a = a.Set(String(k), 1)
		}
		for _, k := range slices.Backward(keys) {
			b = b.Set(String(k), 1)
		}
		b = b.Set("removed", 1).Delete("removed")
		if shape(a.root) != shape(b.root) {
			t.Fatal("two orders of insertion gave two shapes")
		}
	})
}

func shape(n *node[String, int]) string {
	if n == nil {
		return "."
	}
	return "(" + shape(n.left) + string(n.key) + shape(n.right) + ")"
}

func BenchmarkSet(b *testing.B) {
	var m Map[Int, int]
	for i := range 100_000 {
		m = m.Set(Int(i), i)
	}
	for i := 0; b.Loop(); i++ {
		m = m.Set(Int(i%100_000), i)
	}
}
