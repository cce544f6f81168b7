// Command configpage writes docs/configuration.md from the tables of configs in node/config. A test says when the page is
// older than the tables.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"millrace/node/config"
)

func main() {
	out := flag.String("o", "docs/configuration.md", "the file to write")
	flag.Parse()
	if err := os.WriteFile(*out, []byte(page()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "configpage:", err)
		os.Exit(1)
	}
}

const introduction = `# Configuration

<!-- Written by cmd/configpage from the tables in node/config: do not edit. ` + "`go generate ./node/config`" + ` writes it again. -->

Nothing needs to be configured to begin. What can be has Kafka's names, types, defaults and bounds.

## Where a value comes from

A topic's config is, the first one that there is:

1. what was set for the topic: ` + "`millrace topic create --config`, `millrace config alter topic NAME --set`" + `, or any Kafka tool;
2. what was set at runtime for this broker: ` + "`millrace config alter broker ID --set`" + `;
3. what was set at runtime for all brokers: ` + "`millrace config alter brokers --set`" + `;
4. what the broker was started with: ` + "`--override NAME=VALUE`" + `, then the environment (` + "`MILLRACE_LOG_RETENTION_MS`" + ` is ` + "`log.retention.ms`" + `), then
   the properties file of ` + "`--config FILE`" + `, which may be a Kafka broker's;
5. the default.

` + "`millrace config describe topic NAME --all`" + ` shows what is in force, and why; ` + "`--json`" + ` adds all places where a config has a value. Of configs that say the
same in different units the finer one wins.

What is set at runtime is part of the cluster's metadata: it is there after a restart, and on all brokers. Configs marked *start* are read once.

## What is refused, and what is ignored

- A topic config that is not known is an error, and so is a value of the wrong type or out of bounds. So is a flag that there is not. The nearest known name
  is told.
- ` + "`remote.storage.enable=true`" + ` is refused: there is no tiered storage.
- ` + "`flush.messages` and `flush.ms`" + ` are accepted and have no effect: every acknowledged record is on disk already.
- Kafka's broker configs that mean nothing here (threads, buffers, SASL, tiered storage ...) are ignored; a warning names them once, at the start. Names that nobody
  knows are treated likewise, unless they are a typing error away from one that is known: then the broker does not start.
- At runtime any broker config can be set that Kafka lets set, as in Kafka: names that mean nothing here, or to nobody, are kept and shown, without effect.
- Environment variables that begin with MILLRACE_ and name neither a flag nor a config are ignored, since others set such (Kubernetes does).

`

// page is the whole page.
func page() string {
	var b strings.Builder
	b.WriteString(introduction)
	table(&b, "Topics", "What a topic has. *Broker config* is where its value comes from when the topic has none of its own.", config.TopicKeys(), true)
	table(&b, "Brokers", "What a broker has.", config.BrokerKeys(), false)
	table(&b, "Groups", "What a consumer group of the newer protocol has (`millrace config alter group NAME`).", config.GroupKeys(), true)
	table(&b, "Client metrics", "What a subscription to client metrics has (`millrace config alter client-metrics NAME`).", config.MetricsKeys(), false)
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// table writes the configs of one kind of thing.
func table(b *strings.Builder, title, what string, keys []config.Key, fallbacks bool) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n| config | type | default |", title, what)
	if fallbacks {
		b.WriteString(" broker config |")
	} else {
		b.WriteString(" when |")
	}
	b.WriteString(" |\n|---|---|---|---|---|\n")
	for i := range keys {
		k := &keys[i]
		if k.Name == "internal.segment.bytes" {
			continue // of tests, as in Kafka
		}
		third := "start"
		if !k.Fixed {
			third = "any time"
		}
		if fallbacks {
			third = code(k.BrokerNames()...)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", k.Name, strings.ToLower(k.Kind.String()), defaultOf(k), third, cell(k.Doc))
	}
	b.WriteString("\n")
}

func defaultOf(k *config.Key) string {
	switch {
	case k.Null:
		return "none"
	case k.Default == "":
		return "empty"
	}
	return code(k.Default)
}

func code(words ...string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

// cell is text as it may stand in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
