package batch

import (
	"testing"

	"github.com/pierrec/lz4/v4"
)

// BenchmarkUnlz4 decompresses a batch as franz-go makes it, with and without the library's reader.
func BenchmarkUnlz4(b *testing.B) {
	contents := someContents(900_000)
	frame := lz4Frame(b, contents)
	for _, name := range []string{"usual", "library"} {
		b.Run(name, func(b *testing.B) {
			c := NewCoders()
			src := frame
			if name == "library" {
				src = lz4Frame(b, contents, lz4.BlockChecksumOption(true))
			}
			b.SetBytes(int64(len(contents)))
			for b.Loop() {
				if _, err := c.decompress(LZ4, src, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
