package server

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/node/host/machine"
)

// Weight makes the answers to key 6 heavy.
func (e *echo) Weight() int64 {
	if e.r.Key == 6 {
		return 1 << 20
	}
	return 0
}

func dialFrom(t *testing.T, s *Server, ip string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	c, err := d.Dial("tcp", s.Addr())
	if err != nil {
		t.Skip("this system has no second loopback address: ", err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(15 * time.Second))
	return c
}

// served says whether a connection is let in.
func served(t *testing.T, c net.Conn) bool {
	t.Helper()
	c.Write(frame(0, 1, 20))
	_, err := io.ReadFull(c, make([]byte, 24))
	return err == nil
}

func TestOneAddressHasABoundOfItsOwn(t *testing.T) {
	s, _ := startEcho(t, Options{MaxPerAddress: 2, PerAddress: map[string]int{"127.0.0.2": 1}})
	first := dial(t, s)
	if !served(t, first) || !served(t, dial(t, s)) || served(t, dial(t, s)) {
		t.Error("two connections of an address are let in, and no third")
	}
	other := dialFrom(t, s, "127.0.0.2")
	if !served(t, other) || served(t, dialFrom(t, s, "127.0.0.2")) {
		t.Error("an address with a bound of its own has that")
	}
	if n := s.Numbers.RefusedAddress.Load(); n != 2 {
		t.Errorf("%d refusals were counted", n)
	}
	first.Close()
	for s.Numbers.Connections.Load() == 3 {
		time.Sleep(time.Millisecond)
	}
	if !served(t, dial(t, s)) {
		t.Error("who leaves makes room")
	}
}

// TestAFrameCannotBeKeptOpen sends a byte now and then, each well before a stalled frame would be given up.
func TestAFrameCannotBeKeptOpen(t *testing.T) {
	s, _ := startEcho(t, Options{StallTimeout: 200 * time.Millisecond})
	c := dial(t, s)
	sent := frame(0, 1, 10_000)
	c.Write(sent[:100])
	for i := 100; i < 400; i++ {
		time.Sleep(20 * time.Millisecond)
		if _, err := c.Write(sent[i : i+1]); err != nil {
			return
		}
	}
	t.Error("a frame that would take minutes was waited for")
}

func TestFramesThatAreDecodedAreBoundedAndDear(t *testing.T) {
	s, _ := startEcho(t, Options{Bulky: func(key int16) bool { return key == 0 }, MaxPlainBytes: 1000})
	c := dial(t, s)
	c.Write(frame(0, 1, 1001))
	if _, n := answer(t, c); n != 1001 {
		t.Error("a bulky frame has the large bound")
	}
	waits := dial(t, s)
	waits.Write(frame(1, 1, 1000))
	for deadline := time.Now().Add(5 * time.Second); s.Requests.Used() != 1000*plainCharge && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if n := s.Requests.Used(); n != 1000*plainCharge {
		t.Errorf("%d bytes are charged", n)
	}
	c.Write(frame(3, 1, 1001))
	if !ended(c) {
		t.Error("a frame above the bound of its API is taken")
	}
}

// TestUnfinishedFramesMakeRoom has two clients that stop in the middle of frames which take the whole budget.
func TestUnfinishedFramesMakeRoom(t *testing.T) {
	s, _ := startEcho(t, Options{InFlightBytes: 100_000, Patience: 100 * time.Millisecond})
	var stuck []net.Conn
	for i := range 2 {
		c := dial(t, s)
		c.Write(frame(0, uint32(i), 60_000)[:30_000])
		stuck = append(stuck, c)
	}
	for s.Requests.Used() < 120_000 {
		time.Sleep(time.Millisecond)
	}
	c := dial(t, s)
	c.Write(frame(0, 7, 60_000))
	if correlation, _ := answer(t, c); correlation != 7 {
		t.Errorf("answer %d", correlation)
	}
	if n := s.Numbers.Relieved.Load(); n == 0 {
		t.Error("nobody was given up")
	}
	if s.Requests.Held() == 0 {
		t.Error("nobody waited")
	}
	if !ended(stuck[0]) && !ended(stuck[1]) {
		t.Error("both clients that stopped are still there")
	}
}

// TestSmallFramesHaveRoomOfTheirOwn has clients that stop in the middle of large frames which take the whole budget, one
// after the other as the ones before are given up. Who asks for little does not wait for that, up to a bound.
func TestSmallFramesHaveRoomOfTheirOwn(t *testing.T) {
	s, _ := startEcho(t, Options{InFlightBytes: 100_000, Patience: time.Minute})
	for i := range 10 {
		dial(t, s).Write(frame(0, uint32(i), 60_000)[:30_000])
	}
	for s.Requests.Used() < 120_000 {
		time.Sleep(time.Millisecond)
	}
	c := dial(t, s)
	for i := range 100 {
		c.Write(frame(0, uint32(i), 300))
		if correlation, _ := answer(t, c); correlation != uint32(i) {
			t.Fatalf("answer %d", correlation)
		}
	}
	if n := s.Numbers.Relieved.Load(); n != 0 {
		t.Errorf("%d clients had to be given up", n)
	}
	for range 60 { // more than there is room for
		dial(t, s).Write(frame(0, 1, 300)[:200])
	}
	for s.Requests.small.Load() < 60*300 {
		time.Sleep(time.Millisecond)
	}
	c.Write(frame(0, 7, 300))
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("small frames are bounded, too: %v", err)
	}
}

