package peer

import (
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/node/host"
)

const (
	dialTimeout      = 500 * time.Millisecond
	handshakeTimeout = 2 * time.Second
	// maxReason bounds the text of a refusal.
	maxReason = 512
)

var (
	errNotAdmitted = errors.New("this node refuses")
	errSecret      = errors.New("the cluster secrets of the two nodes differ")
)

// refusedError is the reason for which a peer refused.
type refusedError string

func (e refusedError) Error() string { return "the peer refuses: " + string(e) }

// AdviceOnCopies says what to do with two copies of a data directory, when nobody can tell which of them is the original: the
// number of starts does not, once somebody has started a copy that was made while the original ran.
const AdviceOnCopies = "stop both, go on with the one that acknowledged last, started again until it counts more starts than the other, " +
	"and delete the other: it lacks what was acknowledged since they parted"

// OldCopyError is why a node is not let in whose data directory is an old copy of one that was seen on a later start.
// Handler.Admit may return one, too. Starts only grow, so a single node that has seen the later one knows it for sure.
type OldCopyError string

func (e OldCopyError) Error() string { return string(e) }

// oldCopyRefusal is the refusal of an old copy as it came: a proof, and the reason.
type oldCopyRefusal struct {
	refusedError
	proof []byte
}

func (e *oldCopyRefusal) Unwrap() error { return e.refusedError }

// tell sends a message before frames begin.
func tell(c host.Conn, kind uint8, rest []byte) ([]byte, error) {
	b := envelope(kind, rest)
	_, err := c.Send(host.Part{Bytes: b})
	return b, err
}

// hear reads a message before frames begin, not a byte more, and wants it to be of a kind. A refusal is an error.
func hear(c host.Conn, want uint8) ([]byte, error) {
	b := make([]byte, envelopeSize, 256)
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, err
	}
	kind, size, err := openEnvelope(b)
	if err != nil {
		return nil, err
	}
	b = append(b, make([]byte, size)...)
	if _, err := io.ReadFull(c, b[envelopeSize:]); err != nil {
		return nil, err
	}
	switch kind {
	case want:
		return b, nil
	case noteRefusal:
		return nil, refusedError(b[envelopeSize:])
	case noteOldCopy:
		if size < proofSize {
			return nil, fmt.Errorf("%w: refusal of %d bytes", errMalformed, size)
		}
		rest := b[envelopeSize:]
		return nil, &oldCopyRefusal{refusedError(rest[proofSize:]), rest[:proofSize]}
	}
	return nil, fmt.Errorf("%w: message %d when %d was due", errMalformed, kind, want)
}

// refuse tells the peer why, if it listens.
func refuse(c host.Conn, why error) {
	_, _ = tell(c, noteRefusal, reason(why))
}

func reason(why error) []byte {
	text := why.Error()
	return []byte(text[:min(len(text), maxReason)])
}

// refuseProven is refuse for a peer that has proven to know the secret: that its directory is an old copy is told with a
// proof, since it makes the peer stop.
func (l *Links) refuseProven(c host.Conn, why error, opening, reply []byte) {
	if _, old := errors.AsType[OldCopyError](why); !old {
		refuse(c, why)
		return
	}
	_, _ = tell(c, noteOldCopy, append(proof(l.options.Secret, roleOldCopy, opening, reply), reason(why)...))
}

// verified is an error of hear, but for a refusal that says without proof that this node's directory is an old copy: that
// is a refusal like any other.
func (l *Links) verified(err error, opening, reply []byte) error {
	if old, ok := errors.AsType[*oldCopyRefusal](err); ok && !proven(l.options.Secret, roleOldCopy, opening, reply, old.proof) {
		return old.refusedError
	}
	return err
}

func (l *Links) deadlines(c host.Conn, t host.Instant) {
	c.SetReadDeadline(t)
	c.SetSendDeadline(t)
}

func (l *Links) newGreeting(s stream, target int32, v uint16) (*greeting, error) {
	g := &greeting{version: v, oldest: oldest, stream: s, hello: *l.self.Load(), target: target}
	if _, err := io.ReadFull(l.host.Secure, g.nonce[:]); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	return g, nil
}

