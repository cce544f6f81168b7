package batch

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// lz4Frame makes a frame with the library.
func lz4Frame(t testing.TB, contents []byte, o ...lz4.Option) []byte {
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(o...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(contents); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func someContents(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		if i%1000 < 700 {
			b[i] = byte(i / 1000)
		} else {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

func TestUsualFramesOfLZ4(t *testing.T) {
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		for _, summed := range []bool{false, true} {
			for _, n := range []int{0, 1, 15, 1000, 64 << 10, 200_000, 3_000_000} {
				want := someContents(n)
				frame := lz4Frame(t, want, lz4.BlockSizeOption(size), lz4.ChecksumOption(summed), lz4.ConcurrencyOption(1))
				got, usual, err := unlz4Usual(nil, frame, n)
				if !usual || err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%v, summed %v, %d bytes: %d bytes, usual %v, %v", size, summed, n, len(got), usual, err)
				}
				if n == 0 {
					continue
				}
				if _, usual, err := unlz4Usual(nil, frame, n-1); !usual || !errors.Is(err, errTooLarge) {
					t.Fatalf("%v, %d bytes: usual %v, %v with a limit of a byte less", size, n, usual, err)
				}
				for _, other := range [][]byte{frame[:len(frame)-1], append(bytes.Clone(frame), 0), frame[:len(frame)/2]} {
					if _, usual, _ := unlz4Usual(nil, other, n); usual {
						t.Fatalf("%v, %d bytes: a frame that is cut or goes on is left to the library", size, n)
					}
				}
			}
		}
	}
	frame := lz4Frame(t, someContents(5000), lz4.BlockChecksumOption(true))
	if _, usual, _ := unlz4Usual(nil, frame, 5000); usual {
		t.Fatal("a frame with sums of its blocks is left to the library")
	}
}

// FuzzLZ4 compares with the library, which also looks at the sum of the contents.
func FuzzLZ4(f *testing.F) {
	for _, n := range []int{0, 100, 70_000} {
		f.Add(lz4Frame(f, someContents(n), lz4.BlockSizeOption(lz4.Block64Kb)))
		f.Add(lz4Frame(f, someContents(n), lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		const limit = 1 << 20
		got, usual, err := unlz4Usual(nil, frame, limit)
		if cap(got) > limit+8<<20 {
			t.Fatalf("%d bytes of memory for a limit of %d", cap(got), limit)
		}
		if !usual {
			return
		}
		r := lz4.NewReader(bytes.NewReader(frame))
		want, failed := io.ReadAll(io.LimitReader(r, limit+1))
		switch {
		case errors.Is(err, errTooLarge) && len(want) > limit, errors.Is(failed, lz4.ErrInvalidFrameChecksum):
		case err != nil || failed != nil || !bytes.Equal(got, want):
			t.Fatalf("%d bytes, %v; the library gives %d, %v", len(got), err, len(want), failed)
		}
	})
}
