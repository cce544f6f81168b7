package server

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/node/host/machine"
)

// echo answers every request with its correlation and as many bytes as its frame has. Key 1 waits, key 2 is refused,
// key 3 has no answer, key 4 closes, key 5 answers more than the sockets' buffers take.
type echo struct {
	r Request
	h host.Host
}

func (e *echo) Finish(w host.Waiter) Response {
	switch e.r.Key {
	case 1:
		for end := e.h.Clock.Now().Add(10 * time.Second); !e.r.Connection.Closing() && w.WaitUntil(end); {
		}
	case 3:
		return Response{}
	case 5:
		return Response{Parts: []host.Part{{Bytes: make([]byte, 64<<20)}}}
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(e.r.Frame.Bytes())))
	b = append(b, e.r.Frame.Bytes()...)
	return Response{Parts: []host.Part{{Bytes: b[:4]}, {Bytes: b[4:]}}, Close: e.r.Key == 4}
}

func (e *echo) Drop() {}
func (e *echo) Done() { e.r.Frame.Release() }

func startEcho(t *testing.T, o Options) (*Server, host.Host) {
	t.Helper()
	h, wait, err := machine.New(machine.Options{Dir: t.TempDir(), Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.Transport.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Start(h, l, o, func(r Request) (Finisher, error) {
		if r.Key == 2 {
			return nil, errors.New("refused")
		}
		return &echo{r, h}, nil
	})
	t.Cleanup(func() {
		s.Stop(h.Clock.Now().Add(10 * time.Second))
		wait()
		if n := h.Buffers.Out(); n != 0 {
			t.Errorf("%d bytes of buffers are held after Stop", n)
		}
		if n := s.Requests.Used(); n != 0 {
			t.Errorf("%d bytes are charged after Stop", n)
		}
		if n := s.Numbers.Connections.Load(); n != 0 {
			t.Errorf("%d connections after Stop", n)
		}
	})
	return s, h
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(15 * time.Second))
	return c
}

// frame is a request of n bytes.
func frame(key int16, correlation uint32, n int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(n))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, correlation)
	for len(b) < n+4 {
		b = append(b, byte(len(b)))
	}
	return b
}

// answer reads one answer and returns its correlation and size.
func answer(t *testing.T, c net.Conn) (uint32, int) {
	t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatalf("answer: %v", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("answer: %v", err)
	}
	for i := 8; i < len(b); i++ {
		if b[i] != byte(i+4) {
			t.Fatalf("byte %d of the frame is wrong", i)
		}
	}
	return binary.BigEndian.Uint32(b[4:]), len(b)
}

