package trial

import (
	"fmt"
	"maps"
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

// drawKnobs draws limits and times that have a default in the rest of the plans.
func drawKnobs(d *sim.Draws, p *Plan) {
	for _, b := range []*BrokerPlan{&p.Broker, p.Other} {
		if b == nil {
			continue
		}
		if d.Chance(0.4) { // from entries of one batch on
			b.EntryBytes = int(d.Skewed(100, 64<<10))
		}
		if d.Chance(0.3) {
			b.InFlightRequests = int(d.Skewed(1, 64))
		}
		if d.Chance(0.3) {
			b.Properties = maps.Clone(b.Properties)
			if b.Properties == nil {
				b.Properties = make(map[string]string)
			}
			b.Properties["fetch.max.bytes"] = fmt.Sprint(d.Skewed(1024, 1<<20))
		}
	}
	for i := range p.Topics {
		if t := &p.Topics[i]; d.Chance(0.2) { // what the checks at the end send is smaller
			t.Configs = append(t.Configs, "max.message.bytes", fmt.Sprint(d.Skewed(500, 16<<10)))
		}
	}
	for i := range p.Actors {
		switch a := &p.Actors[i]; a.Kind {
		case "producer", "consumer", "looker", "admin", "offsets":
			// Below two seconds clients give up what brokers still do, above five they hear that it took too long.
			if d.Chance(0.3) {
				a.Timeout = time.Duration(d.Skewed(800, 8000)) * time.Millisecond
			}
		}
	}
}
