package shard

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// replicas are the raft ids of members.
func replicas(members []Member) []uint64 {
	ids := make([]uint64, len(members))
	for i, m := range members {
		ids[i] = m.Replica
	}
	return ids
}

// sameMembers compares what is recorded with what is asked for. Records of version 0 know the replica numbers only.
func sameMembers(recorded, asked []Member) bool {
	return slices.EqualFunc(recorded, asked, func(a, b Member) bool {
		return a == b || a.Replica == b.Replica && (a.Node < 0 || b.Node < 0)
	})
}

// alone says that the shard has one replica.
func (r *replica) alone() bool { return len(r.o.Members) == 1 }

// nodeOf is the node where a replica lives, -1 when it is none of the members.
func (r *replica) nodeOf(replica uint64) int32 {
	for _, m := range r.o.Members {
		if m.Replica == replica {
			return m.Node
		}
	}
	return -1
}

// shardState is the "shard" record.
type shardState struct {
	replica uint64
	members []Member
	// index and term are the checkpoint's: of the last entry that it holds.
	index, term uint64
	// compact and compactTerm are of the last entry that the write-ahead log was told to forget; never behind index.
	compact, compactTerm uint64
}

func encodeShard(s shardState) []byte {
	b := append(make([]byte, 0, smallStateGuess), shardVersion)
	b = binary.AppendUvarint(b, s.replica)
	b = binary.AppendUvarint(b, uint64(len(s.members)))
	for _, m := range s.members {
		b = binary.AppendUvarint(b, m.Replica)
		b = binary.AppendVarint(b, int64(m.Node))
		b = append(b, m.Directory[:]...)
	}
	for _, v := range []uint64{s.index, s.term, s.compact, s.compactTerm} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// decodeShard reads a record of version 1 or 0. In version 0 the members are replica numbers only, and what is in the
// checkpoint is compacted.
func decodeShard(b []byte) (s shardState, err error) {
	if len(b) == 0 || b[0] > shardVersion {
		return s, fmt.Errorf("the record %q is of a newer release, or damaged", stateShard)
	}
	version := b[0]
	b = b[1:]
	damaged := func() { err = fmt.Errorf("the record %q is damaged", stateShard) }
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			damaged()
			return 0
		}
		b = b[n:]
		return v
	}
	s.replica = next()
	for n := next(); n > 0 && err == nil; n-- {
		m := Member{Replica: next(), Node: -1}
		if version > 0 && err == nil {
			node, size := binary.Varint(b)
			if size <= 0 || node != int64(int32(node)) || len(b) < size+len(m.Directory) {
				damaged()
				break
			}
			m.Node = int32(node)
			copy(m.Directory[:], b[size:])
			b = b[size+len(m.Directory):]
		}
		s.members = append(s.members, m)
	}
	s.index, s.term = next(), next()
	s.compact, s.compactTerm = s.index, s.term
	if version > 0 {
		s.compact, s.compactTerm = next(), next()
	}
	if err == nil && (s.compact > s.index || len(b) > 0) {
		damaged()
	}
	return s, err
}
