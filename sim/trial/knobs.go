package trial

import (
	"time"

	"millrace/sim"
	"millrace/sim/client"
)

// drawRetries lets some of the plain producers send again what was refused.
func drawRetries(d *sim.Draws, p *Plan) {
	for i := range p.Actors {
		if a := &p.Actors[i]; a.Kind == "producer" && !a.Idempotent && a.Acks != 0 {
			a.Retries = d.Chance(0.5)
		}
	}
}

// drawRules lets a third of the producers follow the rules of librdkafka, some of them with little patience, so that what
// they have queued runs out of time while a partition has no leader.
func drawRules(d *sim.Draws, p *Plan) {
	for i := range p.Actors {
		a := &p.Actors[i]
		if a.Kind != "producer" || !d.Chance(0.33) {
			continue
		}
		a.Rules = client.Librdkafka
		if a.Retries = false; !a.Idempotent {
			a.InFlight = sim.Pick(d, 1, 5, 20)
		}
		if d.Chance(0.5) {
			a.Delivery = time.Duration(d.Skewed(3, 60)) * time.Second
		}
	}
}
