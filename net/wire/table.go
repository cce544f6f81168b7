package wire

// API is what Kafka 4.3.1 has under one key.
type API struct {
	Key          int16
	Name         string
	Min, Max     int16 // versions that a broker serves
	Unstable     int16 // a version above Max that is still being changed, or 0
	FlexibleFrom int16 // first version with compact lengths and tagged fields, or -1
}
