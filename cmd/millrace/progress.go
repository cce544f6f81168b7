package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// work is something that takes long, of which somebody may want to see how far it is.
type work struct {
	what string // in the singular
	done *atomic.Int64
	// share is how much of all of it is done, from 0 on; 0 when nobody knows. It is called by another goroutine.
	share func(passed time.Duration) float64
}

// upTo is the share of work that ends after so many, or so many seconds; 0 means never.
func (w *work) upTo(whole int64, seconds float64) {
	w.share = func(passed time.Duration) (share float64) {
		if whole > 0 {
			share = float64(w.done.Load()) / float64(whole)
		}
		if seconds > 0 {
			share = max(share, passed.Seconds()/seconds)
		}
		return share
	}
}

// progress shows on a terminal, every second, how far work is; the function that it returns ends that.
func (s *session) progress(w work) (stop func()) {
	if s.json || !isTerminal(s.err) {
		return func() {}
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	s.showing.Store(true)
	go func() {
		defer close(gone)
		began, tick := time.Now(), time.NewTicker(time.Second)
		defer tick.Stop()
		for last := int64(0); ; {
			select {
			case <-ended:
				s.showing.Store(false)
				fmt.Fprint(s.err, clearLine)
				return
			case <-tick.C:
			}
			now, passed := w.done.Load(), time.Since(began)
			fmt.Fprint(s.err, clearLine+progressLine(passed, w.what, now, now-last, w.share(passed)))
			last = now
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			close(ended)
			<-gone
		})
	}
}

// clearLine takes the line away on which a terminal shows the progress.
const clearLine = "\r\033[K"

// progressLine says how far work is, and how long it will take if it goes on like this.
func progressLine(passed time.Duration, what string, done, lately int64, share float64) string {
	line := fmt.Sprintf("%.0f s: %s, %d/s", passed.Seconds(), count(int(done), what), lately)
	if share > 0 {
		line += fmt.Sprintf(", %.0f s to go", max(passed.Seconds()*(1-share)/share, 0))
	}
	return line
}

// isTerminal says whether a person may be at the other end of an input or an output.
func isTerminal(end any) bool {
	f, ok := end.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// countedFile is a file of which it is known how much was read.
type countedFile struct {
	*os.File
	read atomic.Int64
}

func (f *countedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.read.Add(int64(n))
	return n, err
}

// share is 0 for a pipe, which has no size.
func (f *countedFile) share(time.Duration) float64 {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return 0
	}
	return float64(f.read.Load()) / float64(st.Size())
}
