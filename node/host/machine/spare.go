package machine

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// spares are file descriptors that are kept so that what must be opened can be opened when all others are in use: a file of
// the write-ahead log, a segment to be written, a directory to be synced. Without them a flood of connections would end the
// node.
type spares struct {
	mu   sync.Mutex
	kept []*os.File
}

// spareFiles is how many are kept.
const spareFiles = 32

func newSpares() *spares {
	s := &spares{}
	s.refill()
	return s
}

// must opens something, with one of the spares if need be.
func (s *spares) must(open func() error) error {
	err := open()
	for (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && s.letGo() {
		err = open()
	}
	if err == nil {
		s.refill()
	}
	return err
}

// letGo closes a spare; false when there is none.
func (s *spares) letGo() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.kept)
	if n == 0 {
		return false
	}
	s.kept[n-1].Close()
	s.kept = s.kept[:n-1]
	return true
}

// refill opens what is missing, as far as it goes.
func (s *spares) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.kept) < spareFiles {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return
		}
		s.kept = append(s.kept, f)
	}
}
