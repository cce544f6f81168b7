package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (s *session) groupResetCommand() *cobra.Command {
	var o resetOptions
	c := &cobra.Command{
		Use:   "reset-offsets GROUP",
		Short: "Move a group's committed offsets; without --execute only show what would be done",
		Long: "Move a group's committed offsets: of the topics and partitions that --topic names, or of all that it has committed offsets of.\n" +
			"Without --execute nothing is changed and what would be committed is shown. The group must have no members, since they would\n" +
			"neither look nor stop committing. An offset that would lie outside of the partition is moved to its start or end.",
		Example: "  millrace group reset-offsets billing --topic orders --to-earliest\n" +
			"  millrace group reset-offsets billing --topic orders:0,3 --shift-by -100 --execute\n" +
			"  millrace group reset-offsets billing --all-topics --to-datetime 2026-11-22T08:00:00Z --export > plan.csv\n" +
			"  millrace group reset-offsets billing --from-file plan.csv --execute",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.group = args[0]
			o.given = nil
			for _, name := range resetFlags {
				if c.Flags().Changed(name) {
					o.given = append(o.given, name)
				}
			}
			if err := o.validate(); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return s.groups(c.Context(), func(ctx context.Context, k groupClient) error { return s.reset(ctx, k, &o) })
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.topics, "topic", nil, "a `topic`, or topic:0,1,... for some of its partitions; may be repeated")
	f.BoolVar(&o.allTopics, "all-topics", false, "all topics that the group has committed offsets of")
	f.Bool("to-earliest", false, "to the first records")
	f.Bool("to-latest", false, "to the ends")
	f.Bool("to-current", false, "to what is committed now, or the ends where nothing is")
	f.StringVar(&o.datetime, "to-datetime", "", "to the first records that are not older than this `time`, 2006-01-02T15:04:05.000, UTC unless it says Z or +01:00")
	f.StringVar(&o.duration, "by-duration", "", "to the first records that are not older than this long ago, as `P1DT2H30M` or 26h30m")
	f.Int64Var(&o.offset, "to-offset", 0, "to this offset")
	f.Int64Var(&o.shift, "shift-by", 0, "by so many offsets from what is committed; negative goes back")
	f.StringVar(&o.file, "from-file", "", "to what a `file` says: lines of topic,partition,offset or group,topic,partition,offset (-: standard input)")
	f.BoolVar(&o.execute, "execute", false, "do it")
	f.BoolVar(&o.dryRun, "dry-run", false, "only show what would be done, which is the default")
	f.BoolVar(&o.export, "export", false, "print the new offsets as lines for --from-file")
	return c
}

// resetOffset is the move of one partition's offset.
type resetOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Current   int64  `json:"current"` // -1: none committed
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	New       int64  `json:"new"`
	// Moved says that what was asked for lies outside of the partition.
	Moved bool `json:"moved,omitempty"`
}

func (s *session) reset(ctx context.Context, k groupClient, o *resetOptions) error {
	active, err := k.active(ctx, o.group)
	if err != nil {
		return err
	}
	if active && o.execute {
		return onGroup{o.group, kerr.NonEmptyGroup}
	}
	plan, err := s.planReset(ctx, k, o)
	if err != nil {
		return err
	}
	if o.execute {
		if err := k.commit(ctx, o.group, plan); err != nil {
			return err
		}
	}
	return s.printReset(o, plan, active)
}

// active says whether a group has members.
func (k groupClient) active(ctx context.Context, name string) (bool, error) {
	var g *describedGroup
	err := patiently(ctx, func() (err error) { g, err = k.find(ctx, name); return err })
	switch {
	case errors.Is(err, kerr.GroupIDNotFound), errors.Is(err, kerr.UnsupportedVersion):
		return false, nil // offsets that are committed make the group
	case err != nil:
		return false, onGroup{name, err}
	}
	return len(g.Members) > 0 || g.State != "Empty", nil
}

