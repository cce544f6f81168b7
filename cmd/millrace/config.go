package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/node/config"
)

func (s *session) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Look at configs of topics, brokers and groups, and change them",
		Long: "Look at configs and change them. What has configs is named by its kind and name: topic NAME, broker ID, group NAME,\n" +
			"client-metrics NAME, or brokers, which stands for all brokers of the cluster.",
	}
	family(c)
	c.AddCommand(s.configNamesCommand())
	for _, sub := range []*cobra.Command{s.configListCommand(), s.configDescribeCommand(), s.configAlterCommand()} {
		s.clientFlags(sub)
		sub.Flags().DurationVar(&s.timeout, "timeout", 30*time.Second, "how long to wait for the brokers' answers")
		c.AddCommand(sub)
	}
	return c
}

// configKind is a kind of thing that has configs.
type configKind struct {
	name string
	kind kmsg.ConfigResourceType
	keys []config.Key
}

// configKinds are all of them; "brokers" is a broker without a name.
var configKinds = []configKind{
	{"topic", kmsg.ConfigResourceTypeTopic, config.TopicKeys()},
	{"broker", kmsg.ConfigResourceTypeBroker, config.BrokerKeys()},
	{"brokers", kmsg.ConfigResourceTypeBroker, config.BrokerKeys()},
	{"group", kmsg.ConfigResourceTypeGroupConfig, config.GroupKeys()},
	{"client-metrics", kmsg.ConfigResourceTypeClientMetrics, config.MetricsKeys()},
}

func kindNames() []string {
	var names []string
	for _, k := range configKinds {
		names = append(names, k.name)
	}
	return names
}

// configKindNamed finds a kind, and says which there are when there is none such.
func configKindNamed(name string) (configKind, error) {
	i := slices.IndexFunc(configKinds, func(k configKind) bool { return k.name == name })
	if i < 0 {
		return configKind{}, usageError{fmt.Errorf("%q has no configs; it is one of %s", name, strings.Join(kindNames(), ", ")), "millrace config"}
	}
	return configKinds[i], nil
}

// configResource is something that has configs.
type configResource struct {
	configKind
	name string
}

// configResourceOf reads KIND [NAME].
func configResourceOf(args []string) (configResource, error) {
	k, err := configKindNamed(args[0])
	if err != nil {
		return configResource{}, err
	}
	switch {
	case k.name == "brokers" && len(args) > 1:
		return configResource{}, usageError{fmt.Errorf("brokers are all of them; a single one is broker %s", args[1]), "millrace config"}
	case k.name == "brokers":
		return configResource{k, ""}, nil
	case len(args) < 2:
		return configResource{}, usageError{fmt.Errorf("which %s? Its name is missing", k.name), "millrace config"}
	}
	return configResource{k, args[1]}, nil
}

func (r configResource) String() string {
	if r.name == "" {
		return r.configKind.name
	}
	return r.configKind.name + " " + r.name
}

// onConfigs says whose configs an error is about.
func (r configResource) failed(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil {
		return nil
	}
	f := &failure{exit: exitRefused, kafka: err.(*kerr.Error).Message, message: fmt.Sprintf("%v: %v", r, err)}
	if message != nil && *message != "" {
		f.message = fmt.Sprintf("%v: %s", r, *message)
		f.hint = r.nearest(*message)
	}
	if code == kerr.UnknownTopicOrPartition.Code {
		f.exit, f.message, f.hint = exitNotFound, fmt.Sprintf("%v does not exist", r), "see `millrace topic list`"
	}
	return f
}

// nearest is a hint about a config name that the broker does not know; "" when its message is about something else.
func (r configResource) nearest(message string) string {
	at := strings.LastIndexByte(message, ' ')
	if !strings.HasPrefix(message, "Unknown ") || at < 0 {
		return ""
	}
	if meant := config.Nearest(message[at+1:], config.Names(r.keys)); meant != "" {
		return "did you mean " + meant + "?"
	}
	return "see `millrace config names " + r.configKind.name + "`"
}

// configs calls fn with a client and the command's time limit.
func (s *session) configs(ctx context.Context, fn func(context.Context, *kgo.Client) error) error {
	c, err := s.client(ctx, kgo.RetryTimeout(s.timeout))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return fn(ctx, c)
}

// configNamesCommand lists what can be configured, without asking a broker.
func (s *session) configNamesCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "names KIND",
		Short:     "List the configs that a kind of thing has, with defaults and what they are for",
		Args:      cobra.ExactArgs(1),
		ValidArgs: kindNames(),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := configKindNamed(args[0])
			if err != nil {
				return err
			}
			return s.printConfigNames(k.keys)
		},
	}
}
