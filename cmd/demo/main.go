package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"millrace/cmd/internal/broker"
)

// demo is one run of the command.
type demo struct {
	cluster *broker.Cluster
	clients []client
	source  *source
	want    *digest
	kills   int
	ready   time.Duration
	only    []string // the clients that produce, all when empty
}

// partitions of each topic.
const partitions = 6

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	what := flag.String("broker", "", "command line of the broker, with {data} and {listen}, or kafka (default build/millrace)")
	nodes := flag.Int("nodes", 1, "nodes of a cluster, with a replica of everything on each; the command line then also has {node}, {peers} and {advertise}")
	listen := flag.String("listen", "", "address of a broker that is alone (default a free port of 127.0.0.1)")
	names := flag.String("clients", "franz-go,kcat,java", "clients to use, of franz-go, kcat, java, sarama")
	lines := flag.Int("lines", 0, "load only so many lines (0: all)")
	kills := flag.Int("kills", 20, "how often to strike the broker under each producer")
	phases := flag.String("phases", "quiet,kills", "what to do: quiet, kills (-9), rolling (restarts in order)")
	only := flag.String("producers", "", "of the clients, let only these produce (default all)")
	keep := flag.Bool("keep", false, "leave the broker's data in the temporary directory")
	ready := flag.Duration("ready", time.Minute, "how long a start of the broker may take")
	flag.Parse()

	dir, err := os.MkdirTemp("", "millrace-demo-")
	if err != nil {
		return err
	}
	if !*keep {
		defer os.RemoveAll(dir)
	}
	d := &demo{kills: *kills, ready: *ready}
	if *only != "" {
		d.only = strings.Split(*only, ",")
	}
	if d.cluster, err = chooseCluster(ctx, *what, dir, *listen, *nodes); err != nil {
		return err
	}
	if err := d.read(ctx, *lines); err != nil {
		return err
	}
	hold := buffered(min(10_000, max(100, d.want.records/int64(*kills+1)/4)))
	if d.clients, err = openClients(ctx, strings.Split(*names, ","), hold); err != nil {
		return err
	}
	defer d.cluster.Kill()
	sctx, cancel := context.WithTimeout(ctx, d.ready)
	defer cancel()
	if err := d.cluster.Start(sctx); err != nil {
		return err
	}
	for _, phase := range strings.Split(*phases, ",") {
		if err := d.phase(ctx, phase); err != nil {
			for _, b := range d.cluster.Nodes {
				err = fmt.Errorf("%w\nthe end of what %s printed:\n%s", err, b.Name, b.LogTail())
			}
			return err
		}
	}
	fmt.Println("everything that went in came out, once and in order")
	return nil
}

// chooseCluster makes the brokers, or one that is alone.
func chooseCluster(ctx context.Context, what, dir, listen string, nodes int) (*broker.Cluster, error) {
	const binary = "build/millrace"
	if nodes > 1 {
		if what == "" {
			what = broker.MillraceClusterLine(binary)
		}
		return broker.ChooseCluster(ctx, what, dir, nodes, nil)
	}
	if what == "" {
		what = broker.MillraceLine(binary)
	}
	if listen == "" {
		free, err := broker.FreeAddresses(1)
		if err != nil {
			return nil, err
		}
		listen = free[0]
	}
	b, err := broker.Choose(ctx, what, dir, listen)
	if err != nil {
		return nil, err
	}
	return broker.Lone(b), nil
}

// at is what clients are told of the brokers.
func (d *demo) at() string { return strings.Join(d.cluster.Brokers(), ",") }

func (d *demo) read(ctx context.Context, lines int) error {
	var err error
	if d.source, err = goSource(ctx, lines); err != nil {
		return err
	}
	d.want = newDigest()
	err = d.source.each(func(key string, line []byte) error {
		d.want.add(key, line)
		return nil
	})
	fmt.Printf("source: %d lines of %d files, %d bytes, checksum %s\n", d.want.records, len(d.want.keys), d.want.bytes, d.want.sum())
	return err
}

func (d *demo) start(ctx context.Context, b *broker.Broker) error {
	if err := b.Start(ctx); err != nil {
		return err
	}
	rctx, cancel := context.WithTimeout(ctx, d.ready)
	defer cancel()
	return b.WaitReady(rctx)
}

func (d *demo) phase(ctx context.Context, phase string) error {
	b, strike := blows[phase]
	if phase != "quiet" && !strike {
		return fmt.Errorf("there is no phase %q: quiet, kills, rolling", phase)
	}
	for i, producer := range d.clients {
		if len(d.only) > 0 && !slices.Contains(d.only, producer.name()) {
			continue
		}
		topic := "demo-" + phase + "-" + producer.name()
		if err := createTopic(ctx, d.at(), topic, partitions, int16(min(3, len(d.cluster.Nodes)))); err != nil {
			return err
		}
		began := time.Now()
		var err error
		if strike {
			err = d.produceUnder(ctx, b, producer, topic)
		} else {
			err = producer.produce(ctx, d.at(), topic, newFeed(d.source, -1))
		}
		if err != nil {
			return fmt.Errorf("%s: producing with %s: %w", phase, producer.name(), err)
		}
		n, err := offsets(ctx, d.at(), topic)
		if err != nil {
			return fmt.Errorf("asking for offsets: %w", err)
		}
		fmt.Printf("%s: %s wrote %d records in %.1f s; the log holds %d\n", phase, producer.version(), d.want.records, time.Since(began).Seconds(), n)
		if n != d.want.records {
			return fmt.Errorf("%s: the log holds %d records, %d went in by %s", phase, n, d.want.records, producer.name())
		}
		readers := append(append([]client{}, d.clients[i+1:]...), d.clients[:i]...)
		if len(readers) == 0 {
			readers = d.clients
		}
		for _, reader := range readers {
			if err := d.readBack(ctx, phase, reader, topic); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *demo) readBack(ctx context.Context, phase string, reader client, topic string) error {
	got, began := newDigest(), time.Now()
	if err := reader.consume(ctx, d.at(), topic, d.want.records, got); err != nil {
		return fmt.Errorf("%s: reading %s with %s: %w", phase, topic, reader.name(), err)
	}
	fmt.Printf("%s: %s read %d records in %.1f s, checksum %s\n", phase, reader.version(), got.records, time.Since(began).Seconds(), got.sum())
	if diff := d.want.difference(got); diff != "" {
		return errors.New(phase + ": " + reader.name() + " read " + topic + " otherwise: " + diff)
	}
	return nil
}
