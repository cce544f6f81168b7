package machine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"millrace/node/host"
	"millrace/node/host/hosttest"
)

// signer is an authority for certificates of tests.
type signer struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newSigner(t *testing.T) *signer {
	s := &signer{t: t, dir: t.TempDir()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	s.cert, s.key = s.sign(template, filepath.Join(s.dir, "authority.pem"), "")
	return s
}

func (s *signer) sign(c *x509.Certificate, certificate, private string) (*x509.Certificate, *ecdsa.PrivateKey) {
	s.n++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(s.n), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	parent, by := s.cert, s.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		s.t.Fatal(err)
	}
	write := func(name, kind string, b []byte) {
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	write(certificate, "CERTIFICATE", der)
	if private != "" {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			s.t.Fatal(err)
		}
		write(private, "PRIVATE KEY", b)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	return parsed, key
}

// node signs a certificate for a name.
func (s *signer) node(name string) Certificates {
	f := Certificates{filepath.Join(s.dir, name+".pem"), filepath.Join(s.dir, name+".key"), filepath.Join(s.dir, "authority.pem")}
	s.sign(&x509.Certificate{DNSNames: []string{"example.org", name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, f.Certificate, f.Key)
	return f
}

func secured(t *testing.T, h host.Host, c Certificates) host.Host {
	t.Helper()
	transport, err := PeerTransport(h, c)
	if err != nil {
		t.Fatal(err)
	}
	h.Transport = transport
	return h
}

func TestContractOfTLS(t *testing.T) {
	certificates := newSigner(t).node("node-1")
	hosttest.Run(t, func(t *testing.T) hosttest.World {
		h := secured(t, newHost(t), certificates)
		return hosttest.World{Host: h, Name: "127.0.0.1", Run: func(f func()) {
			done := make(chan struct{})
			h.Tasks.Go("test", func() {
				defer close(done)
				f()
			})
			<-done
		}}
	})
}

// speak has one node dial another and say a word; it returns who each one takes the other for.
func speak(t *testing.T, dialler, listener host.Transport, h host.Host) (string, string, error) {
	l, err := listener.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type heard struct {
		who string
		err error
	}
	at := make(chan heard, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			at <- heard{err: err}
			return
		}
		defer c.Close()
		b := make([]byte, 8)
		if _, err = io.ReadFull(c, b); err == nil {
			_, err = c.Send(host.Part{Bytes: b})
		}
		at <- heard{c.Identity(), err}
	}()
	deadline := h.Clock.Now().Add(5 * time.Second)
	c, err := dialler.Dial(l.Addr(), deadline)
	if err != nil {
		return "", "", errors.Join(err, (<-at).err)
	}
	defer c.Close()
	c.SetReadDeadline(deadline)
	_, err = c.Send(host.Part{Bytes: []byte("good day")})
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 8))
	}
	there := <-at
	return c.Identity(), there.who, errors.Join(err, there.err)
}

func TestCertificatesNameNodes(t *testing.T) {
	h := newHost(t)
	ours, theirs := newSigner(t), newSigner(t)
	one, two := secured(t, h, ours.node("node-1")).Transport, secured(t, h, ours.node("node-2")).Transport
	other := secured(t, h, theirs.node("node-1")).Transport
	if dialled, dialling, err := speak(t, one, two, h); err != nil || dialled != "node-2" || dialling != "node-1" {
		t.Errorf("node 1 dials %q, node 2 is dialled by %q: %v", dialled, dialling, err)
	}
	for name, pair := range map[string][2]host.Transport{
		"the dialler has no certificate": {h.Transport, two}, "the listener has none": {one, h.Transport},
		"another authority dials": {other, two}, "another authority listens": {one, other},
	} {
		if _, _, err := speak(t, pair[0], pair[1], h); err == nil {
			t.Errorf("%s: they speak", name)
		}
	}
	if _, err := PeerTransport(h, ours.node("broker")); err == nil {
		t.Error("a certificate that names no node is good enough")
	}
	if _, err := PeerTransport(h, Certificates{}); err == nil {
		t.Error("no certificate is good enough")
	}
}
