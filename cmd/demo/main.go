package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"millrace/cmd/internal/broker"
)

// demo is one run of the command.
type demo struct {
	broker  *broker.Broker
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
	what := flag.String("broker", broker.MillraceLine("build/millrace"), "command line of the broker, with {data} and {listen}, or kafka")
	listen := flag.String("listen", "", "address of the broker (default a free port of 127.0.0.1)")
	names := flag.String("clients", "franz-go,kcat,java", "clients to use")
	lines := flag.Int("lines", 0, "load only so many lines (0: all)")
	kills := flag.Int("kills", 20, "how often to kill the broker under each producer")
	phases := flag.String("phases", "quiet,kills", "what to do")
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
	if *listen == "" {
		if *listen, err = freeAddress(); err != nil {
			return err
		}
	}
	d := &demo{kills: *kills, ready: *ready}
	if *only != "" {
		d.only = strings.Split(*only, ",")
	}
	if d.broker, err = broker.Choose(ctx, *what, dir, *listen); err != nil {
		return err
	}
	if err := d.read(ctx, *lines); err != nil {
		return err
	}
	hold := buffered(min(10_000, max(100, d.want.records/int64(*kills+1)/4)))
	if d.clients, err = openClients(ctx, strings.Split(*names, ","), hold); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	defer d.broker.Kill()
	for _, phase := range strings.Split(*phases, ",") {
		if err := d.phase(ctx, phase); err != nil {
			return fmt.Errorf("%w\nthe end of what the broker printed:\n%s", err, d.broker.LogTail())
		}
	}
	fmt.Println("everything that went in came out, once and in order")
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

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

func (d *demo) start(ctx context.Context) error {
	if err := d.broker.Start(ctx); err != nil {
		return err
	}
	rctx, cancel := context.WithTimeout(ctx, d.ready)
	defer cancel()
	return d.broker.WaitReady(rctx)
}

func (d *demo) phase(ctx context.Context, phase string) error {
	if phase != "quiet" && phase != "kills" {
		return fmt.Errorf("there is no phase %q: quiet, kills", phase)
	}
	for i, producer := range d.clients {
		if len(d.only) > 0 && !slices.Contains(d.only, producer.name()) {
			continue
		}
		topic := "demo-" + phase + "-" + producer.name()
		if err := createTopic(ctx, d.broker.Listen, topic, partitions); err != nil {
			return err
		}
		began := time.Now()
		var err error
		if phase == "kills" {
			err = d.produceUnderKills(ctx, producer, topic)
		} else {
			err = producer.produce(ctx, d.broker.Listen, topic, newFeed(d.source, -1))
		}
		if err != nil {
			return fmt.Errorf("%s: producing with %s: %w", phase, producer.name(), err)
		}
		n, err := offsets(ctx, d.broker.Listen, topic)
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
	if err := reader.consume(ctx, d.broker.Listen, topic, d.want.records, got); err != nil {
		return fmt.Errorf("%s: reading %s with %s: %w", phase, topic, reader.name(), err)
	}
	fmt.Printf("%s: %s read %d records in %.1f s, checksum %s\n", phase, reader.version(), got.records, time.Since(began).Seconds(), got.sum())
	if diff := d.want.difference(got); diff != "" {
		return errors.New(phase + ": " + reader.name() + " read " + topic + " otherwise: " + diff)
	}
	return nil
}
