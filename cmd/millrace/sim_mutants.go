package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"millrace/node/host/mutant"
)

// mutantStride lies between the seeds at which two starts of a search begin.
const mutantStride = 1_000_000

// mutantResult is how a planted bug was found.
type mutantResult struct {
	Name   string   `json:"name"`
	Alters string   `json:"alters"`
	Seeds  []int    `json:"seeds"` // until it was found, for each start; 0 when it was not
	Median int      `json:"median"`
	How    []string `json:"how"` // the first line of what the finding seeds said
}

// simMutants plants each bug in turn and counts the seeds until one fails that passes without it.
func (s *session) simMutants(ctx context.Context, f *simFlags) error {
	if !mutant.Built {
		return errors.New("this binary holds no planted bugs: build it with -tags mutants")
	}
	var results []mutantResult
	var missed []string
	for _, m := range mutant.All() {
		if f.mutant != "" && m.Name != f.mutant || f.mutant == "" && m.Room {
			continue
		}
		r := mutantResult{Name: m.Name, Alters: m.Alters}
		for start := range f.starts {
			n, how, err := s.hunt(ctx, f, m.Name, uint64(start+1)*mutantStride)
			if err != nil {
				return err
			}
			r.Seeds = append(r.Seeds, n)
			r.How = append(r.How, how)
		}
		r.Median = median(r.Seeds)
		results = append(results, r)
		if r.Median == 0 {
			missed = append(missed, m.Name)
		}
		s.printMutant(r)
	}
	if f.markdown != "" {
		if err := os.WriteFile(f.markdown, []byte(mutantTable(results, f)), 0o666); err != nil {
			return err
		}
	}
	if s.json {
		if err := s.printJSON(results); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "%d of %d planted bugs found within %d seeds\n", len(results)-len(missed), len(results), f.limit)
	}
	if missed != nil {
		return &failure{exit: exitFailed, message: "not found: " + strings.Join(missed, ", ")}
	}
	return nil
}

// hardMutant is the median above which a planted bug counts as hard to find.
const hardMutant = 20

// mutantTable is what the documentation shows of a search: those that are hard to find come first, the hardest on top, then
// the others in the order in which they were planted.
func mutantTable(results []mutantResult, f *simFlags) string {
	var b strings.Builder
	rooms, hard := 0, 0
	for _, m := range mutant.All() {
		if m.Room {
			rooms++
		}
	}
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, func(a, b mutantResult) int { return rankMutant(b, f.limit) - rankMutant(a, f.limit) })
	b.WriteString("| planted bug | what it alters | seeds (median) | each start |\n|---|---|---|---|\n")
	for _, r := range sorted {
		if r.Median > hardMutant {
			hard++
		}
		each := make([]string, len(r.Seeds))
		for i, n := range r.Seeds {
			each[i] = mutantSeeds(n, f.limit)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, r.Alters, mutantSeeds(r.Median, f.limit), strings.Join(each, ", "))
	}
	fmt.Fprintf(&b, "\n%d planted bugs; %d of them have a median above %d. %d more are left to the tests of their rooms.\n",
		len(results), hard, hardMutant, rooms)
	return b.String()
}

// rankMutant orders a table: only among those that are hard it matters how hard they are.
func rankMutant(r mutantResult, limit int) int {
	switch {
	case r.Median == 0:
		return limit + 1
	case r.Median > hardMutant:
		return r.Median
	}
	return 0
}

func mutantSeeds(n, limit int) string {
	if n == 0 {
		return fmt.Sprintf("> %d", limit)
	}
	return fmt.Sprint(n)
}

func (s *session) printMutant(r mutantResult) {
	if s.json {
		return
	}
	found := "NOT FOUND"
	if r.Median > 0 {
		found = fmt.Sprintf("median %d", r.Median)
	}
	fmt.Fprintf(s.out, "%-34s %-12s %v  %s\n", r.Name, found, r.Seeds, firstLine(r.How[0]))
}

// hunt runs seeds from one on until one fails with the bug planted and passes without.
func (s *session) hunt(ctx context.Context, f *simFlags, name string, from uint64) (seeds int, how string, err error) {
	hunting, stop := context.WithCancel(ctx)
	defer stop()
	found := make(map[uint64]string)
	next := counter(from, from+uint64(f.limit)-1, 1)
	p := pool{hunting, f.jobs}
	err = p.each([]workerKind{{mutant: name, nodes: f.nodes, env: onceEnvironment, beyond: f.beyond}}, func() (errand, bool) {
		if len(found) > 0 {
			return errand{}, false
		}
		return next()
	}, func(r simReport) {
		if r.Error == "" || r.Empty {
			return
		}
		if w, err := startWorker(ctx, workerKind{nodes: f.nodes, env: onceEnvironment, beyond: f.beyond}); err == nil {
			without, _ := w.run(r.Seed)
			w.stop()
			if without.Error != "" {
				s.note("seed %d fails without %s too", r.Seed, name)
				return
			}
		}
		found[r.Seed] = r.Error
	})
	if err != nil || len(found) == 0 {
		return 0, "", err
	}
	var list []uint64
	for seed := range found {
		list = append(list, seed)
	}
	first := slices.Min(list)
	return int(first-from) + 1, found[first], nil
}

// median is the middle of the counts; one that was not found is worse than any that was.
func median(seeds []int) int {
	sorted := slices.Clone(seeds)
	slices.SortFunc(sorted, func(a, b int) int {
		switch {
		case a == b:
			return 0
		case a == 0:
			return 1
		case b == 0:
			return -1
		}
		return a - b
	})
	return sorted[len(sorted)/2]
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > 150 {
		line = line[:150]
	}
	return line
}
