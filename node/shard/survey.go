package shard

import (
	"bytes"
	"slices"
	"strings"

	"millrace/partition"
	"millrace/wal"
)

// Survey is what the records of a write-ahead log say about one partition on one node: for reports about a disk that
// nobody may touch.
type Survey struct {
	Shard     uint64
	Partition partition.ID
	HardState wal.HardState
	// Start and End are those of its checkpoint: what lies between is in segments. Applied is the raft index up to
	// which the checkpoint holds everything.
	Start, End int64
	Applied    uint64
	// EpochBase is the difference between its leader epochs and the shard's terms.
	EpochBase int32
	// Batches are those of the entries after the checkpoint, in their order.
	Batches []SurveyBatch
}

// SurveyBatch is a batch in an entry.
type SurveyBatch struct {
	Index, Term uint64
	Base        int64
	Count       int32
	CRC         uint32
}

// SurveyOf reads what wal.Survey found. Records that cannot be read are left out.
func SurveyOf(shards []wal.RecoveredShard) []Survey {
	var all []Survey
	for _, s := range new(Surveyor).Survey(shards) {
		all = append(all, *s)
	}
	return all
}

// Surveyor is SurveyOf for who looks at the same log again and again.
type Surveyor struct{ shards map[uint64]*surveyed }

// surveyed is what was last seen of a shard.
type surveyed struct {
	compact uint64
	states  []wal.State
	entries []wal.Entry
	surveys []*Survey
}

// Survey reads what a survey of the log found. The Survey that was returned before comes again as long as it differs only
// in its hard state and in batches that were added behind the others.
func (x *Surveyor) Survey(shards []wal.RecoveredShard) []*Survey {
	var all []*Survey
	known := make(map[uint64]*surveyed, len(shards))
	for _, s := range shards {
		k := x.shards[s.ID]
		if k == nil || !k.continues(s) {
			k = surveyStates(s)
		}
		for _, e := range s.Entries[len(k.entries):] {
			k.entries = append(k.entries, e)
			k.add(s, e)
		}
		for _, one := range k.surveys {
			one.HardState = s.HardState
		}
		known[s.ID], all = k, append(all, k.surveys...)
	}
	x.shards = known
	return all
}

// continues says that a shard has nothing but more entries than it had.
func (k *surveyed) continues(s wal.RecoveredShard) bool {
	if s.Compact != k.compact || len(s.Entries) < len(k.entries) ||
		!slices.EqualFunc(k.states, s.State, func(a, b wal.State) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }) {
		return false
	}
	for i := range k.entries {
		if a, b := &k.entries[i], &s.Entries[i]; a.Index != b.Index || a.Term != b.Term || !bytes.Equal(a.Data, b.Data) {
			return false
		}
	}
	return true
}

// surveyStates reads the checkpoints of a shard.
func surveyStates(s wal.RecoveredShard) *surveyed {
	k := &surveyed{compact: s.Compact, states: slices.Clone(s.State)}
	for _, state := range s.State {
		if !strings.HasPrefix(state.Key, statePartition) {
			continue
		}
		if base, c, err := decodePartition(state); err == nil {
			k.surveys = append(k.surveys, &Survey{Shard: s.ID, Partition: c.ID, Start: c.LogStart, End: c.End, Applied: s.Compact, EpochBase: base})
		}
	}
	return k
}

// adoptedBase is what leader epochs of a partition that was adopted in a term are counted from.
func adoptedBase(epoch int32, term uint64) int32 {
	if epoch < 0 {
		return 0
	}
	return epoch - int32(term)
}

// add adds the batches of an entry.
func (k *surveyed) add(s wal.RecoveredShard, e wal.Entry) {
	records, err := readEntry(e.Data)
	if err != nil {
		return
	}
	for r := (record{}); ; {
		if more, err := records.next(&r); err != nil || !more {
			return
		}
		if r.kind != kindBatch && r.kind != kindAdopt {
			continue
		}
		i := slices.IndexFunc(k.surveys, func(x *Survey) bool { return x.Partition == r.partition })
		if i < 0 {
			i = len(k.surveys)
			k.surveys = append(k.surveys, &Survey{Shard: s.ID, Partition: r.partition, EpochBase: adoptedBase(r.epoch, e.Term)})
		}
		if x := k.surveys[i]; r.kind == kindBatch && r.baseOffset >= x.End {
			x.Batches = append(x.Batches, SurveyBatch{e.Index, e.Term, r.baseOffset, r.count, r.crc})
		}
	}
}
