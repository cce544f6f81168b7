package wire

import "reflect"

// Where the oracle writes what Kafka refuses. These fields are set aside
// before its bytes are compared.

// taggedSince lists tagged fields that are newer than the first flexible
// version; the oracle writes them in all flexible ones.
var taggedSince = []struct {
	typ, field string
	since      int16
}{
	{"FetchRequest", "ReplicaState", 15},
	{"FetchRequestTopicPartition", "ReplicaDirectoryID", 17},
	{"FetchRequestTopicPartition", "HighWatermark", 18},
	{"FetchResponse", "Brokers", 16},
	{"ProduceResponseTopicPartition", "CurrentLeader", 10},
	{"ProduceResponse", "Brokers", 10},
}

// setAside gives fields of v that Kafka would refuse in that version their
// default, in all that v contains.
func setAside(v reflect.Value, version int16) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			setAside(v.Elem(), version)
		}
	case reflect.Slice:
		for i := range v.Len() {
			setAside(v.Index(i), version)
		}
	case reflect.Struct:
		for _, known := range taggedSince {
			if v.Type().Name() == known.typ && version < known.since {
				field := v.FieldByName(known.field)
				fresh := reflect.New(v.Type())
				fresh.Interface().(interface{ Default() }).Default()
				field.Set(fresh.Elem().FieldByName(known.field))
			}
		}
		// Null only in version 0, which no longer exists.
		if v.Type().Name() == "ShareFetchResponseTopicPartition" {
			if records := v.FieldByName("Records"); records.IsNil() {
				records.SetBytes([]byte{})
			}
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "UnknownTags" {
				setAside(v.Field(i), version)
			}
		}
	}
}
