package batch

import "millrace/node/host"

// Coders keeps compressors and decompressors between uses. It belongs to one task at a time. All of them are
// single-threaded.
type Coders struct{}

// NewCoders returns coders that make each codec when it is first needed.
func NewCoders() *Coders { return &Coders{} }

// NewSpareCoders returns a store of coders that keeps up to bound of them.
func NewSpareCoders(tasks host.Tasks, bound int) *host.Spares[*Coders] {
	return host.NewSpares(tasks, bound, NewCoders)
}
