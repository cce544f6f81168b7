package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"millrace/linearizability"
)

// checkCommand is `millrace check`.
func (s *session) checkCommand() *cobra.Command {
	var o linearizability.Options
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check the history of a cluster's clients",
		Long: "Reads a history (one operation a line, as JSON; - reads standard input) and checks it: nothing acknowledged is\n" +
			"lost, doubled or out of order, readers see one log, and produces and looks at the end are linearizable.\n" +
			"`millrace sim --history FILE` and `millrace chaos --keep` write histories; docs/history.md describes them. They can\n" +
			"come from any Kafka cluster.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.check(args[0], o) },
	}
	c.Flags().BoolVar(&o.Compacted, "compacted", false, "records may be gone although their offsets are within the log")
	c.Flags().BoolVar(&o.Polled, "polled", false, "consumers have polled everything to its end: what none of them has seen is unseen")
	c.Flags().IntVar(&o.Operations, "operations", 5000, "operations of each log that are checked for linearizability at most")
	return c
}

func (s *session) check(name string, o linearizability.Options) error {
	in := s.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	history, err := linearizability.Read(in)
	if err != nil {
		return err
	}
	violations := linearizability.Verify(history, o)
	if s.json {
		if violations == nil {
			violations = []linearizability.Violation{}
		}
		if err := s.printJSON(map[string]any{"operations": len(history), "violations": violations}); err != nil {
			return err
		}
	} else {
		for _, v := range violations {
			fmt.Fprintln(s.out, v)
		}
		fmt.Fprintf(s.out, "%d operations, %d violations\n", len(history), len(violations))
	}
	if len(violations) > 0 {
		return &failure{exit: exitFailed, message: fmt.Sprintf("%d violations", len(violations))}
	}
	return nil
}
