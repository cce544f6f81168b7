package batch

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// zstdFrames are frames of all kinds: of known and unknown size, with sums, in many small blocks, several, skipped ones.
func zstdFrames(t testing.TB) (frames [][]byte) {
	t.Helper()
	zeros, text := make([]byte, 300_000), someContents(300_000)
	for _, contents := range [][]byte{nil, {7}, text[:100], text, zeros, append(bytes.Clone(text), zeros...)} {
		for _, options := range [][]zstd.EOption{nil, {zstd.WithEncoderCRC(false)}, {zstd.WithSingleSegment(true)}, {zstd.WithWindowSize(32 << 20)}, {zstd.WithZeroFrames(true)}} {
			w, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...)
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, w.EncodeAll(contents, nil))
			var out bytes.Buffer
			w.Reset(&out)
			for rest := contents; len(rest) > 0; rest = rest[min(len(rest), 20_000):] {
				w.Write(rest[:min(len(rest), 20_000)])
				w.Flush()
			}
			w.Close()
			frames = append(frames, out.Bytes())
		}
	}
	skipped := []byte{0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'a', 'b'}
	return append(frames, skipped, append(skipped, frames[7]...), append(bytes.Clone(frames[9]), frames[7]...))
}

// checkZstd compares what is decompressed within a limit with what the library makes of it without one.
func checkZstd(t *testing.T, library *zstd.Decoder, c *Coders, src []byte, limit int) {
	want, failed := library.DecodeAll(src, nil)
	least, most, sound := zstdSizes(src)
	if failed == nil && (!sound || least > len(want) || most < len(want)) {
		t.Fatalf("%d bytes are said to be %d to %d, sound: %t", len(want), least, most, sound)
	}
	got, err := c.decompress(Zstd, src, limit)
	switch {
	case errors.Is(failed, zstd.ErrWindowSizeExceeded), errors.Is(failed, zstd.ErrDecoderSizeExceeded): // it has its own bound
	case failed != nil && err == nil:
		t.Fatalf("limit %d: %d bytes of what the library refuses: %v", limit, len(got), failed)
	case failed != nil:
	case len(want) > limit && !errors.Is(err, errTooLarge):
		t.Fatalf("%d bytes, at most %d: %v", len(want), limit, err)
	case len(want) <= limit && most <= limit && (err != nil || !bytes.Equal(got, want)):
		t.Fatalf("%d bytes, at most %d: %d bytes, %v", len(want), limit, len(got), err)
	case len(want) <= limit && err == nil && !bytes.Equal(got, want):
		t.Fatalf("%d bytes, at most %d: others", len(want), limit)
	case len(want) <= limit && err != nil && !errors.Is(err, errTooLarge):
		t.Fatalf("%d bytes, at most %d: %v", len(want), limit, err)
	}
}

// TestZstdSizes decompresses all kinds of frames with limits around their sizes.
func TestZstdSizes(t *testing.T) {
	library, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	coders := []*Coders{NewCoders(), NewLargeCoders(700_000)}
	streamed := 0
	for _, src := range zstdFrames(t) {
		want, err := library.DecodeAll(src, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := len(want)
		for _, limit := range []int{1, n / 2, n - 1, n, n + 1, 2*n + zstdBlock, 700_000} {
			for _, c := range coders {
				if limit >= 0 && limit <= 700_000 {
					checkZstd(t, library, c, src, limit)
				}
			}
			if _, most, _ := zstdSizes(src); most > limit+zstdBlock && n <= limit {
				streamed++
			}
		}
	}
	if streamed == 0 {
		t.Error("nothing was read as a stream")
	}
}

func FuzzZstdSizes(f *testing.F) {
	for _, src := range zstdFrames(f) {
		f.Add(src, uint32(100_000))
	}
	library, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		f.Fatal(err)
	}
	coders := []*Coders{NewCoders(), NewLargeCoders(1 << 20)}
	f.Fuzz(func(t *testing.T, src []byte, limit uint32) {
		if _, most, _ := zstdSizes(src); most > 4<<20 {
			return // the library takes all of it
		}
		for _, c := range coders {
			checkZstd(t, library, c, src, int(limit)%(1<<20))
		}
	})
}
