package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"millrace/node"
)

// describedGroup is what group describe prints about one group.
type describedGroup struct {
	Group       string `json:"group"`
	Type        string `json:"type"`
	State       string `json:"state"`
	Protocol    string `json:"protocol"`           // the protocol type; empty: a group that only commits offsets
	Assignor    string `json:"assignor,omitempty"` // of a consumer group; of a classic one the protocol that was chosen
	Epoch       *int32 `json:"epoch,omitempty"`    // of a consumer group, or the generation if the broker tells it
	Coordinator int32  `json:"coordinator"`
	// Lag is the sum of the partitions' where it is known.
	Lag        int64             `json:"lag"`
	Members    []groupMember     `json:"members"`
	Partitions []groupPartition  `json:"partitions"`
	Told       *node.ToldGroup   `json:"-"`
	Rebalances []groupRebalance  `json:"rebalances,omitempty"`
	Waiting    []node.ToldWaiter `json:"waiting,omitempty"`
}

// groupMember is a member of it.
type groupMember struct {
	Member   string             `json:"member"`
	Instance string             `json:"instance,omitempty"`
	Client   string             `json:"client"`
	Host     string             `json:"host"`
	Epoch    *int32             `json:"epoch,omitempty"`
	Classic  bool               `json:"classic,omitempty"` // in a consumer group: it speaks the classic protocol
	Assigned map[string][]int32 `json:"assigned"`
	Target   map[string][]int32 `json:"target,omitempty"` // in a consumer group: what it shall have
}

// groupPartition is a partition that the group has committed an offset of, or that a member has.
type groupPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Committed, End and Lag are -1 when there is none or it is not known.
	Committed int64 `json:"committed"`
	End       int64 `json:"end"`
	Lag       int64 `json:"lag"`
	// Behind is the age in seconds of the first record that is not committed; nil when the broker does not tell it.
	Behind *float64 `json:"behindSeconds,omitempty"`
	Member string   `json:"member,omitempty"`
	Client string   `json:"client,omitempty"`
	Host   string   `json:"host,omitempty"`
	Error  string   `json:"error,omitempty"`
}

// groupRebalance is one of the last rebalances.
type groupRebalance struct {
	At     time.Time `json:"at"`
	Epoch  int32     `json:"epoch"`
	Reason string    `json:"reason"`
}

func (s *session) groupDescribeCommand() *cobra.Command {
	var members, all bool
	c := &cobra.Command{
		Use:   "describe GROUP...",
		Short: "Describe groups: members, committed offsets, lag in records and seconds, the last rebalance",
		Long: "Describe groups of both protocols: members, committed offsets, and how far behind they are: in records, and in seconds,\n" +
			"which is the age of the first record that is not committed. Seconds and the reason of the last rebalance come from\n" +
			"Millrace's brokers only; with others they are left out.",
		Example: "  millrace group describe billing\n  millrace group describe --all --json",
		RunE: func(c *cobra.Command, names []string) error {
			if all == (len(names) > 0) {
				return usageError{errors.New("name groups, or give --all"), c.CommandPath()}
			}
			return s.groups(c.Context(), func(ctx context.Context, k groupClient) error {
				if all {
					listed, err := k.list(ctx, nil, nil)
					if err != nil {
						return err
					}
					for _, g := range listed {
						names = append(names, g.Group)
					}
				}
				groups, err := k.describeAll(ctx, names)
				if err != nil {
					return err
				}
				if s.json {
					return s.printJSON(map[string]any{"groups": groups})
				}
				return s.printDescribedGroups(groups, members)
			})
		},
	}
	c.Flags().BoolVar(&members, "members", false, "list the members instead of the partitions")
	c.Flags().BoolVar(&all, "all", false, "describe all groups")
	return c
}

func (k groupClient) describeAll(ctx context.Context, names []string) ([]describedGroup, error) {
	groups := []describedGroup{}
	for _, name := range names {
		g, err := k.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		groups = append(groups, *g)
	}
	return groups, nil
}

