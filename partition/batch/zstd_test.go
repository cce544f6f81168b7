package batch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestZstdRoom decompresses what Java's zstd stream wrote: frames that do not say how large they are, in blocks of up to
// 128 KiB, of sizes (the files' names) around the memory that the decoder is first given.
func TestZstdRoom(t *testing.T) {
	var text bytes.Buffer
	for i := 0; text.Len() < 300_000; i++ {
		fmt.Fprintf(&text, "src/net/http/h2_bundle.go\tline %d of a text that repeats itself\n", i)
	}
	names, err := filepath.Glob("testdata/zstd/*")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		size, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		packed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{size, size + 1, 4 << 20} {
			got, err := NewCoders().decompress(Zstd, packed, limit)
			if err != nil || !bytes.Equal(got, text.Bytes()[:size]) {
				t.Errorf("%d bytes in %d, at most %d: %d bytes, error %v", size, len(packed), limit, len(got), err)
			}
		}
		for _, limit := range []int{1, size / 2, size - 1} {
			if _, err := NewCoders().decompress(Zstd, packed, limit); !errors.Is(err, errTooLarge) {
				t.Errorf("%d bytes, at most %d: error %v", size, limit, err)
			}
		}
		for _, cut := range []int{len(packed) / 2, len(packed) - 1} {
			if _, err := NewCoders().decompress(Zstd, packed[:cut], 4<<20); err == nil {
				t.Errorf("%d bytes, cut after %d: no error", size, cut)
			}
		}
	}
}
