package group

import "slices"

// flight is an append that is handed out and whose fate is open.
type flight struct {
	token     uint64
	groups    []string
	records   []Record
	committed func()
	failed    func(ErrorCode)
}

// waiting is a request that waits for all appends up to a token.
type waiting struct {
	token   uint64
	tag     uint64
	request *OffsetFetchRequest
}

// inFlight keeps the appends in the order in which they will be in the log.
type inFlight struct {
	last      uint64 // the last token given
	committed uint64 // the last token committed
	flights   []flight
	perGroup  map[string]int
	waiting   []waiting
}

func newInFlight() inFlight { return inFlight{perGroup: map[string]int{}} }

func (f *inFlight) add(a flight) uint64 {
	f.last++
	a.token = f.last
	f.flights = append(f.flights, a)
	for _, g := range a.groups {
		f.perGroup[g]++
	}
	return a.token
}

// commit takes the append out. Appends are applied in the order in which they were handed out: anything else would mean
// that the image and the log differ.
func (f *inFlight) commit(token uint64) (flight, bool) {
	a, ok := f.fail(token)
	if ok && token <= f.committed {
		panic("group: an append was applied out of order")
	}
	if ok {
		f.committed = token
	}
	return a, ok
}

func (f *inFlight) fail(token uint64) (flight, bool) {
	i, ok := slices.BinarySearchFunc(f.flights, token, func(a flight, t uint64) int {
		switch {
		case a.token < t:
			return -1
		case a.token > t:
			return 1
		}
		return 0
	})
	if !ok {
		return flight{}, false
	}
	a := f.flights[i]
	f.flights = slices.Delete(f.flights, i, i+1)
	for _, g := range a.groups {
		if f.perGroup[g]--; f.perGroup[g] == 0 {
			delete(f.perGroup, g)
		}
	}
	return a, true
}

// touches says whether an open append concerns the group.
func (f *inFlight) touches(groupID string) bool { return f.perGroup[groupID] > 0 }

// offsets returns the keys of the offsets that open appends store for a group; of all groups when groupID is nil.
func (f *inFlight) offsets(groupID *string) []offsetKey {
	var keys []offsetKey
	if groupID != nil && !f.touches(*groupID) {
		return nil
	}
	for _, a := range f.flights {
		for _, r := range a.records {
			if r.Value == nil {
				continue
			}
			if key, err := decodeKey(r.Key); err == nil && key.kind == keyOffset &&
				(groupID == nil || key.offset.group == *groupID) {
				keys = append(keys, key.offset)
			}
		}
	}
	return keys
}

// storesGroup says whether an open append stores the group's metadata.
func (f *inFlight) storesGroup(groupID string) bool {
	for _, a := range f.flights {
		for _, r := range a.records {
			if r.Value == nil || !slices.Contains(a.groups, groupID) {
				continue
			}
			if key, err := decodeKey(r.Key); err == nil && key.kind == keyGroup && key.group == groupID {
				return true
			}
		}
	}
	return false
}

// wait makes the request wait for the open appends that concern its group; false says that there are none.
func (f *inFlight) wait(tag uint64, r *OffsetFetchRequest) bool {
	if !f.touches(r.GroupID) {
		return false
	}
	f.waiting = append(f.waiting, waiting{token: f.last, tag: tag, request: r})
	return true
}

// takeReady returns the requests that wait for nothing more.
func (f *inFlight) takeReady() []waiting {
	if len(f.waiting) == 0 {
		return nil
	}
	var ready, rest []waiting
	for _, w := range f.waiting {
		if f.openUpTo(w.token, w.request.GroupID) {
			rest = append(rest, w)
		} else {
			ready = append(ready, w)
		}
	}
	f.waiting = rest
	return ready
}

func (f *inFlight) takeWaiting() []waiting {
	all := f.waiting
	f.waiting = nil
	return all
}

// takeFlights gives up on all that is open.
func (f *inFlight) takeFlights() []flight {
	all := f.flights
	f.flights = nil
	clear(f.perGroup)
	return all
}

func (f *inFlight) openUpTo(token uint64, groupID string) bool {
	if !f.touches(groupID) {
		return false
	}
	for _, a := range f.flights {
		if a.token > token {
			return false
		}
		if slices.Contains(a.groups, groupID) {
			return true
		}
	}
	return false
}
