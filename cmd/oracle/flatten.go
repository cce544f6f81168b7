package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/net/wire"
)

// field is one value of an answer.
type field struct{ path, value string }

// unordered are the lists whose order Kafka takes from a hash map, by API and path, with the field to sort them by.
var unordered = map[string]string{
	"Produce Responses":                                                     "Name TopicId",
	"Produce Responses.PartitionResponses":                                  "Index",
	"ListOffsets Topics":                                                    "Name",
	"ListOffsets Topics.Partitions":                                         "PartitionIndex",
	"DeleteRecords Topics":                                                  "Name",
	"DeleteRecords Topics.Partitions":                                       "PartitionIndex",
	"Metadata Topics":                                                       "Name TopicId",
	"OffsetFetch Topics":                                                    "Name",
	"OffsetFetch Topics.Partitions":                                         "PartitionIndex",
	"OffsetFetch Groups.Topics":                                             "Name TopicId",
	"OffsetFetch Groups.Topics.Partitions":                                  "PartitionIndex",
	"ListGroups Groups":                                                     "GroupId",
	"DescribeProducers Topics.Partitions.ActiveProducers":                   "ProducerId",
	"DeleteGroups Results":                                                  "GroupId",
	"JoinGroup Members":                                                     "Metadata MemberId",
	"DescribeGroups Groups":                                                 "GroupId",
	"DescribeGroups Groups.Members":                                         "MemberId",
	"ConsumerGroupDescribe Groups":                                          "GroupId",
	"ConsumerGroupDescribe Groups.Members":                                  "MemberId",
	"ConsumerGroupDescribe Groups.Members.SubscribedTopicNames":             "",
	"ConsumerGroupDescribe Groups.Members.Assignment.TopicPartitions":       "TopicName",
	"ConsumerGroupDescribe Groups.Members.TargetAssignment.TopicPartitions": "TopicName",
	"ConsumerGroupHeartbeat Assignment.TopicPartitions":                     "TopicId",
	"DeleteTopics Responses":                                                "Name TopicId",
}

// keyed are the lists whose elements are told apart by a field instead of by their place, and whose order says nothing.
var keyed = map[string]string{
	"ApiVersions ApiKeys":             "ApiKey",
	"ApiVersions SupportedFeatures":   "Name",
	"ApiVersions FinalizedFeatures":   "Name",
	"CreateTopics Topics.Configs":     "Name",
	"DescribeConfigs Results.Configs": "Name",
}

// ofItsOwn are the configs whose values say where a broker is and who it is.
var ofItsOwn = map[string]bool{
	"advertised.listeners": true, "controller.listener.names": true, "controller.quorum.voters": true, "listeners": true, "log.dirs": true,
}

// listed is the value of an element of a keyed list, beside those of its fields.
const listed = "listed"

// names puts what differs from broker to broker and run to run into words that do not. It is of one suite on one broker.
type names struct {
	addr string // of the broker
	port string
	now  int64 // milliseconds
	// drawn are the ids that came up, by what they are called.
	drawn map[string]string
	count map[string]int
}

func newNames(addr string, now time.Time) *names {
	host, port, _ := strings.Cut(addr, ":")
	return &names{addr: host, port: port, now: now.UnixMilli(), drawn: map[string]string{}, count: map[string]int{}}
}

// id is what a drawn id is called; the first of its kind is KIND 1.
func (n *names) id(kind, value string) string {
	key := kind + " " + value
	if n.drawn[key] == "" {
		n.count[kind]++
		n.drawn[key] = fmt.Sprintf("<%s %d>", kind, n.count[kind])
	}
	return n.drawn[key]
}

// learn calls an id by a name of the script's.
func (n *names) learn(kind, value, name string) {
	if key := kind + " " + value; n.drawn[key] == "" {
		n.drawn[key] = "<" + kind + " of " + name + ">"
	}
}

// nearby is how far from the start of the tool a time may be that is taken for one.
const nearby = int64(time.Hour / time.Millisecond)

// number is a number, or what time it is.
func (n *names) number(v int64) string {
	switch d := v - n.now; {
	case d >= -nearby && d <= nearby && d%1000 >= 0 && d < 1000 && d >= 0:
		return fmt.Sprintf("now+%d", d)
	case d >= -nearby && d <= nearby:
		return "about now"
	}
	return strconv.FormatInt(v, 10)
}

var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// timeText is what looks like a time in a message: milliseconds, at least of this century.
var timeText = regexp.MustCompile(`-?[0-9]{13,}`)

// text is a string of the answer with the ids in it called by their names.
func (n *names) text(s string) string {
	s = uuidText.ReplaceAllStringFunc(s, func(id string) string { return n.id("uuid", id) })
	s = timeText.ReplaceAllStringFunc(s, func(digits string) string {
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || v-n.now > 2*nearby || n.now-v > 2*nearby {
			return "<time>"
		}
		return "<about now>"
	})
	for key, name := range n.drawn {
		if kind, value, _ := strings.Cut(key, " "); (kind == "member" || kind == "topic") && len(value) > 8 {
			s = strings.ReplaceAll(s, value, name)
		}
	}
	return s
}

// flattener turns an answer into fields.
type flattener struct {
	names *names
	// where is the API and the path of the list that is being flattened, without places.
	where  string
	fields []field
}

func (f *flattener) add(path, value string) { f.fields = append(f.fields, field{path, value}) }

// answer flattens a message.
func (f *flattener) answer(m wire.Message) []field {
	f.where = wire.Name(m.APIKey()) + " "
	f.structure("", reflect.ValueOf(m).Elem())
	return f.fields
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// structure flattens the fields of one. A topic's id is called after its name.
func (f *flattener) structure(path string, v reflect.Value) {
	f.learnTopic(v)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		f.value(join(path, name), name, v.Field(i))
	}
}

