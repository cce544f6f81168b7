package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// describedTopic is what topic describe prints about one topic.
type describedTopic struct {
	Name       string               `json:"name"`
	ID         string               `json:"id"`
	Internal   bool                 `json:"internal"`
	Partitions []describedPartition `json:"partitions"`
	Configs    map[string]string    `json:"configs"` // what differs from the defaults
}

// describedPartition is what topic describe prints about one partition.
type describedPartition struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"`
	LeaderEpoch int32   `json:"leaderEpoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr"`
	Offline     []int32 `json:"offline,omitempty"` // replicas whose brokers are gone
	LogStart    int64   `json:"logStartOffset"`
	LogEnd      int64   `json:"logEndOffset"`
	Error       string  `json:"error,omitempty"`
}

func (s *session) topicDescribeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "describe [NAME...]",
		Short: "Describe topics: partitions, leaders, offsets and configuration",
		RunE: func(c *cobra.Command, names []string) error {
			return s.admin(c.Context(), func(ctx context.Context, a *kadm.Client) error {
				topics, err := describeTopics(ctx, a, names)
				if err != nil {
					return err
				}
				if s.json {
					return s.printJSON(map[string]any{"topics": topics})
				}
				return s.printDescribed(topics)
			})
		},
	}
}

// describeTopics asks for the named topics, or all that are not internal.
func describeTopics(ctx context.Context, a *kadm.Client, names []string) ([]describedTopic, error) {
	details, err := a.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describing topics: %w", err)
	}
	if len(names) == 0 {
		details.FilterInternal()
	}
	all := []describedTopic{}
	if len(details) == 0 {
		return all, nil
	}
	for _, d := range details.Sorted() {
		if d.Err != nil {
			return nil, onTopic{topic: d.Topic, err: d.Err}
		}
	}
	found := details.Names()
	starts, err := a.ListStartOffsets(ctx, found...)
	if err != nil {
		return nil, fmt.Errorf("asking for the first offsets: %w", err)
	}
	ends, err := a.ListEndOffsets(ctx, found...)
	if err != nil {
		return nil, fmt.Errorf("asking for the end offsets: %w", err)
	}
	configs, err := a.DescribeTopicConfigs(ctx, found...)
	if err != nil {
		return nil, fmt.Errorf("asking for the configuration: %w", err)
	}
	for _, d := range details.Sorted() {
		t := describedTopic{Name: d.Topic, ID: topicID(d.ID), Internal: d.IsInternal, Partitions: []describedPartition{}, Configs: map[string]string{}}
		for _, p := range d.Partitions.Sorted() {
			t.Partitions = append(t.Partitions, describePartition(p, starts, ends))
		}
		if r, err := configs.On(d.Topic, nil); err == nil {
			for _, c := range r.Configs {
				if c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
					t.Configs[c.Key] = c.MaybeValue()
				}
			}
		}
		all = append(all, t)
	}
	return all, nil
}

func describePartition(p kadm.PartitionDetail, starts, ends kadm.ListedOffsets) describedPartition {
	d := describedPartition{Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, Replicas: p.Replicas, ISR: p.ISR, Offline: p.OfflineReplicas, LogStart: -1, LogEnd: -1}
	err := p.Err
	if o, ok := starts.Lookup(p.Topic, p.Partition); ok && err == nil {
		d.LogStart, err = o.Offset, o.Err
	}
	if o, ok := ends.Lookup(p.Topic, p.Partition); ok && err == nil {
		d.LogEnd, err = o.Offset, o.Err
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

func (s *session) printDescribed(topics []describedTopic) error {
	if len(topics) == 0 {
		s.note("no topics yet; create one with `millrace topic create NAME`")
	}
	for i, t := range topics {
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		fmt.Fprintf(s.out, "topic %s, %s, id %s\n", t.Name, count(len(t.Partitions), "partition"), t.ID)
		for _, name := range sortedKeys(t.Configs) {
			fmt.Fprintf(s.out, "  %s=%s\n", name, t.Configs[name])
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  PARTITION\tLEADER\tEPOCH\tREPLICAS\tISR\tSTART\tEND\t")
		for _, p := range t.Partitions {
			fmt.Fprintf(w, "  %d\t%d\t%d\t%v\t%v\t%d\t%d\t%s\n", p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.LogStart, p.LogEnd, p.Error)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
