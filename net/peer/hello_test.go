package peer

import (
	"strings"
	"testing"
)

func TestExposed(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:9": false, "127.8.9.1:9": false, "localhost:9": false, "[::1]:9": false,
		"0.0.0.0:9": true, ":9": true, "[::]:9": true, "10.0.0.1:9": true, "example.org:9": true, "localhost.example.org:9": true, "127.0.0.1.example.org:9": true,
	} {
		if err := Exposed(addr, nil); (err != nil) != want {
			t.Errorf("listening on %s: %v", addr, err)
		}
		if err := Exposed("", []Address{{1, "127.0.0.1:1"}, {2, addr}}); (err != nil) != want {
			t.Errorf("a peer at %s: %v", addr, err)
		}
	}
	if _, err := Start(newHost(t), Options{Listen: "0.0.0.0:0"}, nil); err == nil || !strings.Contains(err.Error(), "one secret") {
		t.Errorf("a listener for everybody without a secret: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	base := Hello{Cluster: "c", Node: 2, Directory: [16]byte{1}, Incarnation: [16]byte{5}, Boots: 7}
	change := func(f func(h *Hello)) Hello {
		h := base
		f(&h)
		return h
	}
	for _, c := range []struct {
		name string
		k    known
		h    Hello
		why  string
	}{
		{"never seen", known{}, base, ""},
		{"again", known{base, true, true}, base, ""},
		{"restarted", known{base, true, true}, change(func(h *Hello) { h.Boots, h.Incarnation = 8, [16]byte{6} }), ""},
		{"old copy", known{base, true, false}, change(func(h *Hello) { h.Boots, h.Incarnation = 6, [16]byte{6} }), "old copy"},
		{"runs twice", known{base, true, false}, change(func(h *Hello) { h.Incarnation = [16]byte{6} }), "runs twice"},
		{"other disk", known{base, true, false}, change(func(h *Hello) { h.Directory, h.Boots = [16]byte{2}, 1 }), ""},
		{"other disk at the same time", known{base, true, true}, change(func(h *Hello) { h.Directory, h.Boots = [16]byte{2}, 1 }), "two nodes have one id"},
	} {
		err := c.k.refusal(c.h)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	three := int32(3)
	for _, c := range []struct {
		name      string
		self      int32
		dialled   *int32
		certified bool
		identity  string
		why       string
	}{
		{"nothing against it", 1, nil, false, "", ""},
		{"this node", 2, nil, false, "", "as this one"},
		{"other address", 1, &three, false, "", "that of node 2"},
		{"certificate", 1, nil, true, "node-2", ""},
		{"certificate of another", 1, nil, false, "node-21", "certificate"},
		{"no certificate", 1, nil, true, "", "no certificate"},
	} {
		err := contradicts(base, c.self, c.dialled, c.certified, c.identity)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct{ newest, oldest, want uint16 }{
		{version, oldest, version}, {version + 1, oldest, version}, {version + 2, version + 1, 0}, {oldest - 1, oldest - 1, 0},
	} {
		if v, err := agree(&greeting{version: c.newest, oldest: c.oldest}); v != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("a node that speaks %d to %d: version %d, %v", c.oldest, c.newest, v, err)
		}
	}
}

// TestProofs: who has heard a proof cannot use it in the other role, for another hello, or with another secret.
func TestProofs(t *testing.T) {
	a, b := []byte("opening"), []byte("reply")
	p := proof([]byte("secret"), roleDialer, a, b)
	if !proven([]byte("secret"), roleDialer, a, b, p) {
		t.Error("the proof does not prove")
	}
	if proven([]byte("secret"), roleListener, a, b, p) || proven([]byte("secret2"), roleDialer, a, b, p) || proven([]byte("secret"), roleDialer, a, a, p) ||
		proven([]byte("secret"), roleDialer, b, b, p) || proven([]byte("secret"), roleDialer, a, b, p[:31]) || proven(nil, roleDialer, a, b, nil) {
		t.Error("a proof proves what it must not")
	}
}
