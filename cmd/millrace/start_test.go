package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlaces makes the nodes of a command line, and says what is wrong with others.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	used := filepath.Join(dir, "used")
	if err := os.Mkdir(used, 0o700); err != nil {
		t.Fatal(err)
	}
	file("used/meta", "{}")
	secret := file("secret", "correct horse battery\n")
	base := startOptions{data: dir, listen: "127.0.0.1:9092", http: "127.0.0.1:9644", nodeID: -1, nodes: 1}
	with := func(f func(*startOptions)) startOptions { o := base; f(&o); return o }

	three, err := with(func(o *startOptions) { o.nodes = 3 }).places()
	if err != nil || len(three) != 3 {
		t.Fatalf("%d nodes, %v", len(three), err)
	}
	last := three[2]
	if last.config.NodeID != 3 || last.config.Listen != "127.0.0.1:9094" || last.http != "127.0.0.1:9646" ||
		last.data != filepath.Join(dir, "3") || len(last.config.Peers) != 3 || last.config.Peers[0].Node != 1 {
		t.Errorf("the third node: %+v", last)
	}
	free, err := with(func(o *startOptions) { o.nodes, o.listen = 3, "127.0.0.1:0" }).places()
	if err != nil || free[2].config.Listen != "127.0.0.1:0" {
		t.Errorf("on free ports: %v, %v", free, err)
	}
	one, err := with(func(o *startOptions) {
		o.nodeID, o.peers, o.secretFile, o.rack = 0, []string{"0@a:1", "2@b:2", "5@c:3"}, secret, "r"
	}).places()
	if err != nil || one[0].config.Properties["node.id"] != "0" || one[0].config.Peers[1].Addr != "b:2" ||
		string(one[0].config.Secret) != "correct horse battery" || one[0].config.Rack != "r" {
		t.Errorf("one of a cluster: %+v, %v", one, err)
	}

	for _, c := range []struct {
		want string
		o    startOptions
	}{
		{"--listen", with(func(o *startOptions) { o.listen = "9092" })},
		{"--nodes 2", with(func(o *startOptions) { o.nodes = 2 })},
		{"--nodes makes", with(func(o *startOptions) { o.nodes, o.nodeID = 3, 1 })},
		{"a single node", with(func(o *startOptions) { o.nodes, o.data = 3, used })},
		{"ID@HOST:PORT", with(func(o *startOptions) { o.peers = []string{"1:9092"} })},
		{"belong together", with(func(o *startOptions) { o.certificates.Key = "k" })},
		{"secret file", with(func(o *startOptions) { o.secretFile = filepath.Join(dir, "none") })},
		{"not enough", with(func(o *startOptions) { o.secretFile = file("short", "abc\n") })},
		{"no port", with(func(o *startOptions) { o.nodes, o.listen = 3, "127.0.0.1:65535" })},
	} {
		if _, err := c.o.places(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q: %v", c.want, err)
		}
	}
}
