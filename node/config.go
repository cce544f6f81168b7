package node

import (
	"time"

	"millrace/net/server"
	"millrace/node/host"
)

// Config says how a node is to run. The zero value works: a broker on 127.0.0.1:9092, node id 1, alone in a new
// cluster, its data at the root of the host's disk. A size or time of zero means its default; small values are for the
// simulator, which wants to see segments roll and checkpoints pass.
type Config struct {
	// Listen is the address of the Kafka listener, "host:port"; port 0 chooses a free one. Default 127.0.0.1:9092.
	Listen string
	// Advertise is the "host:port" that clients are told to connect to. Empty: the address by which each of them
	// reached this node, which is right unless something between translates addresses.
	Advertise string
	// NodeID is the broker id, 1 by default. It is fixed when the data directory is first used.
	NodeID int32
	// ClusterID names a new cluster; empty draws one. A data directory that belongs to another cluster is refused.
	ClusterID string
	// Rack is told to clients, and replicas of a partition are placed in different ones; empty is none.
	Rack string

	// Peers are the nodes of the cluster, this one among them: one, three or five. None means a cluster of this node
	// alone. The same list is given to every node when the cluster is made.
	Peers []Peer
	// PeerListen is the address that the other nodes connect to here; empty is this node's in Peers.
	PeerListen string
	// Secret is what the nodes of a cluster know and nobody else does. It may be empty only if all Peers are on this
	// machine, or if there is a PeerTransport.
	Secret []byte
	// PeerTransport, if not nil, connects the nodes instead of the host's transport, and tells them apart by certificates.
	PeerTransport host.Transport
	// Cancel, if not nil, makes a Start that waits for other nodes give up when it is set.
	Cancel *host.Future[struct{}]
	// DataDir is the name of the data directory, shown to clients who ask for it. Nothing is opened by it.
	DataDir string
	// Properties are broker configs under Kafka's names, as in a server.properties file; see node/config. They are
	// below what was set dynamically and above the defaults.
	Properties map[string]string

	// Lanes is the number of data shards that partitions are spread over. Default 4.
	Lanes int
	// Files is how many file descriptors the node may use; 0 is no bound that is known. Connections are refused before they
	// are used up.
	Files int
	// Server bounds connections and requests. Properties that name the same things win.
	Server server.Options

	// WALFileBytes is the size of a file of the write-ahead log, WALFirstBytes that of the first one, which should be
	// small since it is written with zeros before the node starts, WALMaxBytes the bound of all.
	WALFileBytes, WALFirstBytes, WALMaxBytes int64
	// CheckpointBytes of log, or CheckpointInterval if anything was written, bring the next checkpoint.
	CheckpointBytes    int64
	CheckpointInterval time.Duration
	// CacheBytes bounds the memory for recently written records that are not yet, or no longer only, in segments.
	CacheBytes int64
	// SmallestChunkBytes and LargestChunkBytes bound how much of a partition is written to its segment at once; powers
	// of two from 4096 on.
	SmallestChunkBytes, LargestChunkBytes int
	// IndexInterval is the distance in bytes between entries of a segment's index.
	IndexInterval int
	// SegmentBytes is the default of segment.bytes, below Kafka's lower bound if need be.
	SegmentBytes int64
	// RetentionInterval is how often retention and the age of segments are looked at; default is Kafka's
	// log.retention.check.interval.ms.
	RetentionInterval time.Duration
	// FillRate bounds in bytes a second what this node pulls from its peers to become whole; negative is no bound.
	FillRate int64
	// ScrubInterval is the time between two checks of everything that is held, ScrubRate how many bytes a second are read
	// for it. Negative: never, and no bound.
	ScrubInterval time.Duration
	ScrubRate     int64
	// CleanInterval is how often it is looked for what is to be compacted, and CleanMemory the memory for keys; the
	// defaults are log.cleaner.backoff.ms and log.cleaner.dedupe.buffer.size.
	CleanInterval time.Duration
	CleanMemory   int64
	// EntryBytes bounds what of the log is replicated at once, but for a single batch, which may be larger.
	EntryBytes int
	// ReserveHigh and ReserveLow are free bytes of the file system below which produces, and everything but what
	// frees space, are refused.
	ReserveHigh, ReserveLow int64
}

// Peer is a node of the cluster and where its peers reach it, "host:port".
type Peer struct {
	Node int32
	Addr string
}

func (c Config) withDefaults() Config {
	if c.Lanes <= 0 {
		c.Lanes = 4
	}
	return c
}
