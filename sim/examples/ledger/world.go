package ledger

import (
	"fmt"
	"time"

	"millrace/node"
	"millrace/node/host"
	"millrace/sim"
)

// Cluster is some brokers in a world.
type Cluster struct {
	World *sim.World
	Nodes []*sim.Node
	Addrs []string
}

// NewCluster adds brokers to a world, which have not started yet.
func NewCluster(w *sim.World, n int) *Cluster {
	c := &Cluster{World: w}
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		c.Nodes = append(c.Nodes, w.AddNode(name))
		c.Addrs = append(c.Addrs, name+":9092")
	}
	return c
}

// Start starts the process of one broker.
func (c *Cluster) Start(i int) {
	cfg := node.Config{Listen: c.Addrs[i], NodeID: int32(i + 1), Secret: []byte("only in this world"), WALFileBytes: 256 << 10,
		WALFirstBytes: 64 << 10, WALMaxBytes: 2 << 20, ReserveHigh: 8 << 20, ReserveLow: 4 << 20}
	for j := range c.Nodes {
		cfg.Peers = append(cfg.Peers, node.Peer{Node: int32(j + 1), Addr: fmt.Sprintf("n%d:9093", j+1)})
	}
	c.Nodes[i].Boot(func(h host.Host) {
		if _, err := node.Start(h, cfg); err != nil {
			c.World.Fail(fmt.Errorf("%s does not start: %w", c.Nodes[i].Name(), err))
		}
	})
}

// Trouble strikes the brokers until a time: one after the other loses its power, is killed, stands still, or is cut off
// from the others and the clients. A majority is always there.
func (c *Cluster) Trouble(d *sim.Draws, clients *sim.Node, until time.Duration) {
	var next func()
	next = func() {
		if c.World.Now() > until {
			return
		}
		i := int(d.Below(int64(len(c.Nodes))))
		victim, rest := c.Nodes[i], time.Duration(d.Skewed(10, 2000))*time.Millisecond
		switch d.Below(4) {
		case 0, 1:
			victim.Crash(sim.Pick(d, sim.Power, sim.Kill))
			c.World.After(rest, func() { c.Start(i) })
		case 2:
			victim.Pause(rest)
		default:
			others := append([]*sim.Node{clients}, c.Nodes...)
			for _, other := range others {
				if other != victim {
					c.World.Cut(victim, other)
				}
			}
			c.World.After(rest, func() {
				for _, other := range others {
					if other != victim {
						c.World.Heal(victim, other)
					}
				}
			})
		}
		c.World.After(rest+time.Duration(d.Skewed(100, 1000))*time.Millisecond, next)
	}
	c.World.After(time.Duration(d.Between(300, 800))*time.Millisecond, next)
}
