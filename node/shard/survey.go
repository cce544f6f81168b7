package shard

import (
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
	for _, s := range shards {
		first := len(all)
		for _, state := range s.State {
			if !strings.HasPrefix(state.Key, statePartition) {
				continue
			}
			if base, c, err := decodePartition(state); err == nil {
				all = append(all, Survey{Shard: s.ID, Partition: c.ID, HardState: s.HardState, Start: c.LogStart, End: c.End,
					Applied: s.Compact, EpochBase: base})
			}
		}
		for _, e := range s.Entries {
			all = surveyEntry(all, first, s, e)
		}
	}
	return all
}

// adoptedBase is what leader epochs of a partition that was adopted in a term are counted from.
func adoptedBase(epoch int32, term uint64) int32 {
	if epoch < 0 {
		return 0
	}
	return epoch - int32(term)
}

// surveyEntry adds the batches of an entry to the surveys of its shard, those from first on.
func surveyEntry(all []Survey, first int, s wal.RecoveredShard, e wal.Entry) []Survey {
	records, err := readEntry(e.Data)
	if err != nil {
		return all
	}
	for r := (record{}); ; {
		if more, err := records.next(&r); err != nil || !more {
			return all
		}
		if r.kind != kindBatch && r.kind != kindAdopt {
			continue
		}
		i := first
		for i < len(all) && all[i].Partition != r.partition {
			i++
		}
		if i == len(all) {
			all = append(all, Survey{Shard: s.ID, Partition: r.partition, HardState: s.HardState, EpochBase: adoptedBase(r.epoch, e.Term)})
		}
		if x := &all[i]; r.kind == kindBatch && r.baseOffset >= x.End {
			x.Batches = append(x.Batches, SurveyBatch{e.Index, e.Term, r.baseOffset, r.count, r.crc})
		}
	}
}
