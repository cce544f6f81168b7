package node

import (
	"errors"
	"testing"
)

func TestFilesAreShared(t *testing.T) {
	if s := shareFiles(0); s != (fileShares{}) {
		t.Errorf("of an unknown number nothing is shared: %+v", s)
	}
	for _, files := range []int{200, 256, 1024, 20_000, 1 << 20} {
		s := shareFiles(files)
		if s.Connections < 8 || s.Open < 8 || s.Writing < 2 {
			t.Errorf("of %d files: %+v", files, s)
		}
		// Segments have an index beside them.
		if used := s.Connections + 2*s.Open + 2*segmentWriters*s.Writing + fixedFiles; files >= 256 && used > files {
			t.Errorf("of %d files %d are given away: %+v", files, used, s)
		}
	}
	if n := shareFiles(20_000).Connections; n < 10_000 {
		t.Errorf("of 20,000 files %d are for connections", n)
	}
	if s := shareFiles(1 << 20); s.Open != 1000 || s.Writing != 250 || s.Connections < 100_000 {
		t.Errorf("of very many files: %+v", s)
	}
}

func TestBoundsOfAddresses(t *testing.T) {
	m, err := perAddress(" 10.0.0.1:5, [::1]:7,fe80::1:0 ,")
	if err != nil || len(m) != 3 || m["10.0.0.1"] != 5 || m["::1"] != 7 || m["fe80::1"] != 0 {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"10.0.0.1", "10.0.0.1:x", ":5", "10.0.0.1:-1"} {
		if _, err := perAddress(bad); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
