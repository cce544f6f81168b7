package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/node/config"
)

// describedConfig is what config describe prints about one config.
type describedConfig struct {
	Name          string          `json:"name"`
	Value         *string         `json:"value"`
	Source        string          `json:"source"`
	Type          string          `json:"type"`
	ReadOnly      bool            `json:"readOnly"`
	Sensitive     bool            `json:"sensitive,omitempty"`
	Synonyms      []configSynonym `json:"synonyms,omitempty"`
	Documentation string          `json:"documentation,omitempty"`
}

// configSynonym is one place where a config has a value, what is in force first.
type configSynonym struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

// describedResource is something with its configs.
type describedResource struct {
	Kind    string            `json:"kind"`
	Name    string            `json:"name"`
	Configs []describedConfig `json:"configs"`
}

func (s *session) configDescribeCommand() *cobra.Command {
	var all bool
	var names []string
	c := &cobra.Command{
		Use:   "describe KIND [NAME]",
		Short: "Describe the configs of one thing: what was set for it, or with --all everything that is in force",
		Example: "  millrace config describe topic orders\n" +
			"  millrace config describe broker 1 --all\n" +
			"  millrace config describe brokers",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := configResourceOf(args)
			if err != nil {
				return err
			}
			return s.configs(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				configs, err := describeConfigs(ctx, cl, r, names)
				if err != nil {
					return err
				}
				if !all && len(names) == 0 {
					configs = slices.DeleteFunc(configs, func(d describedConfig) bool { return !r.own(d.Source) })
				}
				return s.printConfigs(r, configs, all)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also what was not set for it")
	c.Flags().StringSliceVar(&names, "config", nil, "only these configs, comma separated")
	return c
}

// own says that a value of that source was set for the resource itself.
func (r configResource) own(source string) bool {
	switch r.configKind.name {
	case "brokers":
		return source == config.ClusterSource.String()
	case "broker":
		return source == config.BrokerSource.String() || source == config.StaticSource.String()
	case "topic":
		return source == config.TopicSource.String()
	}
	return source != config.DefaultSource.String()
}

// describeConfigs asks for the configs of something, some or all.
func describeConfigs(ctx context.Context, cl *kgo.Client, r configResource, names []string) ([]describedConfig, error) {
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.IncludeSynonyms, q.IncludeDocumentation = true, true
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.ConfigNames = r.kind, r.name, names
	q.Resources = append(q.Resources, resource)
	a, err := q.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("asking for the configs of %v: %w", r, err)
	}
	configs := []describedConfig{}
	for i := range a.Resources {
		if err := r.failed(a.Resources[i].ErrorCode, a.Resources[i].ErrorMessage); err != nil {
			return nil, err
		}
		for _, c := range a.Resources[i].Configs {
			d := describedConfig{
				Name: c.Name, Value: c.Value, Source: c.Source.String(), Type: c.ConfigType.String(), ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive,
			}
			if c.Documentation != nil {
				d.Documentation = *c.Documentation
			}
			for _, synonym := range c.ConfigSynonyms {
				d.Synonyms = append(d.Synonyms, configSynonym{synonym.Name, synonym.Value, synonym.Source.String()})
			}
			configs = append(configs, d)
		}
	}
	slices.SortFunc(configs, func(a, b describedConfig) int { return strings.Compare(a.Name, b.Name) })
	return configs, nil
}

func (d *describedConfig) shown() string {
	switch {
	case d.Sensitive:
		return "(hidden)"
	case d.Value == nil:
		return "(none)"
	case *d.Value == "":
		return `""`
	}
	return *d.Value
}

func (s *session) printConfigs(r configResource, configs []describedConfig, all bool) error {
	if s.json {
		return s.printJSON(describedResource{r.configKind.name, r.name, configs})
	}
	if len(configs) == 0 && !all {
		s.note("nothing is set for %v; --all shows what is in force", r)
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONFIG\tVALUE\tTYPE\tSOURCE")
	for i := range configs {
		d := &configs[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Name, d.shown(), strings.ToLower(d.Type), sourceWords(d))
	}
	return w.Flush()
}

// sourceWords says in words where a value comes from.
func sourceWords(d *describedConfig) string {
	words := map[string]string{
		config.TopicSource.String(): "set for the topic", config.BrokerSource.String(): "set for the broker",
		config.ClusterSource.String(): "set for all brokers", config.StaticSource.String(): "given at the start",
		config.DefaultSource.String(): "default", config.GroupSource.String(): "set for the group", config.MetricsSource.String(): "set for the subscription",
	}
	text := words[d.Source]
	if text == "" {
		text = d.Source
	}
	if len(d.Synonyms) > 0 && d.Synonyms[0].Name != d.Name {
		text += ", as " + d.Synonyms[0].Name
	}
	return text
}

// configListCommand lists everything for which something was set.
func (s *session) configListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [KIND]",
		Short: "List what was set, of everything or of one kind",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			kinds := configKinds
			if len(args) > 0 {
				k, err := configKindNamed(args[0])
				if err != nil {
					return err
				}
				kinds = []configKind{k}
			}
			return s.configs(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				list, err := listConfigs(ctx, cl, kinds)
				if err != nil {
					return err
				}
				return s.printConfigList(list)
			})
		},
	}
}

