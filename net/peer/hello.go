package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// version is the newest version of the protocol between nodes that this node speaks, oldest the oldest one.
const (
	version = 1
	oldest  = 1
)

// The kinds of messages before frames begin.
const (
	noteOpening = 1
	noteReply   = 2
	noteProof   = 3
	noteVerdict = 4
	noteRefusal = 5
	noteBegin   = 6
	noteOldCopy = 7
)

const (
	envelopeSize = 8
	maxEnvelope  = 1 << 10 // what follows it
	helloSize    = 92
	maxCluster   = 64
	nonceSize    = 32
	proofSize    = sha256.Size
)

var magic = [4]byte{'M', 'R', 'P', 'L'}

var errMalformed = errors.New("malformed")

// greeting is an opening or a reply: a Hello and what belongs to this connection.
type greeting struct {
	// version is the newest one in an opening, the chosen one in a reply; oldest counts in an opening only.
	version, oldest uint16
	stream          stream
	hello           Hello
	// target is the node that the sender wants to speak to.
	target int32
	nonce  [nonceSize]byte
}

// envelope puts the header of a message in front of its rest.
func envelope(kind uint8, rest []byte) []byte {
	b := make([]byte, envelopeSize, envelopeSize+len(rest))
	copy(b, magic[:])
	b[4] = kind
	binary.LittleEndian.PutUint16(b[6:], uint16(len(rest)))
	return append(b, rest...)
}

// openEnvelope returns kind and size of the rest of a message.
func openEnvelope(b []byte) (kind uint8, size int, err error) {
	size = int(binary.LittleEndian.Uint16(b[6:]))
	switch {
	case [4]byte(b[:4]) != magic:
		return 0, 0, fmt.Errorf("%w: this is not a node of Millrace", errMalformed)
	case b[5] != 0 || size > maxEnvelope:
		return 0, 0, fmt.Errorf("%w: message before authentication", errMalformed)
	}
	return b[4], size, nil
}

func (g *greeting) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, helloSize+len(g.hello.Cluster))
	b = le.AppendUint16(b, g.version)
	b = le.AppendUint16(b, g.oldest)
	b = append(b, uint8(g.stream), uint8(len(g.hello.Cluster)), 0, 0)
	b = le.AppendUint32(b, uint32(g.hello.Node))
	b = le.AppendUint32(b, uint32(g.target))
	b = le.AppendUint64(b, g.hello.Boots)
	b = append(b, g.hello.Directory[:]...)
	b = append(b, g.hello.Incarnation[:]...)
	b = append(b, g.nonce[:]...)
	b = append(b, 0, 0, 0, 0)
	return append(b, g.hello.Cluster...)
}

func decodeGreeting(b []byte) (g greeting, err error) {
	le := binary.LittleEndian
	if len(b) < helloSize || len(b) != helloSize+int(b[5]) || b[5] > maxCluster {
		return g, fmt.Errorf("%w: hello of %d bytes", errMalformed, len(b))
	}
	g.version, g.oldest = le.Uint16(b), le.Uint16(b[2:])
	g.stream = stream(b[4])
	g.hello = Hello{
		Node: int32(le.Uint32(b[8:])), Boots: le.Uint64(b[16:]),
		Directory: [16]byte(b[24:]), Incarnation: [16]byte(b[40:]), Cluster: string(b[helloSize:]),
	}
	g.target = int32(le.Uint32(b[12:]))
	g.nonce = [nonceSize]byte(b[56:])
	if g.stream >= streams {
		return g, fmt.Errorf("%w: stream %d", errMalformed, g.stream)
	}
	return g, nil
}

// agree chooses the version that both sides speak.
func agree(g *greeting) (uint16, error) {
	v := min(g.version, version)
	if v < g.oldest || v < oldest {
		return 0, fmt.Errorf("node %d speaks versions %d to %d of the protocol between nodes, this one %d to %d",
			g.hello.Node, g.oldest, g.version, oldest, version)
	}
	return v, nil
}

// The roles in a proof, so that what one side has proven cannot be sent back to it.
const (
	roleDialer   = "millrace peer dialer\x00"
	roleListener = "millrace peer listener\x00"
	roleOldCopy  = "millrace peer old copy\x00"
)

// proof shows who knows the secret that its sender does, in a role, for one pair of greetings.
func proof(secret []byte, role string, opening, reply []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(role))
	h.Write(opening)
	h.Write(reply)
	return h.Sum(nil)
}

// proven compares in constant time.
func proven(secret []byte, role string, opening, reply, got []byte) bool {
	return hmac.Equal(proof(secret, role, opening, reply), got)
}

// known is what the links remember of a node.
type known struct {
	hello Hello
	seen  bool
	// connected says that the node of hello has a connection now.
	connected bool
}

// refusal returns why a hello cannot be true beside what is known, or nil.
func (k *known) refusal(h Hello) error {
	switch was := k.hello; {
	case !k.seen:
	case h.Directory != was.Directory && k.connected:
		return fmt.Errorf("node %d is here already with another data directory (%x, not %x): two nodes have one id", h.Node, was.Directory, h.Directory)
	case h.Directory != was.Directory:
	case h.Boots < was.Boots:
		return OldCopyError(fmt.Sprintf("node %d is on its start %d of data directory %x, which was seen on start %d: this is an old copy of the directory, "+
			"or a copy of it was started meanwhile; %s", h.Node, h.Boots, h.Directory, was.Boots, AdviceOnCopies))
	case h.Boots == was.Boots && h.Incarnation != was.Incarnation:
		return fmt.Errorf("node %d runs twice on copies of data directory %x (start %d): stop one of the two and delete its copy", h.Node, h.Directory, h.Boots)
	}
	return nil
}

// contradicts returns why a hello cannot be that of the node that was dialled or that a certificate names, or nil.
func contradicts(h Hello, self int32, dialled *int32, certified bool, identity string) error {
	switch {
	case h.Node == self:
		return fmt.Errorf("the peer says that it is node %d, as this one", h.Node)
	case dialled != nil && h.Node != *dialled:
		return fmt.Errorf("the address of node %d is that of node %d", *dialled, h.Node)
	case certified && identity == "":
		return fmt.Errorf("node %d has no certificate", h.Node)
	case identity != "" && identity != fmt.Sprintf("node-%d", h.Node):
		return fmt.Errorf("the certificate is that of %q, not of node-%d", identity, h.Node)
	}
	return nil
}