// planReset finds the new offsets.
func (s *session) planReset(ctx context.Context, k groupClient, o *resetOptions) ([]resetOffset, error) {
	committed, err := k.admin.FetchOffsets(ctx, o.group)
	if err != nil {
		return nil, onGroup{o.group, fmt.Errorf("asking for the committed offsets: %w", err)}
	}
	wanted, err := s.wantedOffsets(o)
	if err != nil {
		return nil, err
	}
	chosen, err := k.choose(ctx, o, committed, wanted)
	if err != nil {
		return nil, err
	}
	topics := sortedKeys(chosen)
	starts, err := k.admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("asking for the first offsets: %w", err)
	}
	ends, err := k.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("asking for the end offsets: %w", err)
	}
	var timed kadm.ListedOffsets
	if at, ok := o.time(); ok {
		if timed, err = k.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topics...); err != nil {
			return nil, fmt.Errorf("asking for offsets by time: %w", err)
		}
	}
	plan := []resetOffset{}
	for _, topic := range topics {
		for _, partition := range chosen[topic] {
			r := resetOffset{Topic: topic, Partition: partition, Current: -1}
			if c, ok := committed.Lookup(topic, partition); ok && c.Err == nil {
				r.Current = c.At
			}
			if r.Start, err = listed(starts, topic, partition); err == nil {
				r.End, err = listed(ends, topic, partition)
			}
			timedAt := int64(-1)
			if err == nil && timed != nil {
				timedAt, err = listed(timed, topic, partition)
			}
			if err == nil {
				err = r.move(o, wanted, timedAt)
			}
			if err != nil {
				return nil, err
			}
			plan = append(plan, r)
		}
	}
	return plan, nil
}

func listed(all kadm.ListedOffsets, topic string, partition int32) (int64, error) {
	l, ok := all.Lookup(topic, partition)
	if !ok {
		return -1, onTopic{topic: topic, err: kerr.UnknownTopicOrPartition}
	}
	if l.Err != nil {
		return -1, onTopic{topic: topic, err: l.Err}
	}
	return l.Offset, nil
}

// choose lists the partitions whose offsets are to be moved, sorted.
func (k groupClient) choose(ctx context.Context, o *resetOptions, committed kadm.OffsetResponses, wanted map[string]map[int32]int64) (map[string][]int32, error) {
	chosen := map[string][]int32{}
	switch {
	case wanted != nil:
		for topic, list := range wanted {
			chosen[topic] = sortedPartitions(list)
		}
		return chosen, nil
	case o.allTopics:
		for topic, list := range committed {
			chosen[topic] = sortedPartitions(list)
		}
		if len(chosen) == 0 {
			return nil, &failure{exit: exitNotFound, message: "group " + o.group + " has no committed offsets",
				hint: "name the topics with --topic"}
		}
		return chosen, nil
	}
	return k.partitions(ctx, o.topics)
}

// partitions reads what --topic says, with all partitions of the topics for which it names none.
func (k groupClient) partitions(ctx context.Context, args []string) (map[string][]int32, error) {
	asked, err := parseTopics(args)
	if err != nil {
		return nil, err
	}
	details, err := k.admin.ListTopicsWithInternal(ctx, sortedKeys(asked)...)
	if err != nil {
		return nil, fmt.Errorf("looking for the topics: %w", err)
	}
	for _, topic := range sortedKeys(asked) {
		d, ok := details[topic]
		if !ok {
			return nil, onTopic{topic: topic, err: kerr.UnknownTopicOrPartition}
		}
		if d.Err != nil {
			return nil, onTopic{topic: topic, err: d.Err}
		}
		for _, p := range asked[topic] {
			if _, ok := d.Partitions[p]; !ok {
				return nil, &failure{exit: exitNotFound, message: fmt.Sprintf("topic %s has no partition %d", topic, p),
					hint: fmt.Sprintf("it has %s, from 0", count(len(d.Partitions), "partition"))}
			}
		}
		if len(asked[topic]) == 0 {
			asked[topic] = d.Partitions.Numbers()
		}
	}
	return asked, nil
}

