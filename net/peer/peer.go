package peer

import (
	"errors"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"millrace/node/host"
)

// Hello is who a node says it is when a connection begins.
type Hello struct {
	// Cluster is the cluster's id, "" while the node belongs to none.
	Cluster string
	Node    int32
	// Directory is the id of the data directory, Incarnation that of this run of the process. Boots counts the runs
	// that were started on the directory.
	Directory, Incarnation [16]byte
	Boots                  uint64
}

// Message is a raft message of a shard with the payloads of its entries: one for each, in their order.
type Message struct {
	Shard    uint64
	Raft     *raftpb.Message
	Payloads []Payload
}

// Payload is the bytes that belong to an entry and travel beside its Data. The zero value is an entry without any.
type Payload struct {
	// Size is the number of bytes.
	Size int
	// Parts are the bytes, in order; they lie in Holds. Sums, if there are any, are their CRC32Cs, one for each part,
	// for whoever knows them from elsewhere.
	Parts [][]byte
	Sums  []uint32
	Holds []*host.Buffer
	// Load, if it is set, brings the bytes instead, as long as Size says; it runs in a task of the links just before they
	// are sent, which releases them afterwards.
	Load func() (*host.Buffer, error)
}

// Address is where a node listens for its peers.
type Address struct {
	Node int32
	Addr string
}

// Handler is what the links work for. Its methods run in the links' tasks and must not block long, but for Serve. Those
// of one node's stream are called one after the other; those of different streams and nodes at the same time.
type Handler interface {
	// Admit returns nil, or why the node is not let in: the peer is told. It is asked in both roles: about who dials,
	// and about who was dialled.
	Admit(h Hello) error
	// Refused says that a peer, in either role, did not let this node in, and why. The reason comes from whoever is at
	// the other end, which may not have proven to be that peer: that the secrets differ is one of the reasons.
	// oldCopy says that the peer has seen a later start of this node's data directory; that is proven.
	Refused(node int32, reason string, oldCopy bool)
	// Receive takes a raft message. The Parts of a payload lie in its Holds, which the callee retains if it keeps the
	// bytes; the rest of the message is the callee's.
	Receive(from int32, m Message)
	// Serve answers a call, in a task of its own. request is only for the time of the call. done, if not nil, is called
	// when the parts have been sent or given up, and releases what they need. The text of an error goes to the caller.
	Serve(from int32, kind uint8, request []byte) (parts []host.Part, done func(), err error)
	// Told takes a note, which is only for the time of the call.
	Told(from int32, kind uint8, note []byte)
	// Dropped says that a message that Send had taken was not sent after all. The message is the callee's; its
	// payloads are gone. What was sent and did not arrive is not reported: the end of a connection is Down.
	Dropped(to int32, shard uint64, m *raftpb.Message)
	// Up says that the node can be heard, Down that it cannot. They alternate, and begin with Up; a node that comes
	// back in another incarnation was Down before.
	Up(node int32, h Hello)
	Down(node int32)
}

// Options configure Links. The zero value of a field means its default.
type Options struct {
	Self Hello
	// Listen is the address for peers; "" for a node that has none.
	Listen string
	// Peers are the other nodes; an entry for the node itself is ignored.
	Peers []Address
	// Secret is known to all nodes of the cluster. It may be empty only as Exposed says.
	Secret []byte
	// Transport is used instead of the host's. Certified says that it identifies peers by certificates.
	Transport host.Transport
	Certified bool

	// Ping is the time after which a link without traffic says that it lives, Silence how long a peer may say nothing
	// before it is Down.
	Ping    time.Duration // 100 ms
	Silence time.Duration // 400 ms

	// QueueBytes bounds what waits for one peer in the append stream, and SmallQueueBytes what waits in each of the
	// others.
	QueueBytes      int // 64 MiB
	SmallQueueBytes int // 8 MiB
	// MaxFrameBytes bounds a frame: an entry with its payload, or an answer.
	MaxFrameBytes int // 128 MiB
	// Calls and BulkCalls are how many calls of one peer are served at once on the control and the bulk stream; more
	// are refused. An answer that is not sent yet counts.
	Calls     int // 64
	BulkCalls int // 8
}

// Errors of Call. They are wrapped; use errors.Is.
var (
	// ErrNotConnected: there is no connection; the peer has not seen the call.
	ErrNotConnected = errors.New("not connected")
	// ErrBusy: too many calls; the peer has not served this one.
	ErrBusy = errors.New("too many calls at once")
	// ErrLost: the connection ended before the answer; the call may have been served.
	ErrLost = errors.New("connection lost before the answer")
	// ErrLate: the deadline passed; the call may be served.
	ErrLate = errors.New("no answer in time")
	// ErrServed: the peer's Handler returned an error; its text follows.
	ErrServed = errors.New("peer answers")
)
