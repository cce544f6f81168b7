package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrConfig is what a configuration is that cannot work; the error that wraps it says why.
var ErrConfig = errors.New("configuration")

// ParsePeer reads a peer as ID@HOST:PORT.
func ParsePeer(text string) (Peer, error) {
	id, addr, ok := strings.Cut(strings.TrimSpace(text), "@")
	n, err := strconv.ParseInt(id, 10, 32)
	if !ok || err != nil || n < 0 {
		return Peer{}, fmt.Errorf("%q is not ID@HOST:PORT", text)
	}
	if _, _, err := splitAddress(addr); err != nil {
		return Peer{}, fmt.Errorf("%q is not ID@HOST:PORT: %w", text, err)
	}
	return Peer{Node: int32(n), Addr: addr}, nil
}

// checkCluster says what is wrong with what the configuration says about the cluster. Node and Listen are set.
func (c *Config) checkCluster() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	if len(c.Peers) == 0 {
		return nil
	}
	if n := len(c.Peers); n != 1 && n != 3 && n != 5 {
		return fail("%d peers: a cluster is made of one, three or five nodes", n)
	}
	own := ""
	for i, p := range c.Peers {
		if p.Node < 0 {
			return fail("peer %d@%s: a node id is not negative", p.Node, p.Addr)
		}
		if _, _, err := splitAddress(p.Addr); err != nil {
			return fail("peer %d: %v", p.Node, err)
		}
		if p.Node == c.NodeID {
			own = p.Addr
		}
		for _, q := range c.Peers[:i] {
			if p.Node == q.Node {
				return fail("peer %d is listed twice", p.Node)
			}
			if p.Addr == q.Addr {
				return fail("peers %d and %d have the same address %s", q.Node, p.Node, p.Addr)
			}
		}
	}
	if own == "" {
		return fail("node %d is not among the peers; the list is the same on every node and holds all of them", c.NodeID)
	}
	if c.PeerListen == "" {
		c.PeerListen = own
	}
	if len(c.Peers) == 1 {
		return nil
	}
	beyond := slices.IndexFunc(c.Peers, func(p Peer) bool { return !isLoopback(p.Addr) })
	if beyond < 0 && !isLoopback(c.PeerListen) {
		beyond = 0
	}
	if beyond >= 0 && len(c.Secret) == 0 && c.PeerTransport == nil {
		return fail("peers reach each other beyond this machine (%s), and there is neither a secret nor a certificate: whoever reached the port could join", c.Peers[beyond].Addr)
	}
	if c.Advertise == "" && isWildcard(c.Listen) {
		return fail("%s is every address of this machine, which is nothing that the other nodes could tell clients: say with advertise where clients reach this node", c.Listen)
	}
	return nil
}

// isLoopback says that an address is reached from its own machine only.
func isLoopback(addr string) bool {
	name, _, err := splitAddress(addr)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(name, "localhost")
}

// isWildcard says that an address to listen on stands for all of the machine's.
func isWildcard(addr string) bool {
	name, _, err := splitAddress(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(name)
	return name == "" || err == nil && ip.IsUnspecified()
}
