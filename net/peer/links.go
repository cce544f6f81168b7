package peer

import (
	"millrace/node/host"
)

// Links are a node's connections to its peers. All methods may be called from any task.
type Links struct {
}

// Start listens and begins to dial.
func Start(h host.Host, o Options, handler Handler) (*Links, error) { panic("net/peer: to come") }

// SetSelf changes what later connections say of this node. Those that are there go on.
func (l *Links) SetSelf(h Hello) { panic("net/peer: to come") }

// SetPeers changes the peers and their addresses. Links to nodes that are not among them end.
func (l *Links) SetPeers(peers []Address) { panic("net/peer: to come") }

// Send hands over a raft message and never blocks. It returns false when the message is dropped: there is no
// connection, or too much waits already. The payloads' Holds are retained for as long as they are needed.
func (l *Links) Send(node int32, m Message) bool { panic("net/peer: to come") }

// Tell sends a note on the control stream and never blocks; false means that it is dropped. note must not change.
func (l *Links) Tell(node int32, kind uint8, note []byte) bool { panic("net/peer: to come") }

// Call asks the node on the control stream and waits for the answer, which the caller releases. request must not change
// until then. A small answer, please: see CallBulk.
func (l *Links) Call(node int32, kind uint8, request []byte, deadline host.Instant) (*host.Buffer, error) {
	panic("net/peer: to come")
}

// CallBulk is Call on the bulk stream, for large answers.
func (l *Links) CallBulk(node int32, kind uint8, request []byte, deadline host.Instant) (*host.Buffer, error) {
	panic("net/peer: to come")
}

// Connected says that messages to the node have a connection to leave by.
func (l *Links) Connected(node int32) bool { panic("net/peer: to come") }

// Addr is where it listens, "" when it does not.
func (l *Links) Addr() string { panic("net/peer: to come") }

// Close ends all connections and waits until the links' tasks have ended. No Handler method is called afterwards.
func (l *Links) Close() { panic("net/peer: to come") }