// TestSlowReadersMakeRoom has clients that take nothing of answers which fill the budget.
func TestSlowReadersMakeRoom(t *testing.T) {
	s, _ := startEcho(t, Options{AnswerBytes: 100 << 20, Patience: 100 * time.Millisecond})
	for i := range 2 {
		c := dial(t, s)
		c.Write(frame(5, uint32(i), 20)) // 64 MiB
	}
	for s.Answers.Used() < 128<<20 {
		time.Sleep(time.Millisecond)
	}
	c := dial(t, s)
	c.Write(frame(6, 7, 50))
	if correlation, _ := answer(t, c); correlation != 7 {
		t.Errorf("answer %d", correlation)
	}
	if n := s.Numbers.Relieved.Load(); n == 0 {
		t.Error("nobody was given up")
	}
}

// TestABusyClientIsNotGivenUp fills the budget with requests that wait for this end, not for the client.
func TestABusyClientIsNotGivenUp(t *testing.T) {
	s, _ := startEcho(t, Options{InFlightBytes: 100_000, Patience: 20 * time.Millisecond})
	busy := dial(t, s)
	busy.Write(frame(1, 1, 120_000))
	for s.Requests.Used() < 120_000 {
		time.Sleep(time.Millisecond)
	}
	c := dial(t, s)
	c.Write(frame(0, 7, 60_000))
	time.Sleep(300 * time.Millisecond)
	if n := s.Numbers.Relieved.Load(); n != 0 {
		t.Errorf("%d clients were given up", n)
	}
}

func TestDeepPipeliningWaits(t *testing.T) {
	s, _ := startEcho(t, Options{InFlightRequests: 4})
	c := dial(t, s)
	stream := frame(1, 0, 20) // holds the others back
	for i := range 100 {
		stream = append(stream, frame(0, uint32(i+1), 20)...)
	}
	c.Write(stream)
	for deadline := time.Now().Add(5 * time.Second); s.Requests.Used() < 9*20 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	// Up to four were taken to be answered, four wait, one waits to be put behind them.
	if n := s.Requests.Used(); n > 9*20 {
		t.Errorf("%d bytes of requests of 20 are in flight", n)
	}
}

func TestBudget(t *testing.T) {
	h, wait, err := machine.New(machine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer wait()
	told := 0
	b := newBudget(h, 100, func() { told++ })
	never := func() bool { return false }
	if got := b.Reserve(60); got != 60 {
		t.Errorf("reserved %d of 60", got)
	}
	if got := b.Reserve(60); got != 40 || told != 0 {
		t.Errorf("reserved %d of 40, told %d times", got, told)
	}
	if got := b.Reserve(60); got != 0 || told != 1 || b.Used() != 100 {
		t.Errorf("reserved %d of nothing, %d used, told %d times", got, b.Used(), told)
	}
	if b.Reserve(60); told != 1 {
		t.Error("it is told again before anybody looked")
	}
	b.looked()
	if b.take(1, func() bool { return true }) || b.Used() != 100 {
		t.Error("who gives up has nothing")
	}
	b.Give(1)
	if !b.take(1000, never) || b.Used() != 1099 {
		t.Errorf("one may go over the limit: %d", b.Used())
	}
	b.Give(1099)
	if b.Give(-5); b.Used() != 5 {
		t.Errorf("what is taken without waiting counts: %d", b.Used())
	}
}

// TestAcceptGoesOnAfterFailures has a listener that fails, as without file descriptors.
func TestAcceptGoesOnAfterFailures(t *testing.T) {
	h, wait, err := machine.New(machine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.Transport.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Start(h, &failing{Listener: l, left: 3}, Options{}, func(r Request) (Finisher, error) { return &echo{r, h}, nil })
	defer wait()
	defer func() { s.Stop(h.Clock.Now().Add(10 * time.Second)) }()
	c := dial(t, s)
	if !served(t, c) || s.Numbers.AcceptFailed.Load() != 3 {
		t.Errorf("%d failures were counted", s.Numbers.AcceptFailed.Load())
	}
	c.Close()
}

type failing struct {
	host.Listener
	left int
}

func (l *failing) Accept() (host.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, io.ErrNoProgress
	}
	return l.Listener.Accept()
}
