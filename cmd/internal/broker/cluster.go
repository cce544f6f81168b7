package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"millrace/cmd/internal/kafka"
)

// Place is where a node is in its cluster.
type Place struct {
	// ID is the node's number, from 1 on.
	ID int
	// Rack is a rack of its own.
	Rack string
	// Advertise is the address that its clients are told.
	Advertise string
	// Peers are all nodes as this one reaches them, ID@HOST:PORT with commas between; its own entry is where it listens.
	Peers string
}

// Cluster is several brokers that know each other.
type Cluster struct {
	Name  string
	Nodes []*Broker
}

// MillraceClusterLine is the command line that starts the given binary of Millrace as one node of a cluster.
func MillraceClusterLine(binary string) string {
	return binary + " start --node-id {node} --peers {peers} --data {data} --listen {listen} --advertise {advertise} --http="
}

// Detour stands between those who connect and a node, such as a proxy that can be cut. It returns the address to connect
// to instead. From is the id of the node that connects, 0 for clients and for nodes that cannot be told apart.
type Detour func(from, to int, address string) (string, error)

// direct is no detour.
func direct(_, _ int, address string) (string, error) { return address, nil }

// ChooseCluster makes n brokers on free ports of this machine with their directories below dir, "kafka" or from a command
// line for Command. Connections of clients and between brokers take the detour if there is one. Lines of kafkaConfig are added
// to Kafka's configuration.
func ChooseCluster(ctx context.Context, what, dir string, n int, detour Detour, kafkaConfig ...string) (*Cluster, error) {
	listens, err := FreeAddresses(n)
	if err != nil {
		return nil, err
	}
	peers, err := FreeAddresses(n)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Name: "millrace"}
	if what == "kafka" {
		c.Name = "kafka"
	}
	for i := range n {
		b := newBroker(c.Name, filepath.Join(dir, strconv.Itoa(i+1)), listens[i])
		b.Name = fmt.Sprintf("%s %d", c.Name, i+1)
		b.Place.ID, b.Place.Rack = i+1, fmt.Sprint("rack-", i+1)
		if b.Place.Peers, err = seenFrom(i+1, peers, orDirect(detour)); err != nil {
			return nil, err
		}
		if b.Place.Advertise, err = orDirect(detour)(0, i+1, listens[i]); err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, b)
	}
	if what == "kafka" {
		return c, c.runKafka(ctx, peers, detour, kafkaConfig)
	}
	for _, b := range c.Nodes {
		b.runCommand(what)
	}
	return c, nil
}

func orDirect(d Detour) Detour {
	if d == nil {
		return direct
	}
	return d
}

// seenFrom lists the nodes as the given one reaches them.
func seenFrom(node int, addresses []string, detour Detour) (string, error) {
	var list []string
	for i, a := range addresses {
		if i+1 != node {
			var err error
			if a, err = detour(node, i+1, a); err != nil {
				return "", err
			}
		}
		list = append(list, fmt.Sprintf("%d@%s", i+1, a))
	}
	return strings.Join(list, ","), nil
}

// runKafka makes the nodes brokers of Apache Kafka, whose controllers listen on the peers' addresses.
func (c *Cluster) runKafka(ctx context.Context, controllers []string, detour Detour, more []string) error {
	jars, err := kafka.Fetch(ctx)
	if err != nil {
		return err
	}
	replication, err := FreeAddresses(len(c.Nodes))
	if err != nil {
		return err
	}
	for i, b := range c.Nodes {
		k := kafka.Node{ID: i + 1, Dir: b.Data, Listen: b.Listen, Advertise: b.Place.Advertise, Controller: controllers[i],
			Voters: b.Place.Peers, Factor: min(3, len(c.Nodes)), More: slices.Clone(more)}
		if detour != nil {
			k.Replication = replication[i]
			k.More = append(k.More, "broker.rack="+b.Place.Rack, "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector")
			if k.ReplicationAt, err = detour(-1, i+1, replication[i]); err != nil {
				return err
			}
		}
		b.runKafka(jars, k, kafka.BrokerOptions)
	}
	return nil
}

// FreeAddresses returns n addresses of 127.0.0.1 whose ports were free a moment ago. They lie below the ports that Linux
// gives to outgoing connections: one of those must not take a broker's port while it is down.
func FreeAddresses(n int) ([]string, error) {
	const first, last = 20_000, 32_000
	var list []string
	for range 1000 {
		if len(list) == n {
			return list, nil
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first)))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are chosen, so that no two are the same
		list = append(list, l.Addr().String())
	}
	return nil, fmt.Errorf("no %d free ports from %d to %d", n, first, last)
}

// Lone makes one broker look like a cluster.
func Lone(b *Broker) *Cluster {
	if b.Place.Advertise == "" {
		b.Place = Place{ID: 1, Advertise: b.Listen}
	}
	return &Cluster{Name: b.Name, Nodes: []*Broker{b}}
}

// Start starts all nodes and waits until each accepts connections.
func (c *Cluster) Start(ctx context.Context) error {
	for _, b := range c.Nodes {
		if err := b.Start(ctx); err != nil {
			return err
		}
	}
	for _, b := range c.Nodes {
		if err := b.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Kill ends all processes with SIGKILL.
func (c *Cluster) Kill() {
	for _, b := range c.Nodes {
		b.Kill() //nolint:errcheck // one that ended by itself is gone, too
	}
}

// Wipe removes the data of all nodes, which must not run.
func (c *Cluster) Wipe() error {
	for _, b := range c.Nodes {
		if err := b.Wipe(); err != nil {
			return err
		}
	}
	return nil
}

// Brokers returns the addresses of all nodes as clients are told.
func (c *Cluster) Brokers() []string {
	var list []string
	for _, b := range c.Nodes {
		list = append(list, b.Place.Advertise)
	}
	return list
}

// Pids returns the ids of the processes that run.
func (c *Cluster) Pids() []int {
	var list []int
	for _, b := range c.Nodes {
		if p := b.Pid(); p != 0 {
			list = append(list, p)
		}
	}
	return list
}
