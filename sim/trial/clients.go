package trial

import (
	"cmp"
	"time"

	"millrace/sim/client"
)

// requestTimeout is how long a request may take unless the plan says otherwise.
const requestTimeout = 2 * time.Second

// newClient returns a client of an actor.
func (t *trial) newClient(name string, a ActorPlan) *client.Client {
	o := client.Options{Name: name, Lazy: a.Lazy, Timeout: cmp.Or(a.Timeout, requestTimeout), Coders: t.coders, Epochs: a.Epochs, Leaders: t.oracle.asked, Produces: t.outages.of(a),
		Corrupt: func(error) bool { return t.rots() && !t.healed }, Violated: func(err error) { t.failf("%s: %w", name, err) }}
	o.Repeats = func() { t.world.Struck("repeated after a lost answer") }
	if a.Stalls > 0 {
		d := t.world.Draws("stalls/" + name)
		o.Stall = func() time.Duration {
			if t.stop || !d.Chance(a.Stalls) {
				return 0
			}
			t.world.Struck("reader stands still")
			return time.Duration(d.Skewed(20, 4000)) * time.Millisecond
		}
	}
	for i := range t.brokers {
		o.Brokers = append(o.Brokers, t.brokers[(i+a.First)%len(t.brokers)].node.Name()+":9092")
	}
	if a.OldVersion {
		d := t.world.Draws("versions/" + name)
		drawn := make(map[int16]int16) // a client speaks one version of each API
		o.Version = func(key, low, high int16) int16 {
			if _, ok := drawn[key]; !ok {
				drawn[key] = int16(d.Between(int64(low), int64(high)))
			}
			return max(low, min(high, drawn[key]))
		}
	}
	return client.New(t.host, o)
}
