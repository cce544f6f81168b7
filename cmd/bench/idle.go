package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"millrace/cmd/internal/broker"
)

// runIdle opens many connections to one broker, has each ask for the API versions once, and leaves them alone: what does a
// connection cost that does nothing? It fails above a bound.
func runIdle(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("idle", flag.ExitOnError)
	what := flags.String("broker", broker.MillraceLine("build/millrace"), "kafka, or a command line with {data} and {listen}")
	count := flags.Int("connections", 10_000, "how many connections; both ends need a file descriptor each")
	most := flags.Float64("most", 200, "fail when the broker needs more MB of memory than this")
	dir := flags.String("dir", os.TempDir(), "where the broker keeps its data meanwhile")
	flags.Parse(args) //nolint:errcheck // it exits
	b, end, err := startAlone(ctx, *what, *dir)
	if err != nil {
		return err
	}
	defer end()
	before, err := residentMB(b.Pid())
	if err != nil {
		return err
	}
	began := time.Now()
	for i := range *count {
		c, err := askVersions(b.Listen)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
		defer c.Close()
	}
	opened := time.Since(began)
	after, err := residentMB(b.Pid())
	if err != nil {
		return err
	}
	fmt.Printf("%d connections opened in %.1f s: resident %.0f -> %.0f MB, %.1f KB a connection\n",
		*count, opened.Seconds(), before, after, (after-before)*1024/float64(*count))
	if after > *most {
		return fmt.Errorf("%.0f MB are more than %.0f", after, *most)
	}
	return nil
}

// askVersions connects and asks for the API versions (version 0), so that the broker has set up all that a connection needs.
func askVersions(addr string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	const request = "\x00\x00\x00\x0a" + "\x00\x12" + "\x00\x00" + "\x00\x00\x00\x01" + "\xff\xff"
	var size [4]byte
	if _, err = io.WriteString(c, request); err == nil {
		if _, err = io.ReadFull(c, size[:]); err == nil {
			_, err = io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size[:])))
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// startAlone runs one broker in a directory of its own below dir, until end is called.
func startAlone(ctx context.Context, what, dir string) (b *broker.Broker, end func(), err error) {
	data, err := os.MkdirTemp(dir, "millrace-bench")
	if err != nil {
		return nil, nil, err
	}
	end = func() {
		if b != nil {
			b.Stop() //nolint:errcheck // the directory goes anyway
		}
		os.RemoveAll(data) //nolint:errcheck // of temporary files
	}
	addresses, err := broker.FreeAddresses(1)
	if err == nil {
		b, err = broker.Choose(ctx, what, data, addresses[0])
	}
	for _, step := range []func(*broker.Broker, context.Context) error{(*broker.Broker).Prepare, (*broker.Broker).Start, (*broker.Broker).WaitReady} {
		if err == nil {
			err = step(b, ctx)
		}
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return b, end, nil
}
