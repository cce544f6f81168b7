package shard

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"millrace/partition"
	"millrace/wal"
)

const (
	// snapshotVersion is the format of a snapshot's data, drawn in the package comment.
	snapshotVersion = 0
	// mostSnapshot bounds a snapshot's data in bytes: it travels as one message.
	mostSnapshot = 64 << 20
	// A snapshot that a follower has not acknowledged is sent again after snapshotPatience ticks, and as many more for each
	// MiB of it, but at most after snapshotPatienceMost.
	snapshotPatience     = 40
	snapshotPatienceMost = 200
)

// manifest is a shard without the records of its partitions: what a raft snapshot carries.
type manifest struct {
	partitions []manifestPartition
	// records are the Machine's.
	records []wal.State
}

type manifestPartition struct {
	base int32
	partition.Manifest
}

func (m *manifest) encode() []byte {
	b := binary.AppendUvarint([]byte{snapshotVersion}, uint64(len(m.partitions)))
	var scratch []byte
	for i := range m.partitions {
		p := &m.partitions[i]
		scratch = p.Encode(scratch[:0])
		b = binary.AppendVarint(b, int64(p.base))
		b = binary.AppendUvarint(b, uint64(len(scratch)))
		b = append(b, scratch...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.records)))
	for _, s := range m.records {
		b = binary.AppendUvarint(b, uint64(len(s.Key)))
		b = append(b, s.Key...)
		b = binary.AppendUvarint(b, uint64(len(s.Value)))
		b = append(b, s.Value...)
	}
	return b
}

// decodeManifest reads what encode wrote; it takes memory only for what is there.
func decodeManifest(b []byte) (*manifest, error) {
	if len(b) == 0 || b[0] != snapshotVersion {
		return nil, fmt.Errorf("a snapshot is of a newer release, or damaged")
	}
	d := decoder{b: b[1:]}
	m := &manifest{}
	for range d.count() {
		p := manifestPartition{base: int32(d.signed())}
		encoded := d.bytes()
		if d.bad {
			break
		}
		var err error
		if p.Manifest, err = partition.DecodeManifest(encoded); err != nil {
			return nil, err
		}
		m.partitions = append(m.partitions, p)
	}
	for range d.count() {
		s := wal.State{Key: string(d.bytes())}
		s.Value = d.bytes()
		m.records = append(m.records, s)
	}
	if d.bad || len(d.b) > 0 {
		return nil, fmt.Errorf("a snapshot is damaged")
	}
	return m, nil
}

