package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// change returns a copy of b, altered, with a right CRC.
func change(b []byte, alter func(b []byte)) []byte {
	b = bytes.Clone(b)
	alter(b)
	binary.BigEndian.PutUint32(b[crcAt:], Checksum(b))
	return b
}

func put32(at int, v int32) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
}

// refusal is what a broker must say to some bytes; topic names the rules.
type refusal struct {
	name  string
	b     []byte
	topic string
	want  Code
}

// topics are the rules that refusals name; also used with a real broker.
func topics(max int) map[string]Options {
	plain, compacted, strict, old, small, stamped := open(), open(), open(), open(), open(), open()
	stamped.LogAppendTime = true
	compacted.Compacted = true
	strict.BeforeMax, strict.AfterMax = 10, 500
	old.Version = 6
	small.MaxBytes = max
	return map[string]Options{"plain": plain, "compacted": compacted, "strict": strict, "old": old, "small": small,
		"append": stamped}
}

const smallMax = 100

func refusals(t testing.TB) []refusal {
	good := foreign(t, None, some(3, 10))
	keyless := some(3, 10)
	keyless[1].Key = nil
	claim := func(b []byte) { b[attributesAt+1] |= byte(LogAppendTimeBit) }
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	return []refusal{
		{"nothing", nil, "plain", InvalidRecord},
		{"cut", good[:len(good)-1], "plain", InvalidRecord},
		{"tail cut off", append(bytes.Clone(good), 1, 2, 3), "plain", 0},
		{"two batches", append(bytes.Clone(good), good...), "plain", InvalidRecord},
		{"old magic", change(good, func(b []byte) { b[magicAt] = 1 }), "plain", InvalidRecord},
		{"unknown magic", change(good, func(b []byte) { b[magicAt] = 3 }), "plain", CorruptMessage},
		{"length of 13", change(good, put32(lengthAt, 13)), "plain", CorruptMessage},
		{"length of 20", change(good, put32(lengthAt, 20)), "plain", CorruptMessage},
		{"negative length", change(good, put32(lengthAt, -1)), "plain", CorruptMessage},
		{"flipped bit", flipped, "plain", CorruptMessage},
		{"too large", good, "small", MessageTooLarge},
		{"base offset", change(good, func(b []byte) { b[7] = 1 }), "plain", InvalidRecord},
		{"count 0", change(good, put32(countAt, 0)), "plain", InvalidRecord},
		{"count and delta", change(good, put32(countAt, 4)), "plain", InvalidRecord},
		{"negative delta", change(good, put32(lastOffsetDeltaAt, -1)), "plain", InvalidRecord},
		{"too many said", change(change(good, put32(countAt, 4)), put32(lastOffsetDeltaAt, 3)), "plain", InvalidRecord},
		{"too few said", change(change(good, put32(countAt, 2)), put32(lastOffsetDeltaAt, 1)), "plain", InvalidRecord},
		{"hostile count", change(change(good, put32(countAt, 1<<31-1)), put32(lastOffsetDeltaAt, 1<<31-2)), "plain", InvalidRecord},
		{"control", change(good, func(b []byte) { b[attributesAt+1] |= byte(ControlBit) }), "plain", InvalidRecord},
		{"sequence", change(good, put32(baseSequenceAt, -1)), "plain", InvalidRecord},
		{"codec 5", change(good, func(b []byte) { b[attributesAt+1] |= 5 }), "plain", UnsupportedCompressionType},
		{"not gzip", change(good, func(b []byte) { b[attributesAt+1] |= 1 }), "plain", InvalidRecord},
		{"not snappy", change(good, func(b []byte) { b[attributesAt+1] |= 2 }), "plain", InvalidRecord},
		{"not lz4", change(good, func(b []byte) { b[attributesAt+1] |= 3 }), "plain", InvalidRecord},
		{"not zstd", change(good, func(b []byte) { b[attributesAt+1] |= 4 }), "plain", InvalidRecord},
		{"zstd in produce 6", foreign(t, Zstd, some(3, 10)), "old", UnsupportedCompressionType},
		{"no key", foreign(t, Gzip, keyless), "compacted", InvalidRecord},
		{"no key, not compacted", foreign(t, Gzip, keyless), "plain", 0},
		{"late", foreign(t, None, some(100, 10)), "strict", InvalidTimestamp},
		{"claims append time", change(good, claim), "plain", 0},
		{"claims append time, which the topic sets", change(good, claim), "append", InvalidTimestamp},
		{"claims append time without times", change(foreign(t, None, []Record{{Timestamp: -1}}), claim), "plain", InvalidTimestamp},
		{"record structure", change(good, func(b []byte) { b[HeaderSize] = 0x80 }), "plain", InvalidRecord},
	}
}

func TestRefusals(t *testing.T) {
	rules := topics(smallMax)
	for _, c := range refusals(t) {
		_, err := Validate(bytes.Clone(c.b), rules[c.topic])
		if code(err) != c.want {
			t.Errorf("%s: %v, want code %d", c.name, err, c.want)
		}
	}
	keyless := some(3, 10)
	keyless[1].Key = nil
	compacted := rules["compacted"]
	_, err := Validate(foreign(t, Gzip, keyless), compacted)
	var e *Error
	if !errors.As(err, &e) || len(e.Records) != 1 || e.Records[0].Index != 1 {
		t.Errorf("record errors: %+v", e)
	}
}