// commit stores the new offsets.
func (k groupClient) commit(ctx context.Context, group string, plan []resetOffset) error {
	offsets := kadm.Offsets{}
	for _, r := range plan {
		offsets.Add(kadm.Offset{Topic: r.Topic, Partition: r.Partition, At: r.New, LeaderEpoch: -1})
	}
	answers, err := k.admin.CommitOffsets(ctx, group, offsets)
	if err != nil {
		return onGroup{group, err}
	}
	for _, r := range plan {
		a, ok := answers.Lookup(r.Topic, r.Partition)
		if !ok {
			return onGroup{group, fmt.Errorf("the broker did not say whether the offset of %s-%d is committed", r.Topic, r.Partition)}
		}
		if a.Err != nil {
			return onGroup{group, a.Err}
		}
	}
	return nil
}

func (s *session) printReset(o *resetOptions, plan []resetOffset, active bool) error {
	if s.json {
		return s.printJSON(map[string]any{"group": o.group, "executed": o.execute, "offsets": plan})
	}
	if o.export {
		for _, r := range plan {
			fmt.Fprintf(s.out, "%s,%d,%d\n", r.Topic, r.Partition, r.New)
		}
	} else {
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TOPIC\tPARTITION\tSTART\tEND\tCURRENT\tNEW\t")
		for _, r := range plan {
			note := ""
			if r.Moved {
				note = "outside of the partition"
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%d\t%s\n", r.Topic, r.Partition, r.Start, r.End, offsetOrDash(r.Current), r.New, note)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	switch {
	case o.execute:
	case active:
		s.note("nothing was changed; group %s has members, which must stop before --execute can do it", o.group)
	default:
		s.note("nothing was changed; --execute does it")
	}
	return nil
}

// groupDeleteOffsetsCommand forgets committed offsets.
func (s *session) groupDeleteOffsetsCommand() *cobra.Command {
	var topics []string
	c := &cobra.Command{
		Use:     "delete-offsets GROUP",
		Short:   "Delete a group's committed offsets of topics that no member subscribes to",
		Example: "  millrace group delete-offsets billing --topic orders --topic refunds:0,1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(topics) == 0 {
				return usageError{errors.New("name topics with --topic"), c.CommandPath()}
			}
			if _, err := parseTopics(topics); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return s.groups(c.Context(), func(ctx context.Context, k groupClient) error {
				return s.deleteOffsets(ctx, k, args[0], topics)
			})
		},
	}
	c.Flags().StringArrayVar(&topics, "topic", nil, "a `topic`, or topic:0,1,... for some of its partitions; may be repeated")
	return c
}

func (s *session) deleteOffsets(ctx context.Context, k groupClient, group string, topics []string) error {
	chosen, err := k.partitions(ctx, topics)
	if err != nil {
		return err
	}
	set := kadm.TopicsSet{}
	for topic, list := range chosen {
		set.Add(topic, list...)
	}
	answers, err := k.admin.DeleteOffsets(ctx, group, set)
	if err != nil {
		return onGroup{group, err}
	}
	type deleted struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
	}
	done := []deleted{}
	var failed error
	for _, topic := range sortedKeys(chosen) {
		for _, partition := range chosen[topic] {
			err, ok := answers[topic][partition]
			switch {
			case !ok:
				err = fmt.Errorf("the broker did not say whether the offset of %s-%d is deleted", topic, partition)
			case err == nil:
				done = append(done, deleted{topic, partition})
				continue
			}
			if failed == nil {
				failed = onGroup{group, err}
			}
		}
	}
	if s.json {
		if err := s.printJSON(map[string]any{"group": group, "deleted": done}); err != nil {
			return err
		}
		return failed
	}
	for _, d := range done {
		fmt.Fprintf(s.out, "deleted the offset of group %s in %s-%d\n", group, d.Topic, d.Partition)
	}
	return failed
}

// readPlan reads a file of --from-file.
func (s *session) readPlan(name string) ([]byte, error) {
	if name == "-" {
		return readAll(s.in)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &failure{exit: exitFailed, message: "--from-file: " + err.Error()}
	}
	return data, nil
}
