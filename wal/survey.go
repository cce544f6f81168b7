package wal

import (
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
	type whole struct {
		header  groupHeader
		records []scanned
	}
	var groups []whole
	for _, b := range files {
		f, ok := surveyHeader(b)
		for at := int64(headerBlock); ok && at+groupBytes <= int64(len(b)); at += host.Align {
			g, there := parseGroupHeader(b[at:at+groupBytes], f, at)
			if !there || at+g.length > int64(len(b)) {
				continue
			}
			if records, ok := surveyGroup(b[:at+g.length], g); ok {
				groups = append(groups, whole{g, records})
			}
		}
	}
	slices.SortFunc(groups, func(a, b whole) int { return cmp.Compare(a.header.sequence, b.header.sequence) })
	r := newRecovery()
	if n := len(groups); n > 0 {
		first := groups[n-1].header.first
		groups = slices.DeleteFunc(groups, func(g whole) bool { return g.header.number < first })
	}
	for _, g := range groups {
		if !r.follows(g.header) || r.add(g.header, g.records) != nil {
			break
		}
	}
	var all []RecoveredShard
	for _, id := range slices.Sorted(maps.Keys(r.shards)) {
		s := r.shards[id]
		if s.whole(id) != nil {
			continue
		}
		out := RecoveredShard{ID: id, HardState: s.record.hard, Compact: s.record.compact, Entries: s.entries}
		for _, key := range slices.Sorted(maps.Keys(s.states)) {
			out.State = append(out.State, State{key, s.states[key].value})
		}
		all = append(all, out)
	}
	return all
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

// surveyGroup checks all records of a group.
func surveyGroup(b []byte, g groupHeader) ([]scanned, bool) {
	seed := g.seed()
	var records []scanned
	at, end := g.offset+groupBytes, g.offset+g.length
	for range g.records {
		if end-at < recordBytes {
			return nil, false
		}
		h, sum := parseRecordHeader(b[at:])
		if h.data > MaxRecord || h.payload > MaxRecord || h.size() > end-at {
			return nil, false
		}
		body := b[at+recordBytes:][:h.data]
		payload := b[at+recordBytes+int64(h.data)+int64(h.pad):][:h.payload]
		if crc32.Update(crc32.Update(seed, castagnoli, b[at+4:at+recordBytes]), castagnoli, body) != sum ||
			crc32.Update(seed, castagnoli, payload) != h.payloadSum {
			return nil, false
		}
		r := scanned{recordHeader: h, body: body, at: Location{file: g.number, offset: at}}
		if h.kind == kindState {
			r.value = payload
		}
		records = append(records, r)
		at += h.size()
	}
	return records, at == end
}
