package config

import "strings"

// typo is how many letters a name may be off to be taken for a mistyped one.
const typo = 2

// Nearest returns the name among those given that is most like an unknown one, "" when none is: a few letters off, or
// with the same first part.
func Nearest(unknown string, names []string) string {
	best, least := "", 0
	for _, name := range names {
		d := distance(unknown, name)
		if d > typo+len(unknown)/8 && !sameStart(unknown, name) {
			continue
		}
		if d -= commonStart(unknown, name); best == "" || d < least {
			best, least = name, d
		}
	}
	return best
}

// sameStart says that two names have the same first part before a dot.
func sameStart(a, b string) bool {
	first, _, dotted := strings.Cut(a, ".")
	return dotted && strings.HasPrefix(b, first+".")
}

// commonStart is how many letters two names begin with alike.
func commonStart(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// mistyped returns the config that a name is a typing error away from, "" if there is none.
func mistyped(unknown string, keys []Key) string {
	for i := range keys {
		if distance(unknown, keys[i].Name) <= typo {
			return keys[i].Name
		}
	}
	return ""
}

// Names lists the names of configs.
func Names(keys []Key) []string {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].Name
	}
	return names
}

// distance is how many letters have to be inserted, deleted or replaced to make one name of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}