func (f *flattener) learnTopic(v reflect.Value) {
	id := v.FieldByName("TopicId")
	if !id.IsValid() || id.IsZero() {
		return
	}
	for _, name := range []string{"Name", "Topic", "TopicName"} {
		field := v.FieldByName(name)
		if field.IsValid() && field.Kind() == reflect.Pointer && !field.IsNil() {
			field = field.Elem()
		}
		if field.IsValid() && field.Kind() == reflect.String && field.String() != "" {
			f.names.learn("topic", id.Interface().(wire.UUID).String(), field.String())
		}
	}
}

func (f *flattener) value(path, name string, v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[wire.UUID]():
		if id := v.Interface().(wire.UUID); id.IsZero() {
			f.add(path, "none")
		} else {
			f.add(path, f.names.id("topic", id.String()))
		}
		return
	case reflect.TypeFor[wire.Records]():
		f.records(path, v.Interface().(wire.Records))
		return
	case reflect.TypeFor[wire.ErrorCode]():
		f.add(path, v.Interface().(wire.ErrorCode).String())
		return
	case reflect.TypeFor[[]byte]():
		if v.IsNil() {
			f.add(path, "null")
		} else {
			f.add(path, fmt.Sprintf("%x", v.Bytes()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		f.structure(path, v)
	case reflect.Pointer:
		if v.IsNil() {
			f.add(path, "null")
		} else {
			f.value(path, name, v.Elem())
		}
	case reflect.Slice:
		f.slice(path, name, v)
	case reflect.String:
		f.add(path, f.text(name, v.String()))
	case reflect.Bool:
		f.add(path, strconv.FormatBool(v.Bool()))
	case reflect.Uint16: // a port
		f.add(path, f.number(name, int64(v.Uint())))
	default:
		f.add(path, f.number(name, v.Int()))
	}
}

func (f *flattener) slice(path, name string, v reflect.Value) {
	if v.IsNil() {
		f.add(path, "null")
		return
	}
	key, isKeyed := keyed[f.where+path]
	if !isKeyed {
		f.add(path+"[]", strconv.Itoa(v.Len()))
	}
	var elements [][]field
	for i := range v.Len() {
		e := flattener{names: f.names, where: f.where + path + "."}
		e.value("", name, v.Index(i))
		elements = append(elements, e.fields)
	}
	if by, ok := unordered[f.where+path]; ok {
		slices.SortStableFunc(elements, func(a, b []field) int { return strings.Compare(fieldOf(a, by), fieldOf(b, by)) })
	}
	for i, fields := range elements {
		place := strconv.Itoa(i)
		if isKeyed {
			place = placeOf(fieldOf(fields, key), key)
			f.add(path+"["+place+"]", listed)
		}
		for _, e := range fields {
			if isKeyed && ofItsOwn[place] && e.path != key && e.path != "ReadOnly" {
				continue
			}
			at := path + "[" + place + "]"
			if e.path != "" {
				at += "." + e.path
			}
			f.add(at, e.value)
		}
	}
}

// placeOf is how an element of a keyed list is called: by its name, an API by its.
func placeOf(value, key string) string {
	if n, err := strconv.Atoi(value); err == nil && key == "ApiKey" {
		return wire.Name(int16(n))
	}
	return value
}

// fieldOf is the value of a field, or of all those of a list that are named with spaces between.
func fieldOf(fields []field, path string) string {
	if path == "" && len(fields) > 0 { // elements that are no structures
		return fields[0].value
	}
	var found []string
	for want := range strings.FieldsSeq(path) {
		for _, f := range fields {
			if f.path == want {
				found = append(found, f.value)
			}
		}
	}
	return strings.Join(found, " ")
}

func (f *flattener) text(name, s string) string {
	switch name {
	case "Host":
		if s == f.names.addr {
			return "its host"
		}
	case "ClusterId":
		if s != "" {
			return "a cluster id"
		}
	case "LogDir":
		if s != "" {
			return "a directory"
		}

	case "Documentation":
		if s != "" {
			return "documented"
		}
	case "MemberId", "Leader":
		if len(s) == 22 {
			return f.names.id("member", s)
		}
	}
	return f.names.text(s)
}

// leastScriptedProducer is from where on producer ids are the scripts' own. Brokers begin with 0.
const leastScriptedProducer = 700_000

func (f *flattener) number(name string, n int64) string {
	switch {
	case name == "Port" && strconv.FormatInt(n, 10) == f.names.port:
		return "its port"
	case name == "ProducerId" && n >= 0 && n < leastScriptedProducer:
		return f.names.id("producer", strconv.FormatInt(n, 10))
	case name == "SessionId" && n > 0:
		return f.names.id("session", strconv.FormatInt(n, 10))
	case strings.HasSuffix(name, "LeaderEpoch") && n >= 0:
		return "an epoch"
	case name == "FinalizedFeaturesEpoch" && n >= 0:
		return "an epoch"
	case strings.HasPrefix(f.where, "DescribeQuorum") && (name == "HighWatermark" || name == "LogEndOffset") && n > 0:
		return "an offset"
	case (name == "TotalBytes" || name == "UsableBytes") && n > 0:
		return "some bytes"
	}
	return f.names.number(n)
}

func (f *flattener) records(path string, r wire.Records) {
	if r.Null {
		f.add(path, "null")
		return
	}
	lines := describeRecords(r.Bytes(), func(n int64) string { return f.names.number(n) })
	f.add(path+"[]", strconv.Itoa(len(lines)))
	for i, line := range lines {
		f.add(fmt.Sprintf("%s[%d]", path, i), line)
	}
}
