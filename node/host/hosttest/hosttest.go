// Package hosttest is the contract of node/host as tests. Every implementation runs all of it, so that what the
// simulator promises is what the machine does.
package hosttest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"millrace/node/host"
)

// World is one fresh implementation under test: a host, and a way to run a function as one of its tasks and wait for its
// end.
type World struct {
	Host host.Host
	Run  func(func())
	// Name is the address on which the host listens and reaches itself.
	Name string
}

// Run checks an implementation. fresh is called once per case.
func Run(t *testing.T, fresh func(t *testing.T) World) {
	for _, group := range [][]check{taskChecks, fileChecks, nameChecks, netChecks} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				w := fresh(t)
				w.Run(func() {
					if err := c.run(w.Host, w.Name); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// check is one case; it returns what is wrong.
type check struct {
	name string
	run  func(h host.Host, name string) error
}

// first is the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// wants is nil when err is target.
func wants(what string, err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return fmt.Errorf("%s: got error %v, want %v", what, err, target)
}

// same is nil when a and b are equal.
func same[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}

// pattern is content in which every place differs from its neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16*29)
	}
	return b
}

// aligned is memory that direct I/O may use.
func aligned(h host.Host, n int) []byte { return h.Buffers.Get(n).Bytes() }

// equalLists compares two lists of names.
func equalLists(what string, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%s: got %q, want %q", what, got, want)
}
