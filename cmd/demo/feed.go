package main

import (
	"context"
	"sync"
)

// feed hands the text to a producer, line by line, and can hold it back: the kills must find it at work, and the last
// one must not come when all is done.
type feed struct {
	source *source

	mu    sync.Mutex
	moved *sync.Cond
	fed   int64
	gate  int64 // the feed waits before line number gate; negative: no gate
}

func newFeed(s *source, gate int64) *feed {
	f := &feed{source: s, gate: gate}
	f.moved = sync.NewCond(&f.mu)
	return f
}

// each calls fn for every line when its turn has come.
func (f *feed) each(ctx context.Context, fn func(key string, line []byte) error) error {
	stop := context.AfterFunc(ctx, f.moved.Broadcast)
	defer stop()
	return f.source.each(func(key string, line []byte) error {
		f.mu.Lock()
		for f.gate >= 0 && f.fed >= f.gate && ctx.Err() == nil {
			f.moved.Wait()
		}
		f.fed++
		f.moved.Broadcast()
		f.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(key, line)
	})
}

// open moves the gate; negative removes it.
func (f *feed) open(gate int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = gate
	f.moved.Broadcast()
}

// waitFed returns when n lines are fed, or the context ends.
func (f *feed) waitFed(ctx context.Context, n int64) error {
	stop := context.AfterFunc(ctx, f.moved.Broadcast)
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.fed < n && ctx.Err() == nil {
		f.moved.Wait()
	}
	return ctx.Err()
}

func (f *feed) count() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fed
}
