package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"millrace/node/host"
	"millrace/node/ordered"
	"millrace/partition"
)

// The calls of filling. Their formats are drawn in the package comment.
const (
	callFiles    = callFill     // which segment files of a partition are there
	callRange    = callFill + 1 // a piece of one
	callDoubtful = callFill + 2 // a piece of one came with bad bytes: look at it
	callSettled  = callFill + 3 // how far a partition is compacted

	fillVersion = 1 // in version 0 segments had no gaps
	// mostRange bounds the bytes that one call asks for, unless a single batch has more.
	mostRange = 4 << 20
)

// What answers begin with, behind the version.
const (
	fillGood    = 0
	fillNotHere = 1 // the partition is not here
	fillChanged = 2 // the file has changed: ask for the list again
)

var errNotHere = errors.New("the partition is not there")

// wanted is a question of filling: a partition, and for a range where it lies.
type wanted struct {
	shard                              uint64
	id                                 partition.ID
	base, generation, position, offset int64
	bytes                              int64
}

func (w *wanted) encode() []byte {
	b := binary.AppendUvarint([]byte{fillVersion}, w.shard)
	b = append(b, w.id.Topic[:]...)
	for _, v := range []int64{int64(w.id.Index), w.base, w.generation, w.position, w.offset, w.bytes} {
		b = binary.AppendVarint(b, v)
	}
	return b
}

func decodeWanted(b []byte) (wanted, error) {
	var w wanted
	if len(b) == 0 || b[0] != fillVersion {
		return w, fmt.Errorf("a question of filling is of another release")
	}
	d := decoder{b: b[1:]}
	w.shard = d.unsigned()
	if len(d.b) < len(w.id.Topic) {
		return w, fmt.Errorf("a question of filling is cut off")
	}
	copy(w.id.Topic[:], d.b)
	d.b = d.b[len(w.id.Topic):]
	w.id.Index = int32(d.signed())
	w.base, w.generation, w.position, w.offset, w.bytes = d.signed(), d.signed(), d.signed(), d.signed(), d.signed()
	if d.bad || len(d.b) > 0 {
		return w, fmt.Errorf("a question of filling is damaged")
	}
	return w, nil
}

// serveFill answers a call of another node that fills. It reads nothing but published state, and only what is held.
func (s *Set) serveFill(kind uint8, request []byte) ([]host.Part, func(), error) {
	w, err := decodeWanted(request)
	if err != nil {
		return nil, nil, err
	}
	shard, ok := s.shards.Load().Get(ordered.Int(w.shard))
	if !ok {
		return fillAnswer(fillNotHere), nil, nil
	}
	log, _, ok := shard.Held(w.id)
	if !ok {
		return fillAnswer(fillNotHere), nil, nil
	}
	switch kind {
	case callFiles:
		files, err := log.Files()
		if err != nil {
			return fillAnswer(fillNotHere), nil, nil
		}
		return []host.Part{{Bytes: partition.EncodeSegments([]byte{fillVersion, fillGood}, files)}}, nil, nil
	case callRange:
		return s.serveRange(log, &w)
	case callDoubtful:
		s.suspected(w.id, w.base, w.generation)
		return fillAnswer(fillGood), nil, nil
	case callSettled:
		return s.serveSettled(log), nil, nil
	}
	return nil, nil, fmt.Errorf("this release does not know calls of kind %d", kind)
}

func fillAnswer(status byte) []host.Part { return []host.Part{{Bytes: []byte{fillVersion, status}}} }

func (s *Set) serveRange(log *partition.Log, w *wanted) ([]host.Part, func(), error) {
	r, err := log.ReadFile(w.base, w.generation, w.position, w.offset, int(max(1, min(w.bytes, mostRange))))
	switch {
	case errors.Is(err, partition.ErrChanged):
		return fillAnswer(fillChanged), nil, nil
	case errors.Is(err, partition.ErrDropped):
		return fillAnswer(fillNotHere), nil, nil
	case errors.Is(err, partition.ErrCorrupt):
		s.suspected(w.id, w.base, w.generation)
		return nil, nil, err
	case err != nil:
		return nil, nil, err
	}
	head := binary.AppendVarint([]byte{fillVersion, fillGood}, r.Position)
	return append([]host.Part{{Bytes: head}}, r.Parts...), r.Release, nil
}

// readFillAnswer returns what comes behind the status.
func readFillAnswer(b []byte) ([]byte, error) {
	switch {
	case len(b) < 2 || b[0] != fillVersion:
		return nil, fmt.Errorf("an answer about filling is of another release")
	case b[1] == fillNotHere:
		return nil, errNotHere
	case b[1] == fillChanged:
		return nil, partition.ErrChanged
	case b[1] != fillGood:
		return nil, fmt.Errorf("an answer about filling has the status %d", b[1])
	}
	return b[2:], nil
}
