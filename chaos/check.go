package chaos

import (
	"cmp"
	"fmt"
	"slices"
)

// checkCommits finds committed offsets that fell: a look at them that began after a commit was acknowledged, or after
// another look ended, must not find less. The group's members commit ever higher offsets of a log, since each begins
// where the last commit ended.
//
// A commit without an answer may take effect late, behind a later one of the same member, when its bytes lay in a
// connection that its client had given up. A look that finds exactly such an offset is no violation.
func checkCommits(list []committed) []string {
	logs := map[string][]committed{}
	for _, c := range list {
		logs[c.Log] = append(logs[c.Log], c)
	}
	var wrong []string
	for log, all := range logs {
		open := map[int64]bool{}
		known := slices.DeleteFunc(slices.Clone(all), func(c committed) bool {
			if c.Unknown {
				open[c.Offset] = true
			}
			return c.Unknown
		})
		byReturn := slices.Clone(known)
		slices.SortFunc(byReturn, func(a, b committed) int { return cmp.Compare(a.Return, b.Return) })
		slices.SortFunc(known, func(a, b committed) int { return cmp.Compare(a.Call, b.Call) })
		most := committed{Offset: -1} // of what had returned when the look began
		next := 0
		for _, c := range known {
			for ; next < len(byReturn) && byReturn[next].Return < c.Call; next++ {
				if byReturn[next].Offset > most.Offset {
					most = byReturn[next]
				}
			}
			if c.Look && c.Offset < most.Offset && !open[c.Offset] {
				wrong = append(wrong, fmt.Sprintf("%s: committed offset %d seen from %d to %d, after %s", log, c.Offset, c.Call, c.Return, most))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (c committed) String() string {
	what := "the commit of"
	if c.Look {
		what = "a look at"
	}
	return fmt.Sprintf("%s %d from %d to %d", what, c.Offset, c.Call, c.Return)
}
