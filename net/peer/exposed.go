package peer

import (
	"fmt"
	"net/netip"
	"strings"
)

// Exposed returns why the links must not begin without a secret or certificates: an address that others than this
// machine reach. It returns nil when all of them are loopback addresses.
func Exposed(listen string, peers []Address) error {
	if listen != "" && !loopback(listen) {
		return fmt.Errorf("the address for peers, %s, can be reached from other machines: give all nodes one secret, or certificates", listen)
	}
	for _, p := range peers {
		if !loopback(p.Addr) {
			return fmt.Errorf("peer %d at %s is on another machine: give all nodes one secret, or certificates", p.Node, p.Addr)
		}
	}
	return nil
}

// loopback says that only this machine reaches the address. A name other than localhost may mean anything.
func loopback(addr string) bool {
	name := addr
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		name = addr[:i]
	}
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && ip.IsLoopback()
}
