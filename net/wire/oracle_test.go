package wire

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The oracle is franz-go's codec, written by others from the same protocol.
// For every API and version that both know, random values go from each to the
// other and back, and the bytes must be the same.

const oracleRounds = 40

// oracleMessage is what kmsg's requests and responses have in common.
type oracleMessage interface {
	SetVersion(int16)
	MaxVersion() int16
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

func TestRequestsAgreeWithOracle(t *testing.T) {
	testAgainstOracle(t, NewRequest, func(key int16) oracleMessage { return kmsg.RequestForKey(key) })
}

func TestResponsesAgreeWithOracle(t *testing.T) {
	testAgainstOracle(t, NewResponse, func(key int16) oracleMessage { return kmsg.ResponseForKey(key) })
}

func testAgainstOracle(t *testing.T, ours func(int16) Message, oracle func(int16) oracleMessage) {
	for _, api := range APIs() {
		t.Run(api.Name, func(t *testing.T) {
			covered := make(map[string]bool)
			for version := api.Min; version <= max(api.Max, api.Unstable); version++ {
				rng := random(api.Name, version)
				for range oracleRounds {
					checkSelf(t, rng, func() Record { return ours(api.Key) }, version, covered)
					if o := oracle(api.Key); version <= o.MaxVersion() {
						o.SetVersion(version)
						checkToOracle(t, rng, ours(api.Key), o, version)
						checkFromOracle(t, rng, ours(api.Key), o, version)
					} else if version != api.Unstable {
						t.Errorf("the oracle lacks version %d", version)
					}
					if t.Failed() {
						return
					}
				}
			}
			for path := range paths(reflect.TypeOf(ours(api.Key)).Elem(), "") {
				if !covered[path] {
					t.Errorf("field %s came through in no version", path)
				}
			}
		})
	}
}

func random(name string, version int16) *rand.Rand {
	h := fnv.New64()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), uint64(version)))
}

// checkSelf: what is decoded encodes to the same bytes, and encodes twice the
// same; covered gets the fields that came through.
func checkSelf(t *testing.T, rng *rand.Rand, fresh func() Record, version int16, covered map[string]bool) {
	t.Helper()
	m, again := fresh(), fresh()
	scramble(rng, reflect.ValueOf(m).Elem())
	b := encode(t, m, version)
	scramble(rng, reflect.ValueOf(again).Elem()) // Decode must overwrite all
	if err := DecodeRecord(b, again, version); err != nil {
		t.Fatalf("version %d: own bytes %x: %v", version, b, err)
	}
	same(t, version, b, encode(t, again, version))
	third := fresh()
	third.SetDefaults()
	collect(reflect.ValueOf(again).Elem(), reflect.ValueOf(third).Elem(), "", covered)
	if whole, err := AppendRecord(nil, again, version); err != nil || !bytes.Equal(whole, b) {
		t.Fatalf("version %d: in one piece %x, in parts %x (%v)", version, whole, b, err)
	}
}

func checkToOracle(t *testing.T, rng *rand.Rand, m Record, oracle oracleMessage, version int16) {
	t.Helper()
	scramble(rng, reflect.ValueOf(m).Elem())
	b := encode(t, m, version)
	if err := oracle.ReadFrom(b); err != nil {
		t.Fatalf("version %d: the oracle does not read %x of %+v: %v", version, b, m, err)
	}
	same(t, version, b, oracle.AppendTo(nil))
}

func checkFromOracle(t *testing.T, rng *rand.Rand, m Record, oracle oracleMessage, version int16) {
	t.Helper()
	scramble(rng, reflect.ValueOf(oracle).Elem())
	setAside(reflect.ValueOf(oracle).Elem(), version)
	oracle.SetVersion(version)
	b := oracle.AppendTo(nil)
	if err := DecodeRecord(b, m, version); err != nil {
		t.Fatalf("version %d: %x of the oracle: %v", version, b, err)
	}
	same(t, version, b, encode(t, m, version))
}

func encode(t *testing.T, m Record, version int16) []byte {
	t.Helper()
	w := NewWriter(nil)
	m.Encode(w, version)
	parts, err := w.Parts()
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, part := range parts {
		b = append(b, part.Bytes...)
	}
	if int64(len(b)) != w.Size() {
		t.Fatalf("%d bytes, Size says %d", len(b), w.Size())
	}
	return b
}

func same(t *testing.T, version int16, want, got []byte) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Fatalf("version %d:\n%x became\n%x", version, want, got)
	}
}

// paths yields every field of a message, nested ones by their path.
func paths(typ reflect.Type, prefix string) map[string]bool {
	all := make(map[string]bool)
	for i := range typ.NumField() {
		field := typ.Field(i)
		path := prefix + "." + field.Name
		all[path] = true
		inner := field.Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[Records]() {
			for path := range paths(inner, path) {
				all[path] = true
			}
		}
	}
	return all
}

