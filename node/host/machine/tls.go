package machine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"millrace/node/host"
)

// Certificates name the files with which a node shows its peers who it is: PEM, as openssl and others write them.
type Certificates struct {
	// Certificate and Key are the node's own. The certificate names the node, "node-<id>", as a DNS name or as its
	// common name, and is good for both roles of TLS, server and client.
	Certificate, Key string
	// Authority has the certificates of who signs those of the nodes.
	Authority string
}

// PeerTransport is a transport over TLS 1.3 in which both ends show a certificate that the authority has signed. Conn's
// Identity is the name in it. The host names of addresses do not matter: who is dialled proves to be a node, and which.
// The files are read once. h must be of this package.
func PeerTransport(h host.Host, files Certificates) (host.Transport, error) {
	inner, ok := h.Transport.(*transport)
	if !ok {
		return nil, errors.New("certificates need the transport of this machine")
	}
	own, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate for peers: %w", err)
	}
	pem, err := os.ReadFile(files.Authority)
	if err != nil {
		return nil, fmt.Errorf("read the authority of peers: %w", err)
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", files.Authority)
	}
	if nodeName(own.Leaf) == "" {
		return nil, fmt.Errorf("the certificate %s does not name a node: its DNS name or common name must be node-<id>", files.Certificate)
	}
	common := tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true}
	server, client := common.Clone(), common.Clone()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, authority
	// The usual check wants the host name in the certificate. Here the chain counts and, above, the name of the node.
	client.InsecureSkipVerify = true
	client.VerifyConnection = func(s tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: authority, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		for _, c := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(o)
		return err
	}
	return &tlsTransport{inner, server, client}, nil
}

// nodeName is the node that a certificate names, "" when it names none.
func nodeName(c *x509.Certificate) string {
	for _, name := range append(append([]string(nil), c.DNSNames...), c.Subject.CommonName) {
		if strings.HasPrefix(name, "node-") {
			return name
		}
	}
	return ""
}

type tlsTransport struct {
	*transport
	server, client *tls.Config
}

func (t *tlsTransport) Listen(addr string) (host.Listener, error) {
	l, err := t.transport.Listen(addr)
	if err != nil {
		return nil, err
	}
	return &tlsListener{l.(*listener), t.server}, nil
}

func (t *tlsTransport) Dial(addr string, deadline host.Instant) (host.Conn, error) {
	c, err := t.transport.Dial(addr, deadline)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if at := t.clock.at(deadline); !at.IsZero() {
		cancel()
		ctx, cancel = context.WithDeadline(context.Background(), at)
	}
	defer cancel()
	s := newTLS(c, func(c net.Conn) *tls.Conn { return tls.Client(c, t.client) })
	if err := s.tls.HandshakeContext(ctx); err != nil {
		s.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w (%w)", err, host.ErrTimeout)
		}
		return nil, fmt.Errorf("handshake of TLS with %s: %w", addr, translateNet(err))
	}
	return s, nil
}

type tlsListener struct {
	*listener
	config *tls.Config
}

// handshakeTimeout bounds the handshake of who is let in.
const handshakeTimeout = 5 * time.Second

// Accept does not wait for the handshake: who does not go on with it holds up nobody else. The first Read or Send has its
// outcome.
func (l *tlsListener) Accept() (host.Conn, error) {
	c, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	s := newTLS(c, func(c net.Conn) *tls.Conn { return tls.Server(c, l.config) })
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
		defer cancel()
		_ = s.tls.HandshakeContext(ctx)
	}()
	return s, nil
}

// tlsConn is a host.Conn whose bytes are those of a tls.Conn.
type tlsConn struct {
	*conn
	tls *tls.Conn
	// gather holds short parts that leave together; of the task that sends.
	gather []byte
}

func newTLS(c host.Conn, wrap func(net.Conn) *tls.Conn) *tlsConn {
	plain := c.(*conn)
	return &tlsConn{conn: plain, tls: wrap(plain.c)}
}

// Read takes the end of the connection for the end of the stream, without TLS's own farewell: see Close. What is read
// here knows its own length.
func (c *tlsConn) Read(p []byte) (int, error) {
	n, err := c.tls.Read(p)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, io.EOF
	}
	return n, translateNet(err)
}

// gatherUpTo is the size of the largest record of TLS.
const gatherUpTo = 16 << 10

func (c *tlsConn) Send(parts ...host.Part) (int64, error) {
	var sent int64
	c.gather = c.gather[:0]
	write := func(b []byte) error {
		n, err := c.tls.Write(b)
		sent += int64(n)
		return translateNet(err)
	}
	flush := func() error {
		b := c.gather
		c.gather = c.gather[:0]
		if len(b) == 0 {
			return nil
		}
		return write(b)
	}
	add := func(b []byte) error {
		if len(c.gather)+len(b) > gatherUpTo {
			if err := flush(); err != nil {
				return err
			}
		}
		if len(b) >= gatherUpTo {
			return write(b)
		}
		c.gather = append(c.gather, b...)
		return nil
	}
	for i := range parts {
		err := each(&parts[i], add)
		if err != nil {
			return sent, err
		}
	}
	return sent, flush()
}

// each gives the bytes of a part to use, those of a file in pieces.
func each(p *host.Part, use func([]byte) error) error {
	if p.File == nil {
		return use(p.Bytes)
	}
	piece := make([]byte, min(p.Len, 16*gatherUpTo))
	for off := p.Off; off < p.Off+p.Len; {
		b := piece[:min(int64(len(piece)), p.Off+p.Len-off)]
		if n, err := p.File.ReadAt(b, off); n < len(b) {
			return fmt.Errorf("read %d bytes to send: %w", p.Len, err)
		}
		if err := use(b); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}

// Close closes the socket without TLS's farewell, for which it would have to wait when the peer does not read.
func (c *tlsConn) Close() error { return c.conn.Close() }

// Identity is the node that the peer's certificate names. It is known after the first Read or Send.
func (c *tlsConn) Identity() string {
	if s := c.tls.ConnectionState(); s.HandshakeComplete && len(s.PeerCertificates) > 0 {
		return nodeName(s.PeerCertificates[0])
	}
	return ""
}