// listConfigs finds everything of these kinds for which something was set.
func listConfigs(ctx context.Context, cl *kgo.Client, kinds []configKind) ([]describedResource, error) {
	list := []describedResource{}
	for _, k := range kinds {
		names := []string{""}
		if k.name != "brokers" {
			q := kmsg.NewPtrListConfigResourcesRequest()
			q.ResourceTypes = []int8{int8(k.kind)}
			a, err := q.RequestWith(ctx, cl)
			if err == nil {
				err = kerr.ErrorForCode(a.ErrorCode)
			}
			if err != nil {
				return nil, fmt.Errorf("asking what has configs: %w", err)
			}
			names = nil
			for _, r := range a.ConfigResources {
				names = append(names, r.Name)
			}
			slices.Sort(names)
		}
		for _, name := range names {
			r := configResource{k, name}
			configs, err := describeConfigs(ctx, cl, r, nil)
			if err != nil {
				return nil, err
			}
			configs = slices.DeleteFunc(configs, func(d describedConfig) bool {
				return !r.own(d.Source) || d.Source == config.StaticSource.String()
			})
			if len(configs) > 0 {
				list = append(list, describedResource{k.name, name, configs})
			}
		}
	}
	return list, nil
}

func (s *session) printConfigList(list []describedResource) error {
	if s.json {
		return s.printJSON(map[string]any{"resources": list})
	}
	if len(list) == 0 {
		s.note("nothing is set; `millrace config alter` sets configs, `millrace config names topic` lists those that there are")
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tNAME\tCONFIG\tVALUE")
	for _, r := range list {
		for i := range r.Configs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Kind, r.Name, r.Configs[i].Name, r.Configs[i].shown())
		}
	}
	return w.Flush()
}

// configName is what config names prints about one config.
type configName struct {
	Name          string  `json:"name"`
	Type          string  `json:"type"`
	Default       *string `json:"default"`
	Dynamic       bool    `json:"dynamic"`
	Documentation string  `json:"documentation"`
}

func (s *session) printConfigNames(keys []config.Key) error {
	names := make([]configName, len(keys))
	for i := range keys {
		k := &keys[i]
		names[i] = configName{Name: k.Name, Type: k.Kind.String(), Dynamic: !k.Fixed, Documentation: k.Doc}
		if !k.Null {
			names[i].Default = &k.Default
		}
	}
	if s.json {
		return s.printJSON(map[string]any{"configs": names})
	}
	for i := range names {
		n := &names[i]
		d := describedConfig{Value: n.Default}
		when := ""
		if !n.Dynamic {
			when = ", only at the start"
		}
		fmt.Fprintf(s.out, "%s\n  %s, default %s%s\n  %s\n", n.Name, strings.ToLower(n.Type), d.shown(), when, n.Documentation)
	}
	return nil
}
