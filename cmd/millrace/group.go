package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (s *session) groupCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "group",
		Short: "Look at consumer groups, move their offsets, delete them",
	}
	family(c)
	for _, sub := range []*cobra.Command{
		s.groupListCommand(), s.groupDescribeCommand(), s.groupExplainCommand(), s.groupResetCommand(), s.groupDeleteCommand(),
		s.groupDeleteOffsetsCommand(),
	} {
		s.clientFlags(sub)
		sub.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "how long to wait for the brokers' answers")
		c.AddCommand(sub)
	}
	return c
}

// groupClient is a connection to the cluster for a group command.
type groupClient struct {
	client *kgo.Client
	admin  *kadm.Client
}

// groups calls fn with a client and the command's time limit.
func (s *session) groups(ctx context.Context, fn func(context.Context, groupClient) error) error {
	c, err := s.client(ctx, kgo.RetryTimeout(s.timeout))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	a := kadm.NewClient(c)
	a.SetTimeoutMillis(int32(s.timeout.Milliseconds()))
	return fn(ctx, groupClient{c, a})
}

// onGroup says which group an error is about.
type onGroup struct {
	group string
	err   error
}

func (e onGroup) Error() string { return fmt.Sprintf("group %s: %v", e.group, e.err) }
func (e onGroup) Unwrap() error { return e.err }

// explainGroup words the error codes of groups; nil when the code says nothing special about one.
func explainGroup(group string, code *kerr.Error) *failure {
	f := &failure{exit: exitRefused, kafka: code.Message}
	switch {
	case errors.Is(code, kerr.GroupIDNotFound):
		f.exit, f.message = exitNotFound, "group "+group+" does not exist"
		f.hint = "see `millrace group list`; a group comes into being when a member joins or offsets are committed"
	case errors.Is(code, kerr.NonEmptyGroup):
		f.message = "group " + group + " has members"
		f.hint = "stop its consumers first; see who they are with `millrace group describe " + group + "`"
	case errors.Is(code, kerr.UnknownMemberID):
		f.message = "group " + group + " has members, so that nobody else may commit offsets for it"
		f.hint = "stop its consumers first; see who they are with `millrace group describe " + group + "`"
	case errors.Is(code, kerr.GroupSubscribedToTopic):
		f.message = "members of group " + group + " subscribe to the topic"
		f.hint = "stop those consumers first; see who they are with `millrace group describe " + group + "`"
	case errors.Is(code, kerr.InvalidGroupID):
		f.message = "group " + strconv.Quote(group) + ": not a valid name"
		f.hint = "a group's name must not be empty"
	case errors.Is(code, kerr.CoordinatorNotAvailable), errors.Is(code, kerr.CoordinatorLoadInProgress), errors.Is(code, kerr.NotCoordinator):
		f.message = "the coordinator of group " + group + " is not available (" + code.Message + ")"
		f.hint = "a broker may be starting or failing over: try again; `millrace cluster describe` shows who is alive"
	default:
		return nil
	}
	return f
}

// listedGroup is what group list prints about one group.
type listedGroup struct {
	Group       string `json:"group"`
	Type        string `json:"type"`
	State       string `json:"state"`
	Protocol    string `json:"protocol"` // the protocol type; empty: a group that only commits offsets
	Coordinator int32  `json:"coordinator"`
}

func (s *session) groupListCommand() *cobra.Command {
	var states, types []string
	c := &cobra.Command{
		Use:   "list",
		Short: "List groups: of which type, in which state, and which broker coordinates them",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.groups(c.Context(), func(ctx context.Context, k groupClient) error {
				groups, err := k.list(ctx, states, types)
				if err != nil {
					return err
				}
				return s.printGroups(groups)
			})
		},
	}
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states: Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Stable")
	c.Flags().StringSliceVar(&types, "type", nil, "only groups of these types: classic, consumer")
	return c
}

// list asks every broker for the groups that it coordinates. A broker that does not answer makes it an error: a list with
// a gap that nobody sees would be worse.
func (k groupClient) list(ctx context.Context, states, types []string) ([]listedGroup, error) {
	q := kmsg.NewPtrListGroupsRequest()
	q.StatesFilter, q.TypesFilter = states, types
	groups := []listedGroup{}
	for _, shard := range k.client.RequestSharded(ctx, q) {
		if shard.Err != nil {
			return nil, fmt.Errorf("asking broker %d for its groups: %w", shard.Meta.NodeID, shard.Err)
		}
		a := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
			return nil, fmt.Errorf("asking broker %d for its groups: %w", shard.Meta.NodeID, err)
		}
		for _, g := range a.Groups {
			groups = append(groups, listedGroup{g.Group, g.GroupType, g.GroupState, g.ProtocolType, shard.Meta.NodeID})
		}
	}
	slices.SortFunc(groups, func(a, b listedGroup) int { return strings.Compare(a.Group, b.Group) })
	return groups, nil
}

func (s *session) printGroups(groups []listedGroup) error {
	if s.json {
		return s.printJSON(map[string]any{"groups": groups})
	}
	if len(groups) == 0 {
		s.note("no groups")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tTYPE\tSTATE\tPROTOCOL\tCOORDINATOR")
	for _, g := range groups {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", g.Group, g.Type, g.State, orDash(g.Protocol), g.Coordinator)
	}
	return w.Flush()
}

// orDash shows that there is nothing to show.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (s *session) groupDeleteCommand() *cobra.Command {
	var ifExists bool
	c := &cobra.Command{
		Use:   "delete GROUP...",
		Short: "Delete groups that have no members, with their committed offsets",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			return s.groups(c.Context(), func(ctx context.Context, k groupClient) error {
				answers, err := k.admin.DeleteGroups(ctx, names...)
				if err != nil {
					return fmt.Errorf("deleting groups: %w", err)
				}
				return s.printDeletedGroups(answers, names, ifExists)
			})
		},
	}
	c.Flags().BoolVar(&ifExists, "if-exists", false, "do nothing where a group does not exist")
	return c
}

func (s *session) printDeletedGroups(answers kadm.DeleteGroupResponses, names []string, ifExists bool) error {
	deleted := []string{}
	var failed error
	for _, name := range names {
		err := answers[name].Err
		switch {
		case err == nil:
			deleted = append(deleted, name)
			if !s.json {
				fmt.Fprintf(s.out, "deleted group %s\n", name)
			}
		case errors.Is(err, kerr.GroupIDNotFound) && ifExists:
			s.note("group %s does not exist", name)
		case failed == nil:
			failed = onGroup{name, err}
		}
	}
	if s.json {
		if err := s.printJSON(map[string]any{"deleted": deleted}); err != nil {
			return err
		}
	}
	return failed
}
