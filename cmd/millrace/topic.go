package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (s *session) topicCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "topic",
		Short: "Create, list, describe, explain and delete topics",
	}
	family(c)
	for _, sub := range []*cobra.Command{s.topicCreateCommand(), s.topicListCommand(), s.topicDescribeCommand(), s.topicDeleteCommand(), s.topicExplainCommand()} {
		s.clientFlags(sub)
		sub.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "how long to wait for the broker's answer")
		c.AddCommand(sub)
	}
	return c
}

// createdTopic is what topic create prints about one topic.
type createdTopic struct {
	Name              string `json:"name"`
	ID                string `json:"id"`
	Partitions        int32  `json:"partitions"`
	ReplicationFactor int16  `json:"replicationFactor"`
	Existed           bool   `json:"existed,omitempty"`
}

func (s *session) topicCreateCommand() *cobra.Command {
	var (
		partitions  int32
		replication int16
		configs     []string
		ifNotExists bool
	)
	c := &cobra.Command{
		Use:     "create NAME...",
		Short:   "Create topics",
		Example: "  millrace topic create orders --partitions 6 --config retention.ms=86400000",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			set, err := parsePairs("--config", configs)
			if err != nil {
				return usageError{err, c.CommandPath()}
			}
			values := map[string]*string{}
			for _, p := range set {
				values[p.name] = &p.value
			}
			return s.admin(c.Context(), func(ctx context.Context, a *kadm.Client) error {
				answers, err := a.CreateTopics(ctx, partitions, replication, values, names...)
				if err != nil {
					return fmt.Errorf("creating topics: %w", err)
				}
				return s.printCreated(answers, names, ifNotExists)
			})
		},
	}
	c.Flags().Int32Var(&partitions, "partitions", -1, "number of partitions (-1: the broker's num.partitions)")
	c.Flags().Int16Var(&replication, "replication-factor", -1, "copies of each partition (-1: the broker's default.replication.factor)")
	c.Flags().StringArrayVar(&configs, "config", nil, "a configuration of the topic, as `name=value`; may be repeated")
	c.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "do nothing where a topic exists")
	return c
}

func (s *session) printCreated(answers kadm.CreateTopicResponses, names []string, ifNotExists bool) error {
	created := []createdTopic{}
	var failed error
	for _, name := range names {
		r := answers[name]
		existed := errors.Is(r.Err, kerr.TopicAlreadyExists) && ifNotExists
		if r.Err != nil && !existed {
			if failed == nil {
				failed = onTopic{name, r.Err, r.ErrMessage}
			}
			continue
		}
		t := createdTopic{name, topicID(r.ID), r.NumPartitions, r.ReplicationFactor, existed}
		created = append(created, t)
		switch {
		case s.json:
		case existed:
			fmt.Fprintf(s.out, "topic %s exists already\n", name)
		default:
			fmt.Fprintf(s.out, "created topic %s with %s\n", name, count(int(t.Partitions), "partition"))
		}
	}
	if s.json {
		if err := s.printJSON(map[string]any{"topics": created}); err != nil {
			return err
		}
	}
	return failed
}

// listedTopic is what topic list prints about one topic.
type listedTopic struct {
	Name              string `json:"name"`
	ID                string `json:"id"`
	Partitions        int    `json:"partitions"`
	ReplicationFactor int    `json:"replicationFactor"`
	Internal          bool   `json:"internal"`
}

func (s *session) topicListCommand() *cobra.Command {
	var internal bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List topics",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.admin(c.Context(), func(ctx context.Context, a *kadm.Client) error {
				list := a.ListTopics
				if internal {
					list = a.ListTopicsWithInternal
				}
				topics, err := list(ctx)
				if err != nil {
					return fmt.Errorf("listing topics: %w", err)
				}
				return s.printTopics(topics)
			})
		},
	}
	c.Flags().BoolVar(&internal, "internal", false, "list internal topics too")
	return c
}

func (s *session) printTopics(topics kadm.TopicDetails) error {
	all := []listedTopic{}
	for _, d := range topics.Sorted() {
		all = append(all, listedTopic{d.Topic, topicID(d.ID), len(d.Partitions), d.Partitions.NumReplicas(), d.IsInternal})
	}
	if s.json {
		return s.printJSON(map[string]any{"topics": all})
	}
	if len(all) == 0 {
		s.note("no topics yet; create one with `millrace topic create NAME`")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tREPLICAS")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\n", t.Name, t.Partitions, t.ReplicationFactor)
	}
	return w.Flush()
}

func (s *session) topicDeleteCommand() *cobra.Command {
	var ifExists bool
	c := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete topics with all their records",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			return s.admin(c.Context(), func(ctx context.Context, a *kadm.Client) error {
				answers, err := a.DeleteTopics(ctx, names...)
				if err != nil {
					return fmt.Errorf("deleting topics: %w", err)
				}
				return s.printDeleted(answers, names, ifExists)
			})
		},
	}
	c.Flags().BoolVar(&ifExists, "if-exists", false, "do nothing where a topic does not exist")
	return c
}

func (s *session) printDeleted(answers kadm.DeleteTopicResponses, names []string, ifExists bool) error {
	deleted := []string{}
	var failed error
	for _, name := range names {
		r := answers[name]
		switch {
		case r.Err == nil:
			deleted = append(deleted, name)
			if !s.json {
				fmt.Fprintf(s.out, "deleted topic %s\n", name)
			}
		case errors.Is(r.Err, kerr.UnknownTopicOrPartition) && ifExists:
			s.note("topic %s does not exist", name)
		case failed == nil:
			failed = onTopic{name, r.Err, r.ErrMessage}
		}
	}
	if s.json {
		if err := s.printJSON(map[string]any{"deleted": deleted}); err != nil {
			return err
		}
	}
	return failed
}

// pair is one name=value of the command line.
type pair struct{ name, value string }

func parsePairs(flag string, args []string) ([]pair, error) {
	var pairs []pair
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %s: not of the form name=value", flag, a)
		}
		if slices.ContainsFunc(pairs, func(p pair) bool { return p.name == name }) && flag == "--config" {
			return nil, fmt.Errorf("%s %s: given twice", flag, name)
		}
		pairs = append(pairs, pair{name, value})
	}
	return pairs, nil
}

// topicID writes an id as Kafka's tools do.
func topicID(id kadm.TopicID) string {
	if id == (kadm.TopicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// count words a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
