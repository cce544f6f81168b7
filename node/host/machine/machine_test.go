package machine

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"millrace/node/host"
)

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, _, err := New(Options{Dir: t.TempDir(), Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// pattern is content in which every place differs from its neighbours, so that a shifted range shows.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16*29)
	}
	return b
}

// TestConcurrentSendsOfOneFile would fail with a sendfile that moves the file's position: many connections send
// different ranges of one open file at once, mixed with bytes.
func TestConcurrentSendsOfOneFile(t *testing.T) {
	h := newHost(t)
	content := pattern(3 << 20)
	f, err := h.Disk.Create("data", 0, host.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteAt(0, content[:100], content[100:]); err != nil {
		t.Fatal(err)
	}
	l, err := h.Transport.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all sync.WaitGroup
	for i := range 8 {
		f := f
		if i%2 == 1 { // as on a device that the kernel reads far ahead on
			other := *f.(*file)
			other.farAhead = !other.farAhead
			f = &other
		}
		off, size := int64(i*100_003), int64(1<<20+i)
		if i%4 == 3 {
			size = 1000 // below what sendfile is used for
		}
		all.Go(func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var which [1]byte
			if _, err := io.ReadFull(c, which[:]); err != nil {
				t.Error(err)
				return
			}
			o, n := int64(which[0])*100_003, int64(1<<20+int(which[0]))
			if which[0]%4 == 3 {
				n = 1000
			}
			sent, err := c.Send(host.Part{Bytes: []byte("head")}, host.Part{File: f, Off: o, Len: n}, host.Part{}, host.Part{Bytes: []byte("mid")},
				host.Part{Bytes: []byte("dle")}, host.Part{File: f, Off: 0, Len: 50_000})
			if err != nil || sent != 4+n+6+50_000 {
				t.Errorf("sent %d: %v", sent, err)
			}
		})
		all.Go(func() {
			c, err := h.Transport.Dial(l.Addr(), h.Clock.Now().Add(5*time.Second))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := c.Send(host.Part{Bytes: []byte{byte(i)}}); err != nil {
				t.Error(err)
			}
			got, err := io.ReadAll(c)
			want := bytes.Join([][]byte{[]byte("head"), content[off : off+size], []byte("middle"), content[:50_000]}, nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("connection %d: %d bytes, want %d: %v", i, len(got), len(want), err)
			}
		})
	}
	all.Wait()
}

func TestDirectDurableFile(t *testing.T) {
	h := newHost(t)
	f, err := h.Disk.Create("log", 8*host.Align, host.Mode{Direct: true, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	b := h.Buffers.Get(2 * host.Align)
	copy(b.Bytes(), pattern(2*host.Align))
	if err := f.WriteAt(host.Align, b.Bytes()[:host.Align], b.Bytes()[host.Align:]); err != nil {
		t.Fatal(err)
	}
	cached, err := h.Disk.Open("log", host.Mode{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3*host.Align)
	if _, err := cached.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	want := append(make([]byte, host.Align), pattern(2*host.Align)...)
	if !bytes.Equal(got, want) {
		t.Error("what was written directly is not what the cache reads")
	}
	if _, err := cached.ReadAt(got, 8*host.Align); err != io.EOF {
		t.Errorf("read past the end: %v, want io.EOF", err)
	}
}

func TestErrorsOfTheDisk(t *testing.T) {
	h := newHost(t)
	if _, err := h.Disk.Open("missing", host.Mode{}); !errors.Is(err, host.ErrNotExist) {
		t.Errorf("open of what is not there: %v", err)
	}
	if _, err := h.Disk.Create("a", 10, host.Mode{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Disk.Create("a", 10, host.Mode{}); !errors.Is(err, host.ErrExist) {
		t.Errorf("create of what is there: %v", err)
	}
	if _, err := h.Disk.Open("../a", host.Mode{}); err == nil {
		t.Error("a name that leaves the data directory was opened")
	}
	lock, err := h.Disk.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Disk.Lock("lock"); !errors.Is(err, host.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	lock.Close()
	if err := h.Disk.SyncAll(); err != nil {
		t.Error(err)
	}
}

func TestWaiterKeepsOnePermit(t *testing.T) {
	h := newHost(t)
	w := h.Tasks.NewWaiter()
	w.Wake()
	w.Wake()
	if !w.WaitUntil(h.Clock.Now()) {
		t.Error("the kept wake was lost")
	}
	if w.WaitUntil(h.Clock.Now().Add(time.Millisecond)) {
		t.Error("two wakes before a wait counted twice")
	}
	h.Tasks.Go("waker", w.Wake)
	w.Wait()
}

func TestDeadlines(t *testing.T) {
	h := newHost(t)
	l, err := h.Transport.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Transport.Dial(l.Addr(), host.Never)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(h.Clock.Now().Add(time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, host.ErrTimeout) {
		t.Errorf("read past its deadline: %v", err)
	}
	c.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, host.ErrClosed) {
		t.Errorf("read of a closed connection: %v", err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, host.ErrClosed) {
		t.Errorf("accept of a closed listener: %v", err)
	}
	if _, err := h.Transport.Dial(l.Addr(), host.Never); !errors.Is(err, host.ErrRefused) {
		t.Errorf("dial of nobody: %v", err)
	}
}
