package sim

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"millrace/node/host"
)

// alone runs a task on a node with a disk.
func alone(t *testing.T, seed uint64, run func(w *World, n *Node, h host.Host)) {
	t.Helper()
	w := New(seed, Options{})
	defer w.Close()
	n := w.AddNode("n")
	n.Boot(func(h host.Host) {
		run(w, n, h)
		w.Stop()
	})
	if err := w.Run(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}

func synced(h host.Host, name string, b []byte) host.File {
	f, err := h.Disk.Create(name, 0, host.Mode{})
	must(err)
	must(f.WriteAt(0, b))
	must(h.Disk.SyncAll())
	return f
}

func different(a, b []byte) (bits int) {
	for i := range a {
		for x := a[i] ^ b[i]; x != 0; x &= x - 1 {
			bits++
		}
	}
	return bits
}

func TestRotFlipsOneBitOfOneFile(t *testing.T) {
	for seed := range uint64(20) {
		alone(t, seed, func(w *World, n *Node, h host.Host) {
			want := bytes.Repeat([]byte{0xa5}, 5000)
			synced(h, "a.log", want)
			synced(h, "b.wal", want)
			if where := n.Rot(func(p string) bool { return strings.HasSuffix(p, ".log") }); !strings.HasPrefix(where, "a.log") {
				t.Errorf("rot at %q", where)
			}
			if bits := different(contents(h, "a.log"), want); bits != 1 {
				t.Errorf("%d bits are wrong", bits)
			}
			if !bytes.Equal(contents(h, "b.wal"), want) || w.Fired()["bit rot"] != 1 || n.Damaged() != 1 {
				t.Error("something else is wrong")
			}
		})
	}
}

func TestBadSectorsUntilWritten(t *testing.T) {
	alone(t, 1, func(w *World, n *Node, h host.Host) {
		f := synced(h, "a", make([]byte, 4096))
		n.BadSector(func(string) bool { return true })
		if _, err := f.ReadAt(make([]byte, 4096), 0); !errors.Is(err, host.ErrIO) || !n.Faulty() {
			t.Errorf("read of a bad sector: %v", err)
		}
		must(f.WriteAt(0, make([]byte, 4096)))
		if _, err := f.ReadAt(make([]byte, 4096), 0); err != nil {
			t.Errorf("after it was written: %v", err)
		}
	})
}

func TestFaultyDisks(t *testing.T) {
	alone(t, 1, func(w *World, n *Node, h host.Host) {
		want := bytes.Repeat([]byte{0xa5}, 512)
		f := synced(h, "a", want)
		got := make([]byte, 512)
		n.SetDiskFaults(DiskFaults{Read: 1})
		if _, err := f.ReadAt(got, 0); !errors.Is(err, host.ErrIO) {
			t.Errorf("read: %v", err)
		}
		n.SetDiskFaults(DiskFaults{Write: 1})
		if err := f.WriteAt(0, want); !errors.Is(err, host.ErrIO) {
			t.Errorf("write: %v", err)
		}
		n.SetDiskFaults(DiskFaults{Sync: 1})
		if err := h.Disk.SyncAll(); !errors.Is(err, host.ErrIO) {
			t.Errorf("sync: %v", err)
		}
		n.SetDiskFaults(DiskFaults{Rot: 1})
		if _, err := f.ReadAt(got, 0); err != nil || different(got, want) != 1 {
			t.Errorf("rot on read: %v, %d bits", err, different(got, want))
		}
		n.SetDiskFaults(DiskFaults{})
		if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("afterwards: %v", err)
		}
		n.StickDisk(10 * time.Second)
		began := h.Clock.Now()
		_, err := f.ReadAt(got, 0)
		if d := h.Clock.Now().Sub(began); err != nil || d < 9*time.Second {
			t.Errorf("a stuck disk took %v: %v", d, err)
		}
	})
}

func TestDisksAreReplacedAndRestored(t *testing.T) {
	w := New(1, Options{})
	defer w.Close()
	n := w.AddNode("n")
	var image *Image
	n.Boot(func(h host.Host) {
		must(h.Disk.Mkdir("d"))
		synced(h, "d/a", []byte("one"))
		w.After(0, func() {
			n.Crash(Kill)
			image = n.CopyDisk()
			n.ReplaceDisk()
			n.Boot(func(h host.Host) {
				if names, err := h.Disk.List(""); err != nil || len(names) > 0 {
					t.Errorf("a new disk has %v, %v", names, err)
				}
				w.After(0, func() {
					n.Crash(Power)
					n.RestoreDisk(image)
					n.Boot(func(h host.Host) {
						if got := contents(h, "d/a"); string(got) != "one" {
							t.Errorf("restored %q", got)
						}
						w.Stop()
					})
				})
				h.Clock.Sleep(time.Hour)
			})
		})
		h.Clock.Sleep(time.Hour)
	})
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
}

// TestSlownessHasABound: reasons for slowness multiply, and a disk that gives no answer for longer than a bound is a
// stuck one. A seed let one write take 34 seconds, while nobody could lead.
func TestSlownessHasABound(t *testing.T) {
	alone(t, 1, func(w *World, n *Node, h host.Host) {
		w.SetSlowDisks(1)
		w.SetDiskSpeed(30)
		n.SetDiskFaults(DiskFaults{Times: 100})
		began := h.Clock.Now()
		must(h.Disk.SyncAll())
		if took := h.Clock.Now().Sub(began); took < time.Second || took > slowest+time.Second {
			t.Errorf("the sync took %v", took)
		}
	})
}

// TestRotSparesTheLastDurableWrite: rot in the last group of a write-ahead log cannot be told from a write that was cut
// short, so it is in what others follow. What begins a file, such as its header, follows nothing.
func TestRotSparesTheLastDurableWrite(t *testing.T) {
	alone(t, 1, func(w *World, n *Node, h host.Host) {
		f, err := h.Disk.Create("f", 3*host.Align, host.Mode{Durable: true})
		must(err)
		block := func(b byte) []byte { return bytes.Repeat([]byte{b}, host.Align) }
		must(f.WriteAt(host.Align, block(1)))
		must(f.WriteAt(2*host.Align, block(2)))
		must(f.WriteAt(0, block(0)))
		must(h.Disk.SyncAll())
		for range 200 {
			n.Rot(func(string) bool { return true })
		}
		got := contents(h, "f")
		if !bytes.Equal(got[2*host.Align:], block(2)) {
			t.Error("the last write rots")
		}
		if bytes.Equal(got[:host.Align], block(0)) || bytes.Equal(got[host.Align:2*host.Align], block(1)) {
			t.Error("nothing rots in the others")
		}
	})
}
