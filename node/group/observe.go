package group

// ObserveRequest asks for what metrics tell of all groups of a coordinator: how many there are, and which offsets they
// have committed, so that the broker can find out how far behind they are. Most bounds the offsets.
type ObserveRequest struct {
	Most int
}

// ObserveResponse tells it.
type ObserveResponse struct {
	Error  ErrorCode
	Counts []Counted
	// Offsets are sorted by group, topic and partition; Omitted is how many did not fit.
	Offsets []StoredOffset
	Omitted int
}

// Counted is how many groups of a type are in a state.
type Counted struct {
	Type, State string
	Groups      int
}

// StoredOffset is a committed offset.
type StoredOffset struct {
	Group, Topic string
	Partition    int32
	Offset       int64
}

func (*ObserveRequest) request()   {}
func (*ObserveResponse) response() {}

// maxStoryOffsets bounds the offsets that are told of one group.
const maxStoryOffsets = 10_000

// observe handles ObserveRequest.
func (c *Coordinator) observe(r *ObserveRequest) *ObserveResponse {
	out := &ObserveResponse{}
	counts := map[string]map[string]int{typeClassic: {}, typeConsumer: {}}
	for _, g := range c.groups { //door:ordered they are only counted
		counts[typeClassic][g.state.String()]++
	}
	for _, id := range sortedKeys(c.consumers) {
		state := c.consumers[id].stateName()
		counts[typeConsumer][state]++
	}
	for _, typ := range sortedKeys(counts) {
		for _, state := range sortedKeys(counts[typ]) {
			out.Counts = append(out.Counts, Counted{typ, state, counts[typ][state]})
		}
	}
	for _, id := range sortedKeys(c.image.offsets) {
		if len(out.Offsets) < r.Most {
			out.Offsets = c.offsetsOf(out.Offsets, id, r.Most)
		}
	}
	for _, topics := range c.image.offsets { //door:ordered they are only counted
		for _, partitions := range topics {
			out.Omitted += len(partitions)
		}
	}
	out.Omitted -= len(out.Offsets)
	return out
}

// offsetsOf appends a group's committed offsets until there are most of them.
func (c *Coordinator) offsetsOf(list []StoredOffset, groupID string, most int) []StoredOffset {
	for _, k := range c.image.offsets.keys(groupID) {
		if len(list) >= most {
			break
		}
		v, _ := c.image.offsets.get(k)
		list = append(list, StoredOffset{groupID, k.topic, k.partition, v.offset})
	}
	return list
}
