package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// session is what the commands of one invocation share: the streams and the flags that all of them have.
type session struct {
	streams
	brokers []string
	timeout time.Duration
	json    bool
	// showing says that the last line of a terminal is a progress.
	showing atomic.Bool
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, st streams) int {
	s := &session{streams: st}
	root := s.rootCommand()
	root.SetArgs(args)
	root.SetIn(st.in)
	root.SetOut(st.out)
	root.SetErr(st.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	f := explain(ctx, err, s.brokers)
	s.printFailure(f)
	return f.exit
}

func (s *session) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "A distributed log that speaks the Kafka protocol",
		Long: "Millrace is a distributed log that speaks the Kafka protocol.\n\n" +
			"Start a broker with `millrace start`, then create a topic, produce to it and consume from it,\n" +
			"with the commands below or with any Kafka client.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	family(root)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{unknownFlag(c.Flags(), err), c.CommandPath()}
	})
	root.PersistentFlags().BoolVar(&s.json, "json", false, "print JSON instead of lines for people")

	// One line per command; each has a file of its own.
	root.AddCommand(
		s.startCommand(),
		s.topicCommand(),
		s.groupCommand(),
		s.clusterCommand(),
		s.configCommand(),
		s.benchCommand(),
		s.produceCommand(),
		s.consumeCommand(),
		s.simCommand(),
		s.chaosCommand(),
		s.checkCommand(),
		s.versionCommand(),
	)
	wrapUsage(root)
	return root
}

// family makes c a command that only holds others: alone it shows its help, and an unknown name is a usage error.
func family(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return usageError{fmt.Errorf("there is no command %q", c.CommandPath()+" "+args[0]), c.CommandPath()}
	}
}

// wrapUsage makes wrong arguments of every command usage errors.
func wrapUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapUsage(sub)
	}
}

// clientFlags adds the flags of a command that talks to a broker.
func (s *session) clientFlags(c *cobra.Command) {
	c.Flags().StringSliceVar(&s.brokers, "brokers", []string{"127.0.0.1:9092"}, "brokers to ask first, as host:port, comma separated")
}

// printJSON writes v as one line of JSON.
func (s *session) printJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "%s\n", data)
	return err
}

// note writes a line for people to standard error, unless JSON was asked for.
func (s *session) note(format string, args ...any) {
	if s.showing.Load() {
		format = clearLine + format
	}
	if !s.json {
		fmt.Fprintf(s.err, format+"\n", args...)
	}
}
