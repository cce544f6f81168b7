package wire

import (
	"fmt"
	"slices"
)

// Range is what a broker says that it implements of one API.
type Range struct{ Key, Min, Max int16 }

// Served is the set of APIs and versions that a broker implements. Only what
// is in it is advertised, with one exception: Produce is advertised from
// version 0, though versions 0 to 2 are refused, because librdkafka turns
// compression off when it does not see them (KAFKA-18659). It is immutable.
type Served struct {
	ranges []Range // by key
}

// NewServed checks that Kafka has what ranges name: a codec exists for nothing
// else.
func NewServed(ranges ...Range) (Served, error) {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return int(a.Key) - int(b.Key) })
	for i, r := range sorted {
		api, ok := Lookup(r.Key)
		if !ok {
			return Served{}, fmt.Errorf("key %d is no API of a Kafka broker", r.Key)
		}
		if r.Min < api.Min || r.Max > api.Max || r.Min > r.Max {
			return Served{}, fmt.Errorf("%s %d-%d: Kafka has %d-%d", api.Name, r.Min, r.Max, api.Min, api.Max)
		}
		if i > 0 && sorted[i-1].Key == r.Key {
			return Served{}, fmt.Errorf("%s is stated twice", api.Name)
		}
	}
	return Served{sorted}, nil
}

// Whole returns the full range that Kafka 4.3.1 has of each key.
func Whole(keys ...int16) []Range {
	ranges := make([]Range, 0, len(keys))
	for _, key := range keys {
		if api, ok := Lookup(key); ok {
			ranges = append(ranges, Range{key, api.Min, api.Max})
		} else {
			ranges = append(ranges, Range{key, 0, 0}) // NewServed refuses it
		}
	}
	return ranges
}

// Has tells if requests of that version are to be handled. A request that is
// not is answered with UnsupportedVersion if it is an ApiVersions request;
// after any other the connection is closed, as Kafka does, since its body
// cannot be told.
func (s Served) Has(key, version int16) bool {
	i, ok := slices.BinarySearchFunc(s.ranges, key, func(r Range, key int16) int { return int(r.Key) - int(key) })
	return ok && s.ranges[i].Min <= version && version <= s.ranges[i].Max
}

// ApiKeys is what an ApiVersions response lists.
func (s Served) ApiKeys() []ApiVersionsResponseApiVersion {
	keys := make([]ApiVersionsResponseApiVersion, len(s.ranges))
	for i, r := range s.ranges {
		keys[i] = ApiVersionsResponseApiVersion{ApiKey: r.Key, MinVersion: r.Min, MaxVersion: r.Max}
		if r.Key == KeyProduce {
			keys[i].MinVersion = 0
		}
	}
	return keys
}

// UnsupportedVersion is the answer, to be sent in version 0, to an ApiVersions
// request of a version that is not served. It names the versions of
// ApiVersions, so that the client can ask again (KIP-511).
func (s Served) UnsupportedVersion() *ApiVersionsResponse {
	m := NewApiVersionsResponse()
	m.ErrorCode = ErrUnsupportedVersion
	for _, k := range s.ApiKeys() {
		if k.ApiKey == KeyApiVersions {
			m.ApiKeys = append(m.ApiKeys, k)
		}
	}
	return m
}
