package host

import (
	"errors"
	"io"
)

// Errors of a Conn. They are wrapped; use errors.Is.
var (
	ErrTimeout = errors.New("deadline passed")
	ErrReset   = errors.New("connection lost")
	ErrRefused = errors.New("connection refused")
)

// Part is a piece of what is sent: bytes, or a range of a file.
type Part struct {
	Bytes []byte
	File  File
	Off   int64
	Len   int64
}

// Size is the number of bytes that the part puts on the wire.
func (p Part) Size() int64 {
	if p.File != nil {
		return p.Len
	}
	return int64(len(p.Bytes))
}

// Transport makes connections.
type Transport interface {
	// Listen opens a listener. Port 0 chooses a free port; see Listener.Addr.
	Listen(addr string) (Listener, error)
	// Dial connects, or fails at the deadline with ErrTimeout, or with ErrRefused.
	Dial(addr string, deadline Instant) (Conn, error)
}

// Listener accepts connections. Close ends a pending Accept with ErrClosed.
type Listener interface {
	Accept() (Conn, error)
	Addr() string
	Close() error
}

// Conn is a reliable ordered stream of bytes. One task may read while another sends; Close may come from any task and
// ends both with ErrClosed.
type Conn interface {
	// Read returns at least one byte, or io.EOF when the peer has ended its stream cleanly.
	io.Reader
	// Send sends the parts in order and returns when they have been handed over: bytes may be reused, files unpinned.
	// Short sends are errors. The range of a file part must exist; the bytes are read late, while sending.
	Send(parts ...Part) (int64, error)
	// SetReadDeadline makes pending and later Reads fail with ErrTimeout after the instant; Never removes it.
	SetReadDeadline(Instant)
	// SetSendDeadline is the same for Send. After a Send that timed out the stream is broken and must be closed.
	SetSendDeadline(Instant)
	// LocalAddr and RemoteAddr are "host:port". LocalAddr is the address that the client dialled.
	LocalAddr() string
	RemoteAddr() string
	// Identity names the authenticated peer, "" when nobody asked.
	Identity() string
	Close() error
}
