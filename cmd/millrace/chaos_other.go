//go:build !unix

package main

import (
	"runtime"

	"github.com/spf13/cobra"
)

// chaosCommand refuses: stopping and continuing processes needs the signals of Unix.
func (s *session) chaosCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "chaos",
		Short: "Torment a cluster of real processes (not on " + runtime.GOOS + ")",
		RunE: func(*cobra.Command, []string) error {
			return &failure{exit: exitFailed, message: "chaos needs the signals of Unix, which " + runtime.GOOS + " has not",
				hint: "`millrace sim` torments simulated clusters everywhere"}
		},
	}
}