// greet is the dialler's side of the handshake.
func (l *Links) greet(c host.Conn, id uint64, node int32, s stream) error {
	l.deadlines(c, l.host.Clock.Now().Add(handshakeTimeout))
	mine, err := l.newGreeting(s, node, version)
	if err != nil {
		return err
	}
	opening, err := tell(c, noteOpening, mine.encode())
	if err != nil {
		return err
	}
	reply, err := hear(c, noteReply)
	if err != nil {
		return err
	}
	theirs, err := decodeGreeting(reply[envelopeSize:])
	if err != nil {
		return err
	}
	if theirs.version < oldest || theirs.version > version || theirs.stream != s {
		return fmt.Errorf("%w: reply with version %d, stream %d", errMalformed, theirs.version, theirs.stream)
	}
	if _, err := tell(c, noteProof, proof(l.options.Secret, roleDialer, opening, reply)); err != nil {
		return err
	}
	verdict, err := hear(c, noteVerdict)
	if err != nil {
		return l.verified(err, opening, reply)
	}
	if !proven(l.options.Secret, roleListener, opening, reply, verdict[envelopeSize:]) {
		return errSecret
	}
	if _, err := l.admit(theirs.hello, &node, c.Identity(), id, s); err != nil {
		l.refuseProven(c, err, opening, reply)
		return fmt.Errorf("%w: %w", errNotAdmitted, err)
	}
	if _, err := tell(c, noteBegin, nil); err != nil {
		return err
	}
	l.deadlines(c, host.Never)
	return nil
}

// welcome is the listener's side of the handshake. The vitals are nil unless the peer has proven who it is and was
// admitted.
func (l *Links) welcome(c host.Conn, id uint64) (Hello, stream, *vitals, error) {
	l.deadlines(c, l.host.Clock.Now().Add(handshakeTimeout))
	opening, err := hear(c, noteOpening)
	if err != nil {
		return Hello{}, 0, nil, err
	}
	theirs, err := decodeGreeting(opening[envelopeSize:])
	if err != nil {
		return Hello{}, 0, nil, err
	}
	v, reply, err := l.examine(c, id, &theirs, opening)
	if err == nil {
		_, err = hear(c, noteBegin)
		err = l.verified(err, opening, reply)
	}
	l.deadlines(c, host.Never)
	return theirs.hello, theirs.stream, v, err
}

// examine lets a dialler prove who it is, and tells it the verdict. It returns the reply that it sent, too.
func (l *Links) examine(c host.Conn, id uint64, theirs *greeting, opening []byte) (v *vitals, reply []byte, err error) {
	chosen, err := agree(theirs)
	if err != nil {
		refuse(c, err)
		return nil, nil, err
	}
	mine, err := l.newGreeting(theirs.stream, theirs.hello.Node, chosen)
	if err != nil {
		return nil, nil, err
	}
	reply, err = tell(c, noteReply, mine.encode())
	if err != nil {
		return nil, nil, err
	}
	got, err := hear(c, noteProof)
	if err != nil {
		return nil, nil, err
	}
	if !proven(l.options.Secret, roleDialer, opening, reply, got[envelopeSize:]) {
		refuse(c, errSecret)
		return nil, nil, errSecret
	}
	if self := mine.hello.Node; theirs.target != self {
		err := fmt.Errorf("this is node %d, not %d", self, theirs.target)
		refuse(c, err)
		return nil, nil, err
	}
	v, err = l.admit(theirs.hello, nil, c.Identity(), id, theirs.stream)
	if err != nil {
		l.refuseProven(c, err, opening, reply)
		return nil, nil, err
	}
	if _, err = tell(c, noteVerdict, proof(l.options.Secret, roleListener, opening, reply)); err != nil {
		return nil, nil, err
	}
	return v, reply, nil
}

// away says that an error is no more than the absence of a peer.
func away(err error) bool {
	return errors.Is(err, host.ErrRefused) || errors.Is(err, host.ErrReset) || errors.Is(err, host.ErrTimeout) || errors.Is(err, host.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// complain says that there is no connection with a node, if it is known, and why.
func (l *Links) complain(node int32, who string, err error) {
	if reason, ok := errors.AsType[refusedError](err); ok {
		_, old := errors.AsType[*oldCopyRefusal](err)
		l.handler.Refused(node, string(reason), old)
	}
	l.events.Post(refused{who, err})
}

// admit asks whether a peer that has proven to know the secret may be who it says. dialled is the node that this one
// wanted to reach, nil when it was reached.
func (l *Links) admit(h Hello, dialled *int32, identity string, id uint64, s stream) (*vitals, error) {
	if err := contradicts(h, l.self.Load().Node, dialled, l.options.Certified, identity); err != nil {
		return nil, err
	}
	g := &greeted{id: id, hello: h, outbound: dialled != nil, stream: s, result: host.NewFuture[verdict](l.host.Tasks)}
	if !l.events.Post(g) {
		return nil, host.ErrClosed
	}
	v := g.result.Get()
	return v.vitals, v.err
}
