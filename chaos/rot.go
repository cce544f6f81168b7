package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// spoil changes a few bytes in one of the segments, or of their indexes, of a data directory that nobody uses, and says
// where.
func spoil(dir string, draw uint64) (string, error) {
	r := rand.New(rand.NewPCG(draw, 0))
	pattern := "*.log"
	if r.IntN(4) == 0 {
		pattern = "*.index"
	}
	files, err := filepath.Glob(filepath.Join(dir, "partitions", "*", pattern))
	if err != nil {
		return "", err
	}
	slices.Sort(files)
	files = slices.DeleteFunc(files, func(name string) bool {
		info, err := os.Stat(name)
		return err != nil || info.Size() == 0
	})
	if len(files) == 0 {
		return "there is nothing yet that could rot", nil
	}
	name := files[r.IntN(len(files))]
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	var at []int64
	for range 1 + r.IntN(3) {
		one, off := make([]byte, 1), r.Int64N(info.Size())
		if _, err := f.ReadAt(one, off); err != nil {
			return "", err
		}
		one[0] ^= byte(1 + r.IntN(255))
		if _, err := f.WriteAt(one, off); err != nil {
			return "", err
		}
		at = append(at, off)
	}
	return fmt.Sprintf("bytes %d of %s, of %d bytes, have changed", at, name, info.Size()), f.Close()
}
