package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// resetOptions are the flags of group reset-offsets.
type resetOptions struct {
	group              string
	topics             []string
	allTopics          bool
	datetime, duration string
	offset, shift      int64
	file               string
	execute, dryRun    bool
	export             bool
	// given are the flags of resetFlags that were.
	given []string

	at time.Time // of --to-datetime and --by-duration
}

// resetFlags say where to; exactly one is given.
var resetFlags = []string{"to-earliest", "to-latest", "to-current", "to-datetime", "by-duration", "to-offset", "shift-by", "from-file"}

func (o *resetOptions) way() string { return o.given[0] }

func (o *resetOptions) validate() error {
	var err error
	switch {
	case len(o.given) == 0:
		return errors.New("say where to: one of --" + strings.Join(resetFlags, ", --"))
	case len(o.given) > 1:
		return fmt.Errorf("--%s and --%s exclude each other", o.given[0], o.given[1])
	case o.execute && o.dryRun:
		return errors.New("--execute and --dry-run exclude each other")
	case o.way() == "from-file" && (o.allTopics || len(o.topics) > 0):
		return errors.New("--from-file names the topics itself: it excludes --topic and --all-topics")
	case o.way() != "from-file" && o.allTopics == (len(o.topics) > 0):
		return errors.New("say what: --topic, which may be repeated, or --all-topics")
	case o.way() == "to-offset" && o.offset < 0:
		return fmt.Errorf("--to-offset %d: must not be negative", o.offset)
	case o.way() == "to-datetime":
		o.at, err = parseTime(o.datetime)
	case o.way() == "by-duration":
		var d time.Duration
		d, err = parseDuration(o.duration)
		o.at = time.Now().Add(-d)
	}
	if err != nil {
		return fmt.Errorf("--%s: %w", o.way(), err)
	}
	_, err = parseTopics(o.topics)
	return err
}

// time is the time to go to, if it is one.
func (o *resetOptions) time() (time.Time, bool) {
	return o.at, o.way() == "to-datetime" || o.way() == "by-duration"
}

// move finds the new offset. timed is the offset that belongs to the time that was asked for.
func (r *resetOffset) move(o *resetOptions, wanted map[string]map[int32]int64, timed int64) error {
	to := int64(0)
	switch o.way() {
	case "to-earliest":
		to = r.Start
	case "to-latest":
		to = r.End
	case "to-current":
		if to = r.Current; r.Current < 0 {
			to = r.End
		}
	case "to-datetime", "by-duration":
		if to = timed; timed < 0 { // nothing is as young as that
			to = r.End
		}
	case "to-offset":
		to = o.offset
	case "from-file":
		to = wanted[r.Topic][r.Partition]
	case "shift-by":
		if r.Current < 0 {
			return &failure{exit: exitRefused, message: fmt.Sprintf("group %s has no committed offset of %s-%d to shift", o.group, r.Topic, r.Partition),
				hint: "leave the partition out with --topic, or move it there with --to-offset, --to-earliest or --to-latest"}
		}
		to = addOffsets(r.Current, o.shift)
	}
	r.New = min(max(to, r.Start), r.End)
	r.Moved = r.New != to
	return nil
}

// addOffsets adds without overflow.
func addOffsets(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// parseTopics reads arguments of the form topic or topic:0,1. No partitions means all.
func parseTopics(args []string) (map[string][]int32, error) {
	all := map[string][]int32{}
	whole := map[string]bool{}
	for _, a := range args {
		topic, list, some := strings.Cut(a, ":")
		if topic == "" {
			return nil, fmt.Errorf("--topic %q: not of the form topic or topic:0,1", a)
		}
		if !some {
			whole[topic] = true
		}
		all[topic] = append(all[topic], nil...)
		for _, text := range strings.Split(list, ",") {
			if !some {
				break
			}
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("--topic %s: %q is no partition's number", a, text)
			}
			all[topic] = append(all[topic], int32(n))
		}
	}
	for topic, list := range all {
		slices.Sort(list)
		if all[topic] = slices.Compact(list); whole[topic] {
			all[topic] = nil
		}
	}
	return all, nil
}

// timeForms are what --to-datetime takes. Without a zone it is UTC, as with Kafka's tool.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"}

func parseTime(text string) (time.Time, error) {
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, text, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write it as 2006-01-02T15:04:05.000, with Z or +01:00 behind it unless it is UTC", text)
}

var isoDuration = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// parseDuration reads ISO 8601's durations of days and less, as Kafka's tool does, and Go's.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no time span; write it as P1DT2H30M or 26h30m", text)
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	m := isoDuration.FindStringSubmatch(text)
	if m == nil || text == "P" || strings.HasSuffix(text, "T") {
		return 0, wrong
	}
	total := 0.0
	for i, unit := range []float64{86400, 3600, 60, 1} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, wrong
		}
		total += n * unit
	}
	if total > 100*365*86400 {
		return 0, wrong
	}
	return time.Duration(total * float64(time.Second)), nil
}

// wantedOffsets reads --from-file; nil without it.
func (s *session) wantedOffsets(o *resetOptions) (map[string]map[int32]int64, error) {
	if o.way() != "from-file" {
		return nil, nil
	}
	data, err := s.readPlan(o.file)
	if err != nil {
		return nil, err
	}
	wanted, err := parsePlan(string(data), o.group)
	if err != nil {
		return nil, &failure{exit: exitUsage, message: "--from-file " + o.file + ": " + err.Error(),
			hint: "a line is topic,partition,offset or group,topic,partition,offset, as --export writes it"}
	}
	return wanted, nil
}

// parsePlan reads lines of topic,partition,offset, or with a group in front; those of other groups are left out.
func parsePlan(text, group string) (map[string]map[int32]int64, error) {
	wanted := map[string]map[int32]int64{}
	lines := 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		lines++
		f := strings.Split(line, ",")
		if len(f) == 4 {
			if strings.Trim(f[0], `"`) != group {
				continue
			}
			f = f[1:]
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("line %d has %d fields", i+1, len(f))
		}
		topic := strings.Trim(f[0], `"`)
		partition, err := strconv.ParseInt(strings.TrimSpace(f[1]), 10, 32)
		offset, err2 := strconv.ParseInt(strings.TrimSpace(f[2]), 10, 64)
		if err = cmp.Or(err, err2); err != nil || partition < 0 || offset < 0 || topic == "" {
			return nil, fmt.Errorf("line %d: %q", i+1, line)
		}
		if wanted[topic] == nil {
			wanted[topic] = map[int32]int64{}
		}
		if _, twice := wanted[topic][int32(partition)]; twice {
			return nil, fmt.Errorf("line %d: %s-%d is there twice", i+1, topic, partition)
		}
		wanted[topic][int32(partition)] = offset
	}
	if len(wanted) == 0 {
		return nil, fmt.Errorf("nothing for group %s in %s", group, count(lines, "line"))
	}
	return wanted, nil
}

func sortedPartitions[V any](m map[int32]V) []int32 { return slices.Sorted(maps.Keys(m)) }

// planBytes bounds what is read from standard input.
const planBytes = 64 << 20

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, planBytes))
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	return data, nil
}
