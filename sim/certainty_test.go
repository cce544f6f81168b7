package sim

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/node/host"
)

// mirror is what looks at a node's files have told, put together.
type mirror struct {
	t     *testing.T
	seed  uint64
	node  *Node
	looks *Certainty
	known map[*CertainFile][]byte
	told  int // changes of a file that had been told before, of a part of it
}

// compare looks once more, and compares with what is there.
func (m *mirror) compare(after string) {
	files, changed := m.looks.Look()
	var told bool
	for _, f := range files {
		if !f.Changed {
			continue
		}
		told = true
		was := m.known[f]
		if f.From > int64(min(len(was), len(f.Bytes))) || !bytes.Equal(was[:f.From], f.Bytes[:f.From]) {
			m.t.Fatalf("seed %d: after %s: %s has changed below %d", m.seed, after, f.Path, f.From)
		}
		if m.known[f] = bytes.Clone(f.Bytes); f.From > 0 {
			m.told++
		}
	}
	if told && !changed {
		m.t.Fatalf("seed %d: after %s: a file has changed and nothing has", m.seed, after)
	}
	i := 0
	m.node.Certain(m.looks.match, func(path string, b []byte) {
		if i >= len(files) || files[i].Path != path || !bytes.Equal(m.known[files[i]], b) {
			m.t.Fatalf("seed %d: after %s: %s is not what was told of it", m.seed, after, path)
		}
		i++
	})
	if i != len(files) {
		m.t.Fatalf("seed %d: after %s: %d files are told, %d are there", m.seed, after, len(files), i)
	}
}

// TestCertainty lets a disk do everything that a disk may do, and compares after each step what was told of its changes with
// what is certain.
func TestCertainty(t *testing.T) {
	told, fired := 0, make(map[string]int)
	for seed := range uint64(60) {
		w := New(seed, Options{})
		n := w.AddNode("n")
		m := &mirror{t: t, seed: seed, node: n, known: make(map[*CertainFile][]byte),
			looks: n.Certainty(func(p string) bool { return !strings.HasPrefix(p, "other") })}
		d := NewDraws(seed, "certainty")
		n.SetDiskFaults(DiskFaults{Lie: 0.1, Misdirect: 0.1, Sync: 0.05, Write: 0.05})
		var live func(h host.Host)
		lives := 0
		live = func(h host.Host) {
			m.compare("a boot")
			for range 60 {
				m.compare(m.step(h, d))
			}
			if lives++; lives == 4 {
				w.Stop()
				return
			}
			w.After(0, func() {
				n.Crash(Power)
				if lives == 2 {
					image := n.CopyDisk()
					n.ReplaceDisk()
					m.compare("a new disk")
					n.RestoreDisk(image)
				}
				w.After(time.Millisecond, func() { n.Boot(live) })
			})
			h.Clock.Sleep(time.Hour)
		}
		n.Boot(live)
		if err := w.Run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for kind, times := range w.Fired() {
			fired[kind] += times
		}
		told += m.told
		w.Close()
	}
	for _, kind := range []string{"bit rot", "misdirected write", "misdirected write to the log", "acknowledged write gone after a power cut",
		"sync failed", "lost/torn", "lost/write", "lost/name"} {
		if fired[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
	if told == 0 {
		t.Error("no file has changed in part")
	}
}

// step does one thing to a file. That it may fail is part of it.
func (m *mirror) step(h host.Host, d *Draws) string {
	name := Pick(d, "a", "b", "c", "other")
	f, err := h.Disk.Open(name, host.Mode{Durable: d.Chance(0.5)})
	if err != nil {
		f, err = h.Disk.Create(name, Pick(d, int64(0), 40_000), host.Mode{Durable: d.Chance(0.5)})
		if err != nil {
			return "a failed create"
		}
	}
	defer f.Close()
	b := bytes.Repeat([]byte{byte(d.Between(1, 250))}, int(d.Between(1, 6000)))
	switch kind := d.Below(12); kind {
	case 0:
		f.Truncate(d.Below(20_000))
		return "truncate"
	case 1:
		f.Sync()
		return "sync"
	case 2:
		h.Disk.SyncAll()
		return "syncall"
	case 3:
		h.Disk.SyncDir("")
		return "syncdir"
	case 4:
		h.Disk.Rename(name, Pick(d, "a", "b", "c", "other"))
		return "rename"
	case 5:
		if d.Chance(0.3) {
			h.Disk.Remove(name)
		}
		return "remove"
	case 6:
		m.node.Rot(func(string) bool { return true })
		return "rot"
	default:
		size, _ := f.Size()
		at := Pick(d, size, d.Below(30_000), d.Below(size+1))
		f.WriteAt(at, slices.Concat(b, b))
		return "write at " + strconv.FormatInt(at, 10)
	}
}
