package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"millrace/node"
)

func (s *session) groupExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain GROUP",
		Short: "Say why a group is in the state that it is in: what it waits for, and why it rebalanced the last times",
		Long: "Say what a group waits for, and when and why it rebalanced the last times: who joined, left, timed out, or which topics changed.\n" +
			"The coordinator keeps this in memory: after it moves to another broker, it knows what happened since.",
		Example: "  millrace group explain billing",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return s.groups(c.Context(), func(ctx context.Context, k groupClient) error {
				g, err := k.describe(ctx, args[0])
				if err != nil {
					return err
				}
				if g.Told == nil {
					return &failure{exit: exitRefused, message: "the broker does not tell why groups rebalance",
						hint: "only Millrace's brokers do; `millrace group describe " + g.Group + "` works with every one"}
				}
				if s.json {
					return s.printJSON(map[string]any{"group": g.Group, "explanation": g.Told})
				}
				s.printExplained(g)
				return nil
			})
		},
	}
}

// stateWords say what a state means.
var stateWords = map[string]string{
	"classic Empty":               "it has no members; its offsets are kept until they expire",
	"classic PreparingRebalance":  "it waits for its members to join the next generation",
	"classic CompletingRebalance": "all have joined; it waits for the leader to say who reads what",
	"classic Stable":              "every member knows what to read",
	"consumer Empty":              "it has no members; its offsets are kept until they expire",
	"consumer Assigning":          "something has changed, and who shall read what is not computed yet",
	"consumer Reconciling":        "who shall read what is known, and partitions are changing hands",
	"consumer Stable":             "every member has what it shall read",
}

func (s *session) printExplained(g *describedGroup) {
	t := g.Told
	fmt.Fprintf(s.out, "group %s is a %s group, %s with %s", g.Group, g.Type, g.State, count(len(g.Members), "member"))
	if words := stateWords[g.Type+" "+g.State]; words != "" {
		fmt.Fprintf(s.out, ": %s", words)
	}
	fmt.Fprintln(s.out)
	if t.StateSince > 0 {
		fmt.Fprintf(s.out, "in this state since %s (%s)\n", clock(t.StateSince), ago(t.StateSince))
	}
	for _, w := range t.Waiting {
		fmt.Fprintf(s.out, "  waits for member %s (client %s at %s): %s\n", w.Member, orDash(w.Client), orDash(w.Host), w.What)
	}
	if n := t.MoreWaiting; n > 0 {
		fmt.Fprintf(s.out, "  and for %d more\n", n)
	}
	since := fmt.Sprintf("since broker %d coordinates it, %s (%s)", g.Coordinator, clock(t.CoordinatedSince), ago(t.CoordinatedSince))
	if len(t.Rebalances) == 0 {
		fmt.Fprintf(s.out, "no rebalance %s\n", since)
	} else {
		fmt.Fprintf(s.out, "the last rebalances, newest first, %s:\n", since)
	}
	for _, r := range t.Rebalances {
		fmt.Fprintf(s.out, "  %s  to %d: %s\n", clock(r.At), r.Epoch, r.Reason)
	}
	s.explainLag(g)
}

// explainLag says which partition is the furthest behind.
func (s *session) explainLag(g *describedGroup) {
	var worst *node.ToldLag
	for i := range g.Told.Lag {
		if l := &g.Told.Lag[i]; l.Lag > 0 && (worst == nil || l.Seconds > worst.Seconds) {
			worst = l
		}
	}
	switch {
	case len(g.Partitions) == 0:
	case worst == nil:
		fmt.Fprintln(s.out, "it has committed everything")
	default:
		behind := ""
		if worst.Seconds >= 0 {
			behind = ", " + seconds(worst.Seconds) + " old"
		}
		fmt.Fprintf(s.out, "%s not committed; the oldest is offset %d of %s-%d%s\n", count(int(g.Lag), "record"), max(worst.Committed, worst.Start),
			worst.Topic, worst.Partition, behind)
	}
}

// clock shows a time in milliseconds since 1970.
func clock(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000")
}
