package peer

// Numbers are what the links to one node count.
type Numbers struct {
	Node    int32
	Streams []StreamNumbers
}

// StreamNumbers are those of one stream.
type StreamNumbers struct {
	Name string
	// Queued is what waits to be sent, in bytes, Limit its bound.
	Queued, Limit int64
	// Sent are bytes, Connections how often the node was reached.
	Sent, Connections int64
}

// Numbers returns what the links to each peer count.
func (l *Links) Numbers() []Numbers {
	var all []Numbers
	for _, p := range *l.table.Load() {
		n := Numbers{Node: p.node}
		for _, s := range p.streams {
			n.Streams = append(n.Streams, StreamNumbers{
				Name: s.stream.name(), Queued: s.bytes.Load(), Limit: s.limit, Sent: s.sent.Load(), Connections: s.begun.Load(),
			})
		}
		all = append(all, n)
	}
	return all
}

// name is the stream's in metrics.
func (s stream) name() string {
	switch s {
	case streamControl:
		return "control"
	case streamAppend:
		return "append"
	}
	return "bulk"
}
