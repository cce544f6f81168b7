package machine

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestSparesAreUsedWhenThereAreNoFilesLeft(t *testing.T) {
	s := newSpares()
	left := 0
	full := func() error {
		if left--; left >= 0 {
			return fmt.Errorf("open: %w", syscall.EMFILE)
		}
		return nil
	}
	if left = 3; s.must(full) != nil || len(s.kept) != spareFiles {
		t.Errorf("%d spares are there after three were needed", len(s.kept))
	}
	if left = spareFiles + 1; !errors.Is(s.must(full), syscall.EMFILE) || len(s.kept) != 0 {
		t.Errorf("%d spares are there after more than all were needed", len(s.kept))
	}
	if s.must(func() error { return os.ErrNotExist }) != os.ErrNotExist || len(s.kept) != 0 {
		t.Error("another error is none of its business")
	}
	if s.must(func() error { return nil }) != nil || len(s.kept) != spareFiles {
		t.Errorf("%d spares are there once there are files again", len(s.kept))
	}
	for s.letGo() {
	}
}