func ended(c net.Conn) bool {
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestFramesOfAllSizesInAllPieces(t *testing.T) {
	s, _ := startEcho(t, Options{})
	c := dial(t, s)
	sizes := []int{8, 9, 100, 507, 508, 509, 512, 516, 4096, 5000, 70000, 1 << 20}
	var stream []byte
	for i, n := range sizes {
		stream = append(stream, frame(0, uint32(i), n)...)
	}
	for _, piece := range []int{len(stream), 1000, 7} {
		go func() {
			for at := 0; at < len(stream); {
				end := min(at+piece, len(stream))
				if at > 5000 {
					end = min(at+100_000, len(stream))
				}
				c.Write(stream[at:end])
				at = end
			}
		}()
		for i, n := range sizes {
			if correlation, size := answer(t, c); correlation != uint32(i) || size != n {
				t.Fatalf("pieces of %d: answer %d of %d bytes, want %d of %d", piece, correlation, size, i, n)
			}
		}
	}
}

func TestASlowAnswerDelaysOnlyItsConnection(t *testing.T) {
	s, _ := startEcho(t, Options{})
	slow, other := dial(t, s), dial(t, s)
	slow.Write(append(frame(1, 1, 20), frame(0, 2, 20)...))
	other.Write(frame(0, 3, 20))
	if correlation, _ := answer(t, other); correlation != 3 {
		t.Errorf("answer %d", correlation)
	}
	slow.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := slow.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second answer overtook the first: %v", err)
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	s, _ := startEcho(t, Options{MaxFrameBytes: 1000})
	for name, b := range map[string][]byte{
		"negative": {0xff, 0xff, 0xff, 0xff}, "zero": {0, 0, 0, 0}, "short": {0, 0, 0, 7, 1, 1, 1, 1, 1, 1, 1},
		"oversized": frame(0, 1, 1001), "refused": frame(2, 1, 50),
	} {
		c := dial(t, s)
		c.Write(b)
		if !ended(c) {
			t.Errorf("%s: the connection goes on", name)
		}
	}
	// What came before a bad frame is answered.
	c := dial(t, s)
	c.Write(append(frame(0, 7, 50), 0xff, 0xff, 0xff, 0xff))
	if correlation, _ := answer(t, c); correlation != 7 || !ended(c) {
		t.Errorf("answer %d before the end", correlation)
	}
	c = dial(t, s)
	c.Write(append(frame(3, 1, 50), frame(4, 2, 50)...))
	if correlation, _ := answer(t, c); correlation != 2 || !ended(c) {
		t.Errorf("answer %d, then the connection closes", correlation)
	}
}

func TestTheBudgetHoldsReadersBack(t *testing.T) {
	s, _ := startEcho(t, Options{InFlightBytes: 100_000})
	for i := range 4 { // each waits for ten seconds, or its end
		c := dial(t, s)
		c.Write(frame(1, uint32(i), 60_000))
	}
	deadline := time.Now().Add(5 * time.Second)
	for s.Requests.Used() < 120_000 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	// A reader that looks charges its frame for a moment, so look more than once.
	least := int64(1 << 40)
	for range 50 {
		least = min(least, s.Requests.Used())
		time.Sleep(time.Millisecond)
	}
	if least != 120_000 {
		t.Errorf("%d bytes are in flight, the bound of 100000 lets the second frame of 60000 pass and no third", least)
	}
}

func TestIdleAndStalledConnectionsEnd(t *testing.T) {
	s, _ := startEcho(t, Options{IdleTimeout: 100 * time.Millisecond, StallTimeout: 100 * time.Millisecond})
	idle, stalled, busy := dial(t, s), dial(t, s), dial(t, s)
	stalled.Write(frame(0, 1, 1000)[:500])
	busy.Write(frame(1, 1, 20))
	start := time.Now()
	if !ended(idle) || !ended(stalled) || time.Since(start) > 5*time.Second {
		t.Errorf("idle and stalled connections took %v to end", time.Since(start))
	}
	busy.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if ended(busy) {
		t.Error("a connection that waits for an answer was closed as idle")
	}
}

func TestTooManyConnectionsAreClosed(t *testing.T) {
	s, _ := startEcho(t, Options{MaxConnections: 3})
	var open []net.Conn
	for i := range 3 {
		c := dial(t, s)
		c.Write(frame(0, uint32(i), 20))
		answer(t, c)
		open = append(open, c)
	}
	if !ended(dial(t, s)) {
		t.Error("a fourth connection is served")
	}
	open[0].Close()
	for deadline := time.Now().Add(5 * time.Second); s.Numbers.Connections.Load() == 3 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	c := dial(t, s)
	c.Write(frame(0, 9, 20))
	answer(t, c)
}

func TestStopAnswersWhatIsInFlight(t *testing.T) {
	s, h := startEcho(t, Options{})
	c := dial(t, s)
	c.Write(append(frame(1, 1, 20), frame(0, 2, 20)...))
	for s.Numbers.BytesIn.Load() < 48 {
		time.Sleep(time.Millisecond)
	}
	start := time.Now()
	s.Stop(h.Clock.Now().Add(10 * time.Second))
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("Stop took %v", d)
	}
	for want := uint32(1); want <= 2; want++ {
		if correlation, _ := answer(t, c); correlation != want {
			t.Errorf("answer %d, want %d", correlation, want)
		}
	}
	if !ended(c) {
		t.Error("the connection goes on")
	}
}

func TestStopDoesNotWaitForWhoDoesNotRead(t *testing.T) {
	s, h := startEcho(t, Options{})
	c := dial(t, s)
	c.Write(frame(5, 1, 20))
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil { // it is being answered
		t.Fatal(err)
	}
	s.Stop(h.Clock.Now().Add(100 * time.Millisecond))
	if n := s.Numbers.Connections.Load(); n != 0 {
		t.Errorf("%d connections after Stop", n)
	}
}

func TestIdleConnectionsAreSmall(t *testing.T) {
	s, _ := startEcho(t, Options{})
	const n = 500
	var before, after runtime.MemStats
	var conns []net.Conn
	for range n {
		conns = append(conns, dial(t, s))
	}
	for i, c := range conns { // warm, with what it keeps afterwards
		c.Write(frame(0, uint32(i), 100))
		answer(t, c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for _, c := range conns {
		c.Close()
	}
	for s.Numbers.Connections.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	// Half of it is the clients' side. 20 KiB each is 200 MiB for ten thousand.
	each := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / n
	t.Logf("%d bytes for each connection, both ends", each)
	if each > 20<<10 {
		t.Errorf("%d bytes for an idle connection", each)
	}
}