func (s *session) printDescribedGroups(groups []describedGroup, members bool) error {
	if len(groups) == 0 {
		s.note("no groups")
	}
	for i := range groups {
		g := &groups[i]
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		s.printGroupHead(g)
		print := s.printGroupPartitions
		if members {
			print = s.printGroupMembers
		}
		if err := print(g); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) printGroupHead(g *describedGroup) {
	fmt.Fprintf(s.out, "group %s, %s, %s, %s, coordinator %d", g.Group, g.Type, g.State, count(len(g.Members), "member"), g.Coordinator)
	if g.Assignor != "" {
		fmt.Fprintf(s.out, ", assignor %s", g.Assignor)
	}
	if g.Epoch != nil {
		word := "epoch"
		if g.Type == "classic" {
			word = "generation"
		}
		fmt.Fprintf(s.out, ", %s %d", word, *g.Epoch)
	}
	fmt.Fprintf(s.out, ", %s behind\n", count(int(g.Lag), "record"))
	if len(g.Rebalances) > 0 {
		last := g.Rebalances[0]
		fmt.Fprintf(s.out, "last rebalance %s, to %d: %s\n", ago(last.At.UnixMilli()), last.Epoch, last.Reason)
	}
}

func (s *session) printGroupPartitions(g *describedGroup) error {
	if len(g.Partitions) == 0 {
		fmt.Fprintln(s.out, "  no committed offsets, and no member has partitions")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  TOPIC\tPARTITION\tCOMMITTED\tEND\tLAG\tBEHIND\tMEMBER\tCLIENT\tHOST\t")
	for _, p := range g.Partitions {
		behind := "-"
		if p.Behind != nil {
			behind = seconds(*p.Behind)
		}
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Topic, p.Partition, offsetOrDash(p.Committed), offsetOrDash(p.End),
			offsetOrDash(p.Lag), behind, orDash(p.Member), orDash(p.Client), orDash(p.Host), p.Error)
	}
	return w.Flush()
}

func (s *session) printGroupMembers(g *describedGroup) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  MEMBER\tINSTANCE\tCLIENT\tHOST\tEPOCH\tPARTITIONS\t")
	for _, m := range g.Members {
		epoch := "-"
		if m.Epoch != nil {
			epoch = fmt.Sprint(*m.Epoch)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t\n", m.Member, orDash(m.Instance), m.Client, m.Host, epoch, orDash(partitionsText(m.Assigned)))
	}
	return w.Flush()
}

// partitionsText words partitions as --topic takes them.
func partitionsText(all map[string][]int32) string {
	text := ""
	for _, topic := range sortedKeys(all) {
		if text != "" {
			text += " "
		}
		text += topic + ":"
		for i, p := range all[topic] {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprint(p)
		}
	}
	return text
}

func offsetOrDash(n int64) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// seconds words a time span for people.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Truncate(time.Second).String()
}

// describe asks the group's coordinator about it, and the partitions' leaders where they end.
func (k groupClient) describe(ctx context.Context, name string) (g *describedGroup, err error) {
	if err = patiently(ctx, func() error { g, err = k.find(ctx, name); return err }); err != nil {
		return nil, onGroup{name, err}
	}
	if err := k.addPartitions(ctx, g); err != nil {
		return nil, err
	}
	if t := g.Told; t != nil {
		g.Epoch, g.Waiting = &t.Epoch, t.Waiting
		for _, r := range t.Rebalances {
			g.Rebalances = append(g.Rebalances, groupRebalance{time.UnixMilli(r.At), r.Epoch, r.Reason})
		}
	}
	return g, nil
}

// find describes a group of either protocol, without its partitions.
func (k groupClient) find(ctx context.Context, name string) (*describedGroup, error) {
	coordinator, err := k.coordinator(ctx, name)
	if err != nil {
		return nil, err
	}
	g, err := k.describeClassic(ctx, name, coordinator)
	if errors.Is(err, kerr.GroupIDNotFound) {
		told := g.Told
		if g, err = k.describeConsumer(ctx, name, coordinator); err == nil {
			g.Told = told
		}
	}
	return g, err
}

// addPartitions puts in what the group has committed, where the partitions end, and who reads them.
func (k groupClient) addPartitions(ctx context.Context, g *describedGroup) error {
	committed, err := k.admin.FetchOffsets(ctx, g.Group)
	if err != nil {
		return onGroup{g.Group, fmt.Errorf("asking for the committed offsets: %w", err)}
	}
	at := map[string]map[int32]*groupPartition{}
	add := func(topic string, partition int32) *groupPartition {
		if at[topic] == nil {
			at[topic] = map[int32]*groupPartition{}
		}
		if at[topic][partition] == nil {
			at[topic][partition] = &groupPartition{Topic: topic, Partition: partition, Committed: -1, End: -1, Lag: -1}
		}
		return at[topic][partition]
	}
	for topic, list := range committed {
		for partition, o := range list {
			p := add(topic, partition)
			if p.Committed = o.At; o.Err != nil {
				p.Error = o.Err.Error()
			}
		}
	}
	for _, m := range g.Members {
		for topic, list := range m.Assigned {
			for _, partition := range list {
				p := add(topic, partition)
				p.Member, p.Client, p.Host = m.Member, m.Client, m.Host
			}
		}
	}
	topics := sortedKeys(at)
	if len(topics) == 0 {
		return nil
	}
	ends, err := k.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return fmt.Errorf("asking for the end offsets: %w", err)
	}
	for _, topic := range topics {
		for _, p := range at[topic] {
			end, ok := ends.Lookup(topic, p.Partition)
			switch {
			case !ok:
				p.Error = "the topic or partition does not exist"
			case end.Err != nil:
				p.Error = end.Err.Error()
			default:
				p.End = end.Offset
			}
			p.fillLag(g.Told)
			if p.Lag > 0 {
				g.Lag += p.Lag
			}
			g.Partitions = append(g.Partitions, *p)
		}
	}
	slices.SortFunc(g.Partitions, func(a, b groupPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

// fillLag computes what is not yet committed. Where the broker tells how old that is, both numbers are of one moment, but
// that may be a little before the end was asked for.
func (p *groupPartition) fillLag(told *node.ToldGroup) {
	if p.Committed >= 0 && p.End >= 0 {
		p.Lag = max(p.End-p.Committed, 0)
	}
	if told == nil || p.Lag < 0 {
		return
	}
	for _, l := range told.Lag {
		if l.Topic == p.Topic && l.Partition == p.Partition && l.Committed == p.Committed && l.Seconds >= 0 {
			behind := l.Seconds
			p.Behind = &behind
		}
	}
}
