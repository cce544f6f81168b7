package story

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// subject is what a failure is about, as far as its first line says.
type subject struct {
	log    string
	offset int64 // -1: none
}

var (
	logPattern    = regexp.MustCompile(`^([A-Za-z0-9._]+-\d+)(?:/[0-9A-Za-z_=-]+)?: `)
	offsetPattern = regexp.MustCompile(`(?:offsets?|record [^ ]+ is at offset|a batch \(offset|fetch at|ends? at|end) \(?(\d+)`)
)

// about finds the partition and the offset in the failure.
func (t *Tale) about() subject {
	line := firstLine(t.Failure)
	s := subject{offset: -1}
	if m := logPattern.FindStringSubmatch(line); m != nil {
		s.log = m[1]
	} else {
		for _, e := range t.Events {
			if e.Log != "" && strings.Contains(line+" ", e.Log+" ") || e.Log != "" && strings.ContainsAny(after(line, e.Log), ",:") {
				s.log = e.Log
				break
			}
		}
	}
	if m := offsetPattern.FindStringSubmatch(line); m != nil {
		s.offset, _ = strconv.ParseInt(m[1], 10, 64)
	}
	return s
}

// after is the character behind a word in a text.
func after(text, word string) string {
	_, rest, _ := strings.Cut(text, word)
	return rest[:min(1, len(rest))]
}

// Moments are times at which it is worth to look at the replicas for a story of the tale's failure: whenever something
// could have changed what they hold, from the acknowledgement of the record that it is about on. There are at most n.
func (t *Tale) Moments(n int) []time.Duration {
	s := t.about()
	var all []time.Duration
	from := t.witness(s)
	for _, e := range t.Events {
		if from != nil && e.At < from.At || len(all) > 0 && all[len(all)-1] == e.At {
			continue
		}
		switch e.Kind {
		case Fault, Over, Boot, End, Pause, Resume, Lead, Gone, World:
			all = append(all, e.At)
		case Ack, Read, Ends:
			if e.Log == s.log {
				all = append(all, e.At)
			}
		}
	}
	if from != nil {
		all = append([]time.Duration{from.At}, all...)
	}
	if len(all) > n { // the last ones are nearer to what went wrong
		all = append(all[:1:1], all[len(all)-n+1:]...)
	}
	return all
}

// Times are those of all events up to the failure, each once, ascending: where a bisection may cut.
func (t *Tale) Times() []time.Duration {
	all := []time.Duration{0}
	for _, e := range t.Events {
		all = append(all, e.At)
	}
	slices.Sort(all)
	return slices.Compact(append(all, t.End))
}

// witness is the first event that showed, or promised, the record that the failure is about.
func (t *Tale) witness(s subject) *Event {
	if s.log == "" || s.offset < 0 {
		return nil
	}
	for i := range t.Events {
		e := &t.Events[i]
		if e.Log == s.log && (e.Kind == Ack || e.Kind == Read) && e.From <= s.offset && s.offset < e.To {
			return e
		}
	}
	return nil
}

// turn is the first look at which fewer replicas than a majority hold what the failure is about durably, and the one
// before it.
type turn struct {
	witness       *Event
	before, after *Look // before is nil when it never was
	had, has      []string
	replicas      int
}

// lost finds the turn of a loss; nil when the looks do not show one.
func (t *Tale) lost() *turn {
	s := t.about()
	w := t.witness(s)
	if w == nil {
		return nil
	}
	x := &turn{witness: w}
	var crc uint32
	known := false
	for i := range t.Looks {
		look := &t.Looks[i]
		if look.At < w.At {
			continue
		}
		var with []string
		replicas, votes := 0, map[uint32]int{}
		for j := range look.Replicas {
			r := &look.Replicas[j]
			if r.Log != s.log {
				continue
			}
			replicas++
			if b, ok := r.Holds(s.offset); ok {
				votes[b.CRC]++
			}
			if b, ok := r.Holds(s.offset); ok && (!known || b.CRC == crc) {
				with = append(with, r.Node)
				if !known {
					crc, known = b.CRC, true
				}
			}
			if s.offset < r.Start {
				with = append(with, r.Node) // it may be gone
			}
		}
		x.replicas = max(x.replicas, replicas)
		if len(with) <= x.replicas/2 {
			x.after, x.has = look, with
			return x
		}
		x.before, x.had = look, with
	}
	return nil
}

// near lists the events of a time and shortly around it that say what happened, without reads and other noise.
func (t *Tale) near(from, to time.Duration, log string) []Event {
	var all []Event
	for _, e := range t.Events {
		if e.At < from || e.At > to || e.Kind == Over || e.Kind == Armed {
			continue
		}
		if slices.Contains([]Kind{Read, Ends, Ack, Refused, Unknown}, e.Kind) && e.Log != log {
			continue
		}
		all = append(all, e)
	}
	return all
}
