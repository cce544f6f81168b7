package machine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"millrace/node/host"
)

// Options configure a machine. The zero value works but for Dir.
type Options struct {
	// Dir is the data directory. It is made if missing.
	Dir string
	// Log takes the node's log; nil discards it.
	Log *slog.Logger
	// FreeMemory bounds the free bytes that the buffer pool keeps; 0 means 128 MiB.
	FreeMemory int64
	// Poison overwrites released buffers; for tests.
	Poison bool
}

// New returns the world of one node on this machine. wait returns when all tasks that were started have ended.
func New(o Options) (h host.Host, wait func(), err error) {
	if err := makeDataDir(o.Dir); err != nil {
		return host.Host{}, nil, fmt.Errorf("make the data directory: %w", err)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	free := o.FreeMemory
	if free == 0 {
		free = 128 << 20
	}
	disk, err := openDisk(o.Dir)
	if err != nil {
		return host.Host{}, nil, err
	}
	c := &clock{start: time.Now()}
	t := &tasks{clock: c, compute: make(chan struct{}, runtime.GOMAXPROCS(0))}
	return host.Host{
		Clock:     c,
		Tasks:     t,
		Disk:      disk,
		Transport: &transport{clock: c},
		Random:    random{},
		Secure:    rand.Reader,
		Buffers:   host.NewPool(t, free, o.Poison),
		Log:       log,
	}, t.running.Wait, nil
}

// makeDataDir makes the directory and what is missing above it, and syncs the directory that holds each name it made: a
// data directory whose own name a power cut takes away is as lost as its contents.
func makeDataDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDataDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	above, err := os.Open(parent)
	if err != nil {
		return err
	}
	defer above.Close()
	return syncDir(above)
}

type clock struct{ start time.Time }

func (c *clock) Now() host.Instant     { return host.Instant(time.Since(c.start)) }
func (c *clock) Wall() time.Time       { return time.Now() }
func (c *clock) Sleep(d time.Duration) { time.Sleep(d) }

// at turns an instant into a deadline of the net package; the zero time, for Never, means none.
func (c *clock) at(t host.Instant) time.Time {
	if t == host.Never {
		return time.Time{}
	}
	return c.start.Add(time.Duration(t))
}

type tasks struct {
	clock   *clock
	running sync.WaitGroup
	compute chan struct{}
}

func (t *tasks) Go(_ string, run func()) { t.running.Go(run) }
func (t *tasks) Yield()                  {}

func (t *tasks) Compute(_ string, _ int, work func()) {
	t.compute <- struct{}{}
	work()
	<-t.compute
}

func (t *tasks) NewWaiter() host.Waiter {
	return &waiter{clock: t.clock, permit: make(chan struct{}, 1)}
}

type waiter struct {
	clock  *clock
	permit chan struct{}
	timer  *time.Timer
}

func (w *waiter) Wake() {
	select {
	case w.permit <- struct{}{}:
	default:
	}
}

func (w *waiter) Wait() { <-w.permit }

func (w *waiter) WaitUntil(deadline host.Instant) bool {
	select {
	case <-w.permit:
		return true
	default:
	}
	if deadline == host.Never {
		<-w.permit
		return true
	}
	left := deadline.Sub(w.clock.Now())
	if left <= 0 {
		return false
	}
	if w.timer == nil {
		w.timer = time.NewTimer(left)
	} else {
		w.timer.Reset(left)
	}
	select {
	case <-w.permit:
		w.timer.Stop()
		return true
	case <-w.timer.C:
		return false
	}
}

type random struct{}

func (random) Uint64(string) uint64 { return mathrand.Uint64() }
