package sim

import (
	"testing"

	"millrace/node/host"
	"millrace/node/host/hosttest"
)

func TestContract(t *testing.T) {
	for seed := range uint64(20) {
		hosttest.Run(t, func(t *testing.T) hosttest.World {
			w := New(seed, Options{Priorities: seed%3 == 2})
			w.SetNet(NetProfile{Small: 0.3})
			n := w.AddNode("n")
			var given func() // what the first task runs, once it is known
			n.Boot(func(h host.Host) {
				given()
				w.Stop()
			})
			return hosttest.World{Host: n.inc.host(), Name: "n", Run: func(f func()) {
				given = f
				if err := w.Run(); err != nil {
					t.Error(err)
				}
				w.Close()
			}}
		})
	}
}