// decoder reads varints and byte strings; after a mistake everything is empty.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) unsigned() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count is a number of items that follow, each of two bytes at least.
func (d *decoder) count() int {
	n := d.unsigned()
	if n > uint64(len(d.b)/2) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.unsigned()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

// snapshot makes a snapshot of the shard as it is applied, for a follower that is behind the window. What comes behind
// it is in the window; the records of the partitions are filled in by the follower.
func (r *replica) snapshot() (*raftpb.Snapshot, error) {
	m := manifest{}
	for _, p := range r.order {
		if p != nil {
			m.partitions = append(m.partitions, manifestPartition{p.base, p.log.Manifest()})
		}
	}
	if r.machine != nil {
		m.records = r.machine.Records()
	}
	data := m.encode()
	if len(data) > mostSnapshot {
		r.host.Log.Error("a replica cannot catch up: the state of its shard is too large for one message", "shard", r.id, "bytes", len(data))
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	index, term := r.applied, r.appliedTerm
	r.snapshotBytes = len(data)
	r.host.Log.Info("a replica is too far behind and gets the state without the records", "shard", r.id, "entry", index, "bytes", len(data))
	return &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{
		Index: &index, Term: &term, ConfState: &raftpb.ConfState{Voters: replicas(r.o.Members)},
	}}, nil
}

// arriving is a snapshot that waits for a checkpoint.
type arriving struct {
	m *raftpb.Message
	// manifests are by partition.
	manifests map[partition.ID]*manifestPartition
	// last and term are of the last entry that was looked at for what agrees with the manifests.
	last, term uint64
}

// checkSnapshot says whether a MsgSnap may be given to raft.
func checkSnapshot(m *raftpb.Message) (*manifest, error) {
	meta := m.GetSnapshot().GetMetadata()
	if meta.GetIndex() == 0 || meta.GetTerm() == 0 || meta.GetTerm() > m.GetTerm() {
		return nil, fmt.Errorf("a snapshot of entry %d, term %d, in term %d", meta.GetIndex(), meta.GetTerm(), m.GetTerm())
	}
	return decodeManifest(m.GetSnapshot().GetData())
}

// snapshotArrived takes a MsgSnap. It makes the write-ahead log forget everything before it, and a replica with holes
// counts for raft's majority, so nothing that is held may be forgotten here: three replicas could do so one after the
// other. What is logged and agrees with the manifest is applied first, and raft hears of the snapshot when a checkpoint
// holds everything.
func (r *replica) snapshotArrived(m *raftpb.Message) {
	meta := m.GetSnapshot().GetMetadata()
	term, err := r.window.Term(meta.GetIndex())
	if m.GetTerm() < r.term || meta.GetIndex() <= r.applied || err == nil && term == meta.GetTerm() {
		_ = r.node.Step(m) // there is nothing to install: raft answers
		return
	}
	manifest, err := checkSnapshot(m)
	if err != nil {
		r.host.Log.Warn("a snapshot was dropped", "shard", r.id, "reason", err)
		return
	}
	r.arriving = &arriving{m: m, manifests: make(map[partition.ID]*manifestPartition, len(manifest.partitions))}
	for i := range manifest.partitions {
		r.arriving.manifests[manifest.partitions[i].ID] = &manifest.partitions[i]
	}
	r.tryInstall()
}

// tryInstall gives a snapshot that has arrived to raft, when a checkpoint holds all that is here; otherwise it asks for
// one.
func (r *replica) tryInstall() {
	a := r.arriving
	if a == nil || r.dead {
		return
	}
	r.ready()
	if err := r.applyAhead(a); err != nil {
		r.fail(fmt.Errorf("apply what a snapshot shows to be committed: %w", err))
		return
	}
	if r.capturing > 0 || r.unsaved() {
		if r.capturing == 0 && r.o.Checkpoint != nil {
			r.o.Checkpoint()
		}
		return
	}
	r.arriving = nil
	_ = r.node.Step(a.m)
	r.ready() // at once, before anything else changes
}

// unsaved says that something changed since the last capture.
func (r *replica) unsaved() bool {
	return r.applied != r.captured || len(r.changed) > 0 || len(r.dropped) > 0
}

// applyAhead appends to the partitions what is logged here behind the last applied entry and is part of what the manifest
// describes: a leader gives each offset once in a term, so a batch is the manifest's when its leader epoch is that of its
// offset. When raft commits these entries after all, applying them again finds the batches in place.
func (r *replica) applyAhead(a *arriving) error {
	end := min(r.window.last(), a.m.GetSnapshot().GetMetadata().GetIndex())
	term, _ := r.window.Term(end)
	if a.last == end && a.term == term {
		return nil
	}
	for index := max(r.applied+1, r.window.first); index <= end; index++ {
		if err := r.applyEntryAhead(r.window.slot(index), a); err != nil {
			return err
		}
	}
	a.last, a.term = end, term
	r.show()
	return nil
}

func (r *replica) applyEntryAhead(s *slot, a *arriving) error {
	if len(s.entry.GetData()) == 0 {
		return nil
	}
	entry, err := readEntry(s.entry.GetData())
	if err != nil {
		return err
	}
	bytes, err := r.payload(s)
	if err != nil {
		return err
	}
	defer bytes.release()
	var rec record
	for {
		more, err := entry.next(&rec)
		if err != nil || !more {
			return err
		}
		switch rec.kind {
		case kindAdopt:
			if m := a.manifests[rec.partition]; m != nil && int64(m.base) == int64(rec.epoch)-int64(s.entry.GetTerm()) {
				err = r.adopt(rec.partition, rec.epoch, s.entry.GetTerm())
			}
		case kindBatch:
			var b []byte
			if b, err = bytes.take(rec.bytes); err == nil {
				err = r.appendAhead(&rec, s.entry.GetTerm(), b, entry.wall, a)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (r *replica) appendAhead(rec *record, term uint64, b []byte, wall int64, a *arriving) error {
	p, m := r.partitions[rec.partition], a.manifests[rec.partition]
	if p == nil || m == nil || rec.baseOffset != p.log.End() || rec.baseOffset+int64(rec.count) > m.End ||
		m.base != p.base || m.EpochOf(rec.baseOffset) != leaderEpoch(p.base, term) {
		return nil
	}
	r.touch(p)
	return p.log.Append(partition.Batch{Bytes: b, Wall: wall, Roll: rec.roll})
}

// installSnapshot makes a snapshot that raft hands out the state of this replica, and returns the records that say so,
// for the append to the write-ahead log that compacts it up to the snapshot. It runs before the entries behind it.
func (r *replica) installSnapshot(s *raftpb.Snapshot) ([]wal.State, error) {
	index, term := s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm()
	if r.capturing > 0 || r.unsaved() {
		return nil, fmt.Errorf("a snapshot comes before what is here is in a checkpoint")
	}
	m, err := decodeManifest(s.GetData())
	if err != nil {
		return nil, err
	}
	state, err := r.installPartitions(m)
	if err != nil {
		return nil, err
	}
	if r.machine != nil {
		more, err := r.machine.Install(m.records)
		if err != nil {
			return nil, err
		}
		state = append(state, more...)
	}
	state = append(state, wal.State{Key: stateShard, Value: encodeShard(shardState{
		replica: r.o.Replica, members: r.o.Members, index: index, term: term, compact: index, compactTerm: term,
	})})
	// What was proposed here and is not applied has an unknown fate: nobody is answered.
	r.window.reset(index, term, func(s *slot) {
		r.flies(-s.payload.Size())
		s.payload.Release()
	})
	r.applied, r.appliedTerm, r.captured, r.compacted, r.safe = index, term, index, index, index
	r.endReplay()
	r.show()
	r.answerReads()
	r.countHoles()
	r.o.Numbers.Snapshots.Add(1)
	r.host.Log.Info("a replica goes on with the state of its leader and fills what it lacks",
		"shard", r.id, "entry", index, "partitions not whole", r.filling)
	return state, nil
}

// installPartitions makes the partitions what the manifest says, and returns their records.
func (r *replica) installPartitions(m *manifest) ([]wal.State, error) {
	var state []wal.State
	listed := make(map[partition.ID]bool, len(m.partitions))
	for i := range m.partitions {
		p := &m.partitions[i]
		listed[p.ID] = true
		have := r.partitions[p.ID]
		var err error
		if have == nil {
			have = &held{id: p.ID, base: p.base}
			if have.log, err = partition.Install(r.o.Partitions, partitionDir(p.ID), p.Manifest); err == nil {
				r.add(have)
			}
		} else {
			err = have.log.Install(p.Manifest)
		}
		if err != nil {
			return nil, err
		}
		if have.base != p.base {
			have.base = p.base
			r.directory = r.directory.Set(key(p.ID), &place{log: have.log, base: p.base})
			r.moved = true
		}
		r.touch(have)
		record := have.log.Record()
		state = append(state, wal.State{
			Key: statePartition + p.ID.String(), Value: record.Encode(binary.AppendVarint([]byte{stateVersion}, int64(p.base))),
		})
	}
	for _, p := range r.order {
		if p != nil && !listed[p.id] {
			state = append(state, wal.State{Key: statePartition + p.id.String()})
			r.drop(p)
		}
	}
	return state, nil
}

// retrySnapshots makes raft send a snapshot again that a follower does not acknowledge: it may have been lost.
func (r *replica) retrySnapshots() {
	for _, m := range r.others {
		if !r.leading || !m.awaitsSnapshot() {
			m.snapshotTick = r.ticks
		} else if r.ticks-m.snapshotTick > min(snapshotPatience*(1+r.snapshotBytes>>20), snapshotPatienceMost) {
			m.snapshotTick = r.ticks
			r.node.ReportSnapshot(m.Replica, raft.SnapshotFailure)
		}
	}
}
