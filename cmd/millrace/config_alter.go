package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configChange is one change that config alter makes.
type configChange struct {
	Name      string  `json:"name"`
	Operation string  `json:"operation"`
	Value     *string `json:"value,omitempty"`
	op        kmsg.IncrementalAlterConfigOp
}

func (s *session) configAlterCommand() *cobra.Command {
	var set, remove, add, subtract []string
	var dry bool
	c := &cobra.Command{
		Use:   "alter KIND [NAME]",
		Short: "Change configs: all changes of one command, or none",
		Example: "  millrace config alter topic orders --set retention.ms=86400000 --append cleanup.policy=compact\n" +
			"  millrace config alter brokers --set log.retention.ms=86400000\n" +
			"  millrace config alter broker 1 --delete log.retention.ms",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := configResourceOf(args)
			if err != nil {
				return err
			}
			changes, err := configChanges(set, remove, add, subtract)
			if err != nil {
				return usageError{err, "millrace config alter"}
			}
			return s.configs(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				if err := alterConfigs(ctx, cl, r, changes, dry); err != nil {
					return err
				}
				return s.printAltered(r, changes, dry)
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&set, "set", nil, "`NAME=VALUE` to set; may be repeated")
	f.StringArrayVar(&remove, "delete", nil, "`NAME` that is to have its default again; may be repeated")
	f.StringArrayVar(&add, "append", nil, "`NAME=VALUE` to add to a list; may be repeated")
	f.StringArrayVar(&subtract, "subtract", nil, "`NAME=VALUE` to take out of a list; may be repeated")
	f.BoolVar(&dry, "dry-run", false, "only ask whether the changes could be made")
	return c
}

// configChanges puts the flags together.
func configChanges(set, remove, add, subtract []string) ([]configChange, error) {
	var changes []configChange
	for _, group := range []struct {
		flag, operation string
		op              kmsg.IncrementalAlterConfigOp
		list            []string
	}{
		{"set", "set", kmsg.IncrementalAlterConfigOpSet, set},
		{"append", "append", kmsg.IncrementalAlterConfigOpAppend, add},
		{"subtract", "subtract", kmsg.IncrementalAlterConfigOpSubtract, subtract},
	} {
		for _, text := range group.list {
			name, value, ok := strings.Cut(text, "=")
			if !ok || strings.TrimSpace(name) == "" {
				return nil, fmt.Errorf("--%s %s: not NAME=VALUE", group.flag, text)
			}
			changes = append(changes, configChange{strings.TrimSpace(name), group.operation, &value, group.op})
		}
	}
	for _, name := range remove {
		changes = append(changes, configChange{name, "delete", nil, kmsg.IncrementalAlterConfigOpDelete})
	}
	if len(changes) == 0 {
		return nil, errors.New("nothing to change: give --set, --delete, --append or --subtract")
	}
	return changes, nil
}

func alterConfigs(ctx context.Context, cl *kgo.Client, r configResource, changes []configChange, dry bool) error {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.ValidateOnly = dry
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = r.kind, r.name
	for _, c := range changes {
		change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		change.Name, change.Op, change.Value = c.Name, c.op, c.Value
		resource.Configs = append(resource.Configs, change)
	}
	q.Resources = append(q.Resources, resource)
	a, err := q.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("changing the configs of %v: %w", r, err)
	}
	for i := range a.Resources {
		if err := r.failed(a.Resources[i].ErrorCode, a.Resources[i].ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) printAltered(r configResource, changes []configChange, dry bool) error {
	if s.json {
		return s.printJSON(map[string]any{"kind": r.configKind.name, "name": r.name, "changes": changes, "dryRun": dry})
	}
	done := "changed"
	if dry {
		done = "could change"
	}
	fmt.Fprintf(s.out, "%s %s of %v\n", done, count(len(changes), "config"), r)
	return nil
}
