package shard

import (
	"encoding/binary"
	"errors"

	"millrace/node/catalog"
)

// noteVersion begins every note between nodes.
const noteVersion = 0

var errNote = errors.New("malformed, or of a newer release")

// fields reads a note, an answer or a question. After the first field that is not there all further ones are zero.
type fields struct {
	b      []byte
	failed bool
}

func (f *fields) fail() { f.b, f.failed = nil, true }

func (f *fields) byte() byte {
	if len(f.b) == 0 {
		f.fail()
		return 0
	}
	v := f.b[0]
	f.b = f.b[1:]
	return v
}

func (f *fields) uint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.fail()
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) int() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.fail()
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) node() int32 {
	v := f.int()
	if v != int64(int32(v)) {
		f.fail()
	}
	return int32(v)
}

func (f *fields) id() (id catalog.ID) {
	if len(f.b) < len(id) {
		f.fail()
		return id
	}
	f.b = f.b[copy(id[:], f.b):]
	return id
}

// count reads the length of a list whose elements take at least so many bytes, so that a hostile one costs no memory.
func (f *fields) count(each int) int {
	n := f.uint()
	if n > uint64(len(f.b)/each) {
		f.fail()
		return 0
	}
	return int(n)
}

func (f *fields) done() error {
	if f.failed || len(f.b) > 0 {
		return errNote
	}
	return nil
}

const (
	flagLeaving = 1
	flagFull    = 2
)

// encodeLeaders writes the note by which a node says what it leads.
func encodeLeaders(leaving, full bool, leaders []*announced) []byte {
	b := make([]byte, 2, 16+16*len(leaders))
	b[0] = noteVersion
	if leaving {
		b[1] = flagLeaving
	}
	if full {
		b[1] |= flagFull
	}
	b = binary.AppendUvarint(b, uint64(len(leaders)))
	for _, a := range leaders {
		b = binary.AppendUvarint(b, a.Shard)
		b = binary.AppendUvarint(b, a.Term)
		b = binary.AppendUvarint(b, a.sequence)
		b = binary.AppendUvarint(b, uint64(len(a.InSync)))
		for _, n := range a.InSync {
			b = binary.AppendVarint(b, int64(n))
		}
	}
	return b
}

func decodeLeaders(b []byte) (leaving, full bool, leaders []*announced, err error) {
	f := fields{b: b}
	if f.byte() != noteVersion {
		return false, false, nil, errNote
	}
	flags := f.byte()
	leaving, full = flags&flagLeaving != 0, flags&flagFull != 0
	for n := f.count(4); n > 0; n-- {
		a := &announced{Leader: Leader{Shard: f.uint(), Term: f.uint()}, sequence: f.uint()}
		for n := f.count(1); n > 0; n-- {
			a.InSync = append(a.InSync, f.node())
		}
		if f.failed {
			break
		}
		leaders = append(leaders, a)
	}
	return leaving, full, leaders, f.done()
}

func encodeBeat(b beat) []byte {
	out := binary.AppendVarint([]byte{noteVersion}, b.epoch)
	return append(out, b.incarnation[:]...)
}

func decodeBeat(b []byte) (out beat, err error) {
	f := fields{b: b}
	if f.byte() != noteVersion {
		return out, errNote
	}
	out.epoch, out.incarnation = f.int(), f.id()
	return out, f.done()
}
