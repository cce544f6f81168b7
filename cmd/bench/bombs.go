package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/cmd/internal/broker"
	"millrace/cmd/internal/rawclient"
)

// bombs are batches of less than a MB, and how many MB of zeros they hold: as many as their codecs allow, and time.
var bombs = []struct {
	codec kgo.CompressionCodec
	name  string
	mb    int
}{{kgo.GzipCompression(), "gzip", 800}, {kgo.SnappyCompression(), "snappy", 18}, {kgo.Lz4Compression(), "lz4", 220}, {kgo.ZstdCompression(), "zstd", 800}}

// runBombs has many connections send decompression bombs while one sends records, for each codec in turn. It says how much
// memory the broker had at most, and how long the longest wait for an acknowledgement was; it fails above a bound.
func runBombs(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bombs", flag.ExitOnError)
	what := flags.String("broker", broker.MillraceLine("build/millrace"), "kafka, or a command line with {data} and {listen}")
	connections := flags.Int("connections", 128, "how many connections send bombs")
	each := flags.Int("each", 4, "how many each of them sends for each codec")
	codec := flags.String("codec", "", "only this one")
	most := flags.Float64("most", 1000, "fail when the broker needs more MB of memory than this")
	dir := flags.String("dir", os.TempDir(), "where the broker keeps its data meanwhile")
	flags.Parse(args) //nolint:errcheck // it exits
	b, end, err := startAlone(ctx, *what, *dir)
	if err != nil {
		return err
	}
	defer end()
	setup, err := rawclient.Dial(ctx, b.Listen)
	if err != nil {
		return err
	}
	defer setup.Close()
	if err := setup.CreateTopic("bombs", 1); err != nil {
		return err
	}
	largest := 0.0
	for _, kind := range bombs {
		if *codec != "" && kind.name != *codec {
			continue
		}
		bomb, err := makeBomb(kind.codec, kind.mb)
		if err != nil {
			return err
		}
		began := time.Now()
		flood := startFlood(ctx, b.Listen, bomb, *connections, *each)
		peak, longest, err := watchFlood(ctx, b, flood)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		fmt.Printf("%-6s %d bombs of %d KB that hold %d MB over %d connections: refused in %.1f s, resident %.0f MB at most, longest wait of another's record %d ms\n",
			kind.name, *connections**each, len(bomb)>>10, kind.mb, *connections, time.Since(began).Seconds(), peak, longest.Milliseconds())
		largest = max(largest, peak)
	}
	if largest > *most {
		return fmt.Errorf("%.0f MB are more than %.0f", largest, *most)
	}
	return nil
}

// startFlood sends the bombs. The channel has one error, nil when every one was refused as too large or malformed.
func startFlood(ctx context.Context, addr string, bomb []byte, connections, each int) <-chan error {
	done := make(chan error, 1)
	var wait sync.WaitGroup
	errs := make([]error, connections)
	for i := range connections {
		wait.Go(func() { errs[i] = sendBombs(ctx, addr, bomb, each) })
	}
	go func() {
		wait.Wait()
		done <- errors.Join(errs...)
	}()
	return done
}

func sendBombs(ctx context.Context, addr string, bomb []byte, each int) error {
	c, err := rawclient.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		return err
	}
	for i := range each { // the answers fit into the socket's buffers
		if err := c.SendProduce(int32(i), "bombs", 0, -1, bomb); err != nil {
			return err
		}
	}
	for range each {
		if _, _, err := c.ReadProduced(); !errors.Is(err, kerr.MessageTooLarge) && !errors.Is(err, kerr.InvalidRecord) {
			return fmt.Errorf("a bomb was answered with: %w", err)
		}
	}
	return nil
}

// watchFlood produces records of its own, one at a time, and looks at the broker's memory, until the flood is over.
func watchFlood(ctx context.Context, b *broker.Broker, flood <-chan error) (peak float64, longest time.Duration, err error) {
	c, err := rawclient.Dial(ctx, b.Listen)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	for n := int32(0); ; n++ {
		began := time.Now()
		if err := c.SendProduce(n, "bombs", 0, -1, rawclient.Batch([]byte("a record"))); err != nil {
			return 0, 0, err
		}
		if _, _, err := c.ReadProduced(); err != nil {
			return 0, 0, err
		}
		longest = max(longest, time.Since(began))
		now, err := residentMB(b.Pid())
		if err != nil {
			return 0, 0, err
		}
		peak = max(peak, now)
		select {
		case err := <-flood:
			return peak, longest, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// makeBomb is a batch whose records are so many MB of zeros without their compression.
func makeBomb(codec kgo.CompressionCodec, mb int) ([]byte, error) {
	c, err := kgo.DefaultCompressor(codec)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	body, kind := c.Compress(&out, make([]byte, mb<<20))
	b := append(rawclient.Batch([]byte("x"))[:61], body...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[22] = byte(kind)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b, nil
}
