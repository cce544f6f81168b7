package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"millrace/node/config"
)

// environmentPrefix is what the variables that configure a broker begin with: MILLRACE_LISTEN is --listen, and
// MILLRACE_LOG_RETENTION_MS is log.retention.ms.
const environmentPrefix = "MILLRACE_"

// environment reads what variables say: flags that were not given get theirs, and what is returned are broker configs.
// A variable that is neither is left alone, since others put such there (Kubernetes does for a service of this name),
// unless it looks mistyped.
func environment(flags *pflag.FlagSet, variables []string) (map[string]string, error) {
	byVariable := map[string]*pflag.Flag{}
	flags.VisitAll(func(f *pflag.Flag) {
		byVariable[environmentPrefix+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = f
	})
	configs := map[string]string{}
	slices.Sort(variables)
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		rest, ours := strings.CutPrefix(name, environmentPrefix)
		if !ours {
			continue
		}
		key := strings.ToLower(strings.ReplaceAll(rest, "_", "."))
		switch f := byVariable[name]; {
		case f != nil && f.Changed:
		case f != nil:
			if err := flags.Set(f.Name, value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		case config.BrokerKey(key) != nil || config.ForeignKey(key) != nil:
			configs[key] = value
		default:
			if _, _, err := config.CheckProperties(map[string]string{key: value}); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return configs, nil
}

// unknownFlag adds to the error about a flag that there is not the name of the one that may have been meant.
func unknownFlag(flags *pflag.FlagSet, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return err
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if meant := config.Nearest(name, names); meant != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, meant)
	}
	return err
}
