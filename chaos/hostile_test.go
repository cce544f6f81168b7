package chaos

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"testing"
	"time"
)

// TestBombIsABatch looks at a bomb as a broker does before it is decompressed.
func TestBombIsABatch(t *testing.T) {
	b := bombBatch()
	if n := int(binary.BigEndian.Uint32(b[8:])) + 12; n != len(b) || n > 1_000_000 {
		t.Errorf("it says that it has %d bytes, and has %d", n, len(b))
	}
	if sum := binary.BigEndian.Uint32(b[17:]); sum != crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)) {
		t.Errorf("its checksum is %x", sum)
	}
	z, err := gzip.NewReader(bytes.NewReader(b[61:]))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, z); n != bombMB<<20 || err != nil {
		t.Errorf("it holds %d bytes, %v", n, err)
	}
}

// TestHostileClientsEnd lets them loose on a server that sends back what it reads, and on none.
func TestHostileClientsEnd(t *testing.T) {
	h := newHistory()
	l := &load{history: h, bootstrap: []string{echo(t), "127.0.0.1:1"}}
	c := &crew{history: h}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	l.startHostile(ctx, c, 1)
	busy := func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.counts["hostile: garbage"] > 0
	}
	for ctx.Err() == nil && !busy() {
		time.Sleep(10 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Error("nobody did anything")
	}
	cancel()
	c.all.Wait()
}
