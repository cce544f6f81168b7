package server

import (
	"math"
	"time"

	"millrace/node/host"
)

// pace spreads the connections that are taken over time, for Options.AcceptRate: a second's worth of them at once, and
// then one after the other.
type pace struct {
	// due is when the next one would come if all kept to the rate: at most a second ago.
	due host.Instant
}

// took notes that a connection was taken, and returns how long to wait before the next one.
func (p *pace) took(now host.Instant, rate int64) time.Duration {
	if rate >= math.MaxInt32 {
		p.due = 0
		return 0
	}
	rate = max(rate, 1)
	step := time.Second / time.Duration(rate)
	p.due = max(p.due, now.Add(step-time.Second)).Add(step)
	return min(max(p.due.Sub(now), 0), step)
}
