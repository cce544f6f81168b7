package node

import (
	"errors"
	"strings"
	"testing"
)

// TestCheckCluster refuses what cannot work, with a sentence that says why.
func TestCheckCluster(t *testing.T) {
	local := []Peer{{1, "127.0.0.1:9101"}, {2, "127.0.0.1:9102"}, {3, "localhost:9103"}}
	far := []Peer{{1, "10.0.0.1:9101"}, {2, "10.0.0.2:9101"}, {3, "10.0.0.3:9101"}}
	cases := []struct {
		name string
		c    Config
		want string // "" when it is right
	}{
		{"alone", Config{NodeID: 1, Listen: "0.0.0.0:9092"}, ""},
		{"alone among its peers", Config{NodeID: 1, Listen: "0.0.0.0:9092", Peers: far[:1]}, ""},
		{"three here", Config{NodeID: 1, Listen: "127.0.0.1:9092", Peers: local}, ""},
		{"three there", Config{NodeID: 1, Listen: "10.0.0.1:9092", Peers: far, Secret: []byte("s")}, ""},
		{"two", Config{NodeID: 1, Listen: "127.0.0.1:9092", Peers: local[:2]}, "one, three or five"},
		{"not listed", Config{NodeID: 7, Listen: "127.0.0.1:9092", Peers: local}, "not among the peers"},
		{"no secret", Config{NodeID: 1, Listen: "10.0.0.1:9092", Peers: far}, "neither a secret"},
		{"peers listen beyond", Config{NodeID: 1, Listen: "127.0.0.1:9092", Peers: local, PeerListen: ":9101"}, "neither a secret"},
		{"wildcard", Config{NodeID: 1, Listen: ":9092", Peers: local}, "advertise"},
		{"wildcard 6", Config{NodeID: 1, Listen: "[::]:9092", Peers: local}, "advertise"},
		{"advertised", Config{NodeID: 1, Listen: ":9092", Advertise: "a:9092", Peers: local}, ""},
		{"twice", Config{NodeID: 1, Listen: "a:1", Peers: []Peer{{1, "127.0.0.1:1"}, {2, "127.0.0.1:2"}, {2, "127.0.0.1:3"}}}, "listed twice"},
		{"same address", Config{NodeID: 1, Listen: "a:1", Peers: []Peer{{1, "127.0.0.1:1"}, {2, "127.0.0.1:2"}, {3, "127.0.0.1:2"}}}, "same address"},
		{"no port", Config{NodeID: 1, Listen: "a:1", Peers: []Peer{{1, "127.0.0.1"}}}, "no port"},
	}
	for _, test := range cases {
		err := test.c.checkCluster()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (!errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	c := Config{NodeID: 2, Listen: "127.0.0.1:9092", Peers: local}
	if err := c.checkCluster(); err != nil || c.PeerListen != "127.0.0.1:9102" {
		t.Errorf("the address for peers is %q (%v)", c.PeerListen, err)
	}
}
