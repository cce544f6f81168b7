package story

import (
	"fmt"
	"time"
)

// Kind says what an event is.
type Kind string

// The kinds.
const (
	Fault     Kind = "fault"     // one of the plan begins
	Over      Kind = "over"      // and ends
	Armed     Kind = "armed"     // a crash of the plan waits for its moment
	World     Kind = "world"     // something that the world drew: a reset, a failed sync
	Boot      Kind = "boot"      // a process starts
	End       Kind = "end"       // and ends
	Pause     Kind = "pause"     // it stands still
	Resume    Kind = "resume"    // and goes on
	Gone      Kind = "gone"      // a broker ends by its own decision
	Lead      Kind = "lead"      // a broker names a new leader
	Ack       Kind = "ack"       // a batch was acknowledged
	Refused   Kind = "refused"   // it was refused
	Unknown   Kind = "unknown"   // it has no answer
	Read      Kind = "read"      // records were read
	Ends      Kind = "ends"      // where a log starts and ends, as a broker says
	Admin     Kind = "admin"     // topics come and go
	Note      Kind = "note"      // anything else
	Violation Kind = "violation" // what must not be
)

// Event is something that happened.
type Event struct {
	At     time.Duration `json:"at"`
	Number uint64        `json:"n"` // of events of the world before it
	Kind   Kind          `json:"kind"`
	// Node is where it happened, Other the other end of a link.
	Node  string   `json:"node,omitempty"`
	Other []string `json:"other,omitempty"`
	// Disk says that it is about the node's disk.
	Disk bool `json:"disk,omitempty"`
	// Fault is the number of the fault or crash of the plan, from 1 on; see Tale.Faults.
	Fault int `json:"fault,omitempty"`
	// Log is the partition, From and To the offsets that it is about.
	Log  string `json:"log,omitempty"`
	From int64  `json:"from,omitempty"`
	To   int64  `json:"to,omitempty"`
	Text string `json:"text"`
}

// Tale is what is known of a run.
type Tale struct {
	Seed   uint64 `json:"seed"`
	Nodes  int    `json:"nodes"`
	Target int    `json:"target"`
	// Setting says what there was besides faults, a line each: topics, clients, what the world does all the time.
	Setting []string `json:"setting"`
	// Faults are those of the plan in words; crashes first. Weather is what breaks all the time.
	Faults  []string `json:"faults"`
	Weather []string `json:"weather,omitempty"`
	// Failure is what the run ended with, "" if nothing failed; Detail what was said beyond its first line.
	Failure string        `json:"failure"`
	Detail  string        `json:"detail,omitempty"`
	End     time.Duration `json:"end"`
	Acked   int           `json:"acked"`
	Events  []Event       `json:"events"`
	// Looks are what the replicas held at some times, the last one at the end.
	Looks []Look `json:"looks"`
}

// Look is what all replicas held at a time.
type Look struct {
	At       time.Duration `json:"at"`
	Replicas []Replica     `json:"replicas"`
}

// Replica is one node's part of a partition, as its disk has it.
type Replica struct {
	Node  string `json:"node"`
	State string `json:"state"`
	Log   string `json:"log"`
	// Term, Vote and Commit are what is durable of the raft group.
	Term   uint64 `json:"term"`
	Vote   uint64 `json:"vote"`
	Commit uint64 `json:"commit"`
	// Start and Checkpoint bound what the last durable checkpoint holds.
	Start      int64   `json:"start"`
	Checkpoint int64   `json:"checkpoint"`
	Batches    []Batch `json:"batches"`
}

// Batch is a batch that a replica holds.
type Batch struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Epoch int32  `json:"epoch"`
	CRC   uint32 `json:"crc"`
	// Segment says that it is in a segment that a checkpoint vouches for; otherwise it is an entry of the write-ahead log.
	Segment bool `json:"segment"`
	// Synced says that it survives a power cut.
	Synced bool `json:"synced"`
}

// Holds returns the batch with an offset that survives a power cut.
func (r *Replica) Holds(offset int64) (Batch, bool) {
	for _, b := range r.Batches {
		if b.Synced && b.From <= offset && offset < b.To {
			return b, true
		}
	}
	return Batch{}, false
}

// span is a run of batches that are alike.
type span struct {
	Batch
	epochs [2]int32
}

// spans joins neighbours that lie in the same place.
func (r *Replica) spans() []span {
	var all []span
	for _, b := range r.Batches {
		if n := len(all); n > 0 {
			if last := &all[n-1]; last.To == b.From && last.Segment == b.Segment && last.Synced == b.Synced && last.epochs[1] == b.Epoch {
				last.To = b.To
				continue
			}
		}
		all = append(all, span{b, [2]int32{b.Epoch, b.Epoch}})
	}
	return all
}

// words describes what the replica holds.
func (r *Replica) words() string {
	all := r.spans()
	if len(all) == 0 {
		return "nothing"
	}
	text := ""
	for i, s := range all {
		if i > 0 {
			text += ", "
		}
		where, synced := "write-ahead log", ""
		if s.Segment {
			where = "segments"
		}
		if !s.Synced {
			synced = ", NOT SYNCED"
		}
		text += fmt.Sprintf("%s of epoch %d (%s%s)", offsets(s.From, s.To), s.Epoch, where, synced)
	}
	return text
}

func offsets(from, to int64) string {
	if to == from+1 {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d-%d", from, to-1)
}
