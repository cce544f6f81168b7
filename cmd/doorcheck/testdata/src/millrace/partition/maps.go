// Package partition iterates over maps in every way that is judged.
package partition

import (
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"
)

type table map[string]int

func accepted(m table, other map[string]int) (int, []string, bool) {
	n, most, any := 0, 0, false
	for range m {
		n++
	}
	for _, v := range m {
		n += v * 2
	}
	for k, v := range m {
		if v == 0 || strings.HasPrefix(k, "x") {
			delete(m, k)
			continue
		}
		twice := v * 2
		other[k] = twice
		any = true
	}
	for _, v := range m {
		most = max(most, v)
	}
	highest := map[int]int{}
	for _, v := range m {
		highest[v%10] = max(highest[v%10], v)
	}
	var keys, long []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for k, v := range m {
		if v > 3 {
			long = append(long, k)
		}
	}
	slices.SortFunc(long, func(a, b string) int { return len(a) - len(b) })
	keys = append(keys, slices.Sorted(maps.Keys(m))...)
	for _, k := range keys {
		println(k)
	}
	return most, keys, any
}

func existential(m table) bool {
	for _, v := range m {
		if v > 3 {
			return true
		}
	}
	return false
}

func refused(m table, f func(string)) (string, float64) {
	for k := range m { // want "it calls"
		f(k)
	}
	last, sum, text := "", 0.0, ""
	for k, v := range m { // want "what is assigned last"
		_ = v
		last = k
	}
	for _, v := range m { // want "only on integers"
		sum += float64(v)
	}
	for k := range m { // want "only on integers"
		text += k
	}
	var keys []string
	for k := range m { // want "keys is not sorted next"
		keys = append(keys, k)
	}
	f(keys[0])
	var values []int
	for _, v := range m { // want "values is not sorted next"
		values = append(values, v)
	}
	sort.Slice(values, func(i, j int) bool { return values[i]/10 < values[j]/10 })
	for k := range m { // want "break takes what comes first"
		last = "x"
		_ = k
		break
	}
	n := 0
	for _, v := range m { // want "it reads n, which it also changes"
		if n < 3 {
			n += v
		}
	}
	for k := range m { // want "deletes what it may not have met yet"
		delete(m, k+"x")
	}
	return last + text, sum
}

func first(m table) string {
	for k := range m { // want "what it returns depends"
		return k
	}
	return ""
}

func either(m table) int {
	for _, v := range m { // want "which return is met first"
		if v > 1 {
			return 1
		}
		if v < 0 {
			return 2
		}
	}
	return 0
}

func iterators(m table) {
	for k := range maps.Keys(m) { // want "maps.Keys follows the map's order"
		println(k)
	}
	_ = slices.Collect(maps.Values(m)) // want "maps.Values follows"
	_ = reflect.ValueOf(m).MapKeys()   // want "reflect's MapKeys follows"
}

func excused(m table, f func(string)) {
	//door:ordered f only counts
	for k := range m {
		f(k)
	}
	for k := range m { //door:ordered f only counts
		f(k)
	}
	//door:ordered f only counts, and the reason for that
	// takes two lines
	for k := range m {
		f(k)
	}
	//door:ordered // want "needs its reason"
	for k := range m { // want "it calls"
		f(k)
	}
	//door:ordered nothing to see // want "excuses nothing"
	for i := range 3 {
		_ = i
	}
}
