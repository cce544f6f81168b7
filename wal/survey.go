package wal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"

	"millrace/node/host"
)

// Survey says what the bytes of a log's files hold, by the rules of recovery: for reports about a disk that nobody may
// touch. files are the contents of files with the suffix of log files. What recovery would refuse is left out, so a
// survey is no proof that the log opens.
func Survey(files [][]byte) []RecoveredShard {
	all := make([]*SurveyedFile, len(files))
	for i, b := range files {
		all[i] = new(SurveyedFile)
		all[i].Read(b, 0)
	}
	return new(Surveyor).Survey(all)
}

// SurveyedFile is what a survey knows of one file, for who looks at it again and again. The zero value knows nothing of it.
type SurveyedFile struct {
	header fileHeader
	ok     bool
	groups []*surveyedGroup // in the order of their offsets
}

// surveyedGroup is what was found behind the header of a group. It does not change, and holds on to no file's bytes.
type surveyedGroup struct {
	header  groupHeader
	whole   bool
	records []scanned
}

// Read takes the bytes of the file. Those below from must be those of the last call.
func (f *SurveyedFile) Read(b []byte, from int64) {
	if from < headerBlock {
		f.header, f.ok = surveyHeader(b)
		f.groups, from = nil, 0
	}
	if !f.ok {
		return
	}
	// The first block whose group header may be another one.
	next := max(headerBlock, roundUp(from-groupBytes+1))
	groups := make([]*surveyedGroup, 0, len(f.groups)+1)
	for _, g := range f.groups {
		if g.header.offset >= next {
			break
		}
		if g.header.offset+g.header.length > from {
			g = surveyGroup(b, g.header)
		}
		groups = append(groups, g)
	}
	for at := next; at+groupBytes <= int64(len(b)); at += host.Align {
		if h, there := parseGroupHeader(b[at:at+groupBytes], f.header, at); there {
			groups = append(groups, surveyGroup(b, h))
		}
	}
	f.groups = groups
}

// Surveyor is Survey for who looks at the same log again and again: it goes on from the last time as long as groups have
// only been added.
type Surveyor struct {
	recovery *recovery
	taken    []*surveyedGroup // by recovery, in their order
	refused  bool             // the last of them was, and nothing follows
	groups   []*surveyedGroup
}

// Survey says what the files hold. What it returned before is not good any more.
func (s *Surveyor) Survey(files []*SurveyedFile) []RecoveredShard {
	groups := s.order(files)
	same := 0
	for same < min(len(groups), len(s.taken)) && groups[same] == s.taken[same] {
		same++
	}
	if s.recovery == nil || same < len(s.taken) {
		s.recovery, s.taken, s.refused, same = newRecovery(), nil, false, 0
	}
	for _, g := range groups[same:] {
		if s.refused || !s.recovery.follows(g.header) {
			break
		}
		s.taken = append(s.taken, g)
		s.refused = s.recovery.add(g.header, g.records) != nil
	}
	all := make([]RecoveredShard, 0, len(s.recovery.shards))
	for _, id := range slices.Sorted(maps.Keys(s.recovery.shards)) {
		states := s.recovery.shards[id].list()
		shard := *s.recovery.shards[id] // it stays as it is when the copies are put in their places
		if shard.whole(id) != nil {
			continue
		}
		all = append(all, RecoveredShard{ID: id, HardState: shard.record.hard, Compact: shard.record.compact, Entries: shard.entries, State: states})
	}
	return all
}

// list is the shard's states, sorted.
func (s *recovering) list() []State {
	if s.listed == nil {
		s.listed = make([]State, 0, len(s.states))
		for _, key := range slices.Sorted(maps.Keys(s.states)) {
			s.listed = append(s.listed, State{key, s.states[key].value})
		}
	}
	return s.listed
}

// order lists the whole groups in the order of the log, from the oldest file on that the last of them needs.
func (s *Surveyor) order(files []*SurveyedFile) []*surveyedGroup {
	groups := s.groups[:0]
	for _, f := range files {
		for _, g := range f.groups {
			if g.whole {
				groups = append(groups, g)
			}
		}
	}
	byOrder := func(a, b *surveyedGroup) int {
		return cmp.Or(cmp.Compare(a.header.sequence, b.header.sequence), cmp.Compare(a.header.number, b.header.number),
			cmp.Compare(a.header.offset, b.header.offset))
	}
	if !slices.IsSortedFunc(groups, byOrder) {
		slices.SortFunc(groups, byOrder)
	}
	s.groups = groups
	if n := len(groups); n > 0 {
		first := groups[n-1].header.first
		s.groups = slices.DeleteFunc(groups, func(g *surveyedGroup) bool { return g.header.number < first })
	}
	return s.groups
}

// surveyHeader reads the header of a file whatever directory and number it belongs to.
func surveyHeader(b []byte) (fileHeader, bool) {
	if len(b) < headerBlock {
		return fileHeader{}, false
	}
	f := fileHeader{}
	copy(f.directory[:], b[16:32])
	f, err := parseFileHeader(b[:headerBlock], "", f.directory, binary.LittleEndian.Uint64(b[40:]))
	return f, err == nil
}

// surveyGroup checks all records of a group in the bytes of its file.
func surveyGroup(b []byte, g groupHeader) *surveyedGroup {
	torn := &surveyedGroup{header: g}
	if g.offset+g.length > int64(len(b)) {
		return torn
	}
	seed := g.seed()
	at, end := g.offset+groupBytes, g.offset+g.length
	records := make([]scanned, 0, g.records) // its header has no more than fit into its length
	for range g.records {
		if end-at < recordBytes {
			return torn
		}
		h, sum := parseRecordHeader(b[at:])
		if h.data > MaxRecord || h.payload > MaxRecord || h.size() > end-at {
			return torn
		}
		body := b[at+recordBytes:][:h.data]
		payload := b[at+recordBytes+int64(h.data)+int64(h.pad):][:h.payload]
		if crc32.Update(crc32.Update(seed, castagnoli, b[at+4:at+recordBytes]), castagnoli, body) != sum ||
			crc32.Update(seed, castagnoli, payload) != h.payloadSum {
			return torn
		}
		r := scanned{recordHeader: h, body: bytes.Clone(body), at: Location{file: g.number, offset: at}}
		if h.kind == kindState {
			r.value = bytes.Clone(payload)
		}
		records = append(records, r)
		at += h.size()
	}
	if at != end {
		return torn
	}
	return &surveyedGroup{header: g, whole: true, records: records}
}
