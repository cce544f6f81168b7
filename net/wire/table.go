package wire

import "fmt"

// API is what Kafka 4.3.1 has under one key.
type API struct {
	Key          int16
	Name         string
	Min, Max     int16 // versions that a broker serves
	Unstable     int16 // a version above Max that is still being changed, or 0
	FlexibleFrom int16 // first version with compact lengths and tagged fields, or -1
}

// Lookup returns what Kafka has under key.
func Lookup(key int16) (API, bool) {
	// Keys are nearly dense, so an entry is at most a few places before its key.
	for i := min(int(key), len(apis)-1); i >= 0; i-- {
		if apis[i].Key == key {
			return apis[i], true
		}
		if apis[i].Key < key {
			break
		}
	}
	return API{}, false
}

// APIs returns all that Kafka has, by key.
func APIs() []API { return append([]API(nil), apis[:]...) }

// Name is the API's name, or its key as a number if Kafka has none such.
func Name(key int16) string {
	if api, ok := Lookup(key); ok {
		return api.Name
	}
	return fmt.Sprintf("API %d", key)
}

// Flexible tells if the version has compact lengths and tagged fields.
func (a API) Flexible(version int16) bool {
	return a.FlexibleFrom >= 0 && version >= a.FlexibleFrom
}

// RequestHeaderVersion is 1, or 2 with tagged fields.
func (a API) RequestHeaderVersion(version int16) int16 {
	if a.Flexible(version) {
		return 2
	}
	return 1
}

// ResponseHeaderVersion is 0, or 1 with tagged fields. ApiVersions always has
// 0: a client reads its response before it knows which version the broker
// could answer in.
func (a API) ResponseHeaderVersion(version int16) int16 {
	if a.Flexible(version) && a.Key != KeyApiVersions {
		return 1
	}
	return 0
}