// collect adds the fields of v that differ from their default.
func collect(v, def reflect.Value, prefix string, into map[string]bool) {
	for i := range v.NumField() {
		path := prefix + "." + v.Type().Field(i).Name
		field, unset := v.Field(i), def.Field(i)
		if !reflect.DeepEqual(field.Interface(), unset.Interface()) {
			into[path] = true
		}
		if field.Type() == reflect.TypeFor[Records]() {
			continue
		}
		switch field.Kind() {
		case reflect.Struct:
			collect(field, unset, path, into)
		case reflect.Pointer:
			if !field.IsNil() && field.Type().Elem().Kind() == reflect.Struct {
				collect(field.Elem(), defaultsOf(field.Type().Elem()), path, into)
			}
		case reflect.Slice:
			for j := range field.Len() {
				if field.Index(j).Kind() == reflect.Struct {
					collect(field.Index(j), defaultsOf(field.Type().Elem()), path, into)
				}
			}
		}
	}
}

func defaultsOf(typ reflect.Type) reflect.Value {
	v := reflect.New(typ)
	v.Interface().(interface{ SetDefaults() }).SetDefaults()
	return v.Elem()
}

// versioned is a structure of the oracle that begins with its version.
type versioned interface {
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

func TestRecordsAgreeWithOracle(t *testing.T) {
	for _, c := range []struct {
		ours     func() Record
		oracle   func() versioned
		min, max int16
	}{
		{func() Record { return NewOffsetCommitKey() }, func() versioned { return new(kmsg.OffsetCommitKey) }, 0, 0},
		{func() Record { return NewOffsetCommitValue() }, func() versioned { return new(kmsg.OffsetCommitValue) }, 0, 4},
		{func() Record { return NewGroupMetadataKey() }, func() versioned { return new(kmsg.GroupMetadataKey) }, 0, 0},
		{func() Record { return NewGroupMetadataValue() }, func() versioned { return new(kmsg.GroupMetadataValue) }, 0, 4},
		{func() Record { return NewConsumerProtocolSubscription() }, func() versioned { return new(kmsg.ConsumerMemberMetadata) }, 0, 3},
		{func() Record { return NewConsumerProtocolAssignment() }, func() versioned { return new(kmsg.ConsumerMemberAssignment) }, 0, 3},
	} {
		name := reflect.TypeOf(c.ours()).Elem().Name()
		t.Run(name, func(t *testing.T) {
			covered := make(map[string]bool)
			for version := c.min; version <= c.max; version++ {
				rng := random(name, version)
				for range oracleRounds {
					checkSelf(t, rng, c.ours, version, covered)
					adapted := withVersion{c.oracle(), version}
					checkToOracle(t, rng, c.ours(), adapted, version)
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}

// TestRecordsWithoutOracle is for those that the oracle lacks: what is written is what is read.
func TestRecordsWithoutOracle(t *testing.T) {
	for _, ours := range []func() Record{
		func() Record { return NewConsumerGroupMetadataKey() }, func() Record { return NewConsumerGroupMetadataValue() },
		func() Record { return NewConsumerGroupPartitionMetadataKey() },
		func() Record { return NewConsumerGroupMemberMetadataKey() }, func() Record { return NewConsumerGroupMemberMetadataValue() },
		func() Record { return NewConsumerGroupTargetAssignmentMetadataKey() },
		func() Record { return NewConsumerGroupTargetAssignmentMetadataValue() },
		func() Record { return NewConsumerGroupTargetAssignmentMemberKey() },
		func() Record { return NewConsumerGroupTargetAssignmentMemberValue() },
		func() Record { return NewConsumerGroupCurrentMemberAssignmentKey() },
		func() Record { return NewConsumerGroupCurrentMemberAssignmentValue() },
		func() Record { return NewConsumerGroupRegularExpressionKey() },
		func() Record { return NewConsumerGroupRegularExpressionValue() },
	} {
		name := reflect.TypeOf(ours()).Elem().Name()
		t.Run(name, func(t *testing.T) {
			covered := make(map[string]bool)
			rng := random(name, 0)
			for range oracleRounds {
				if checkSelf(t, rng, ours, 0, covered); t.Failed() {
					return
				}
			}
		})
	}
}

// withVersion puts the version in front that the oracle's structure expects,
// and takes it away again.
type withVersion struct {
	versioned
	version int16
}

func (v withVersion) SetVersion(int16)  {}
func (v withVersion) MaxVersion() int16 { return v.version }

func (v withVersion) ReadFrom(b []byte) error {
	return v.versioned.ReadFrom(append([]byte{0, byte(v.version)}, b...))
}

func (v withVersion) AppendTo(b []byte) []byte {
	all := v.versioned.AppendTo(nil)
	if !bytes.Equal(all[:2], []byte{0, byte(v.version)}) {
		panic(fmt.Sprintf("version %d became %x", v.version, all[:2]))
	}
	return append(b, all[2:]...)
}
