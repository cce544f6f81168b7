package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// message is a schema with everything resolved that the text needs.
type message struct {
	name     string // as in the schema and in Go
	kind     string // request, response, data, coordinator-key, coordinator-value
	key      int16
	valid    versions
	stable   versions // valid without an unstable latest version
	flexible versions
	root     *structure
	structs  []*structure // nested ones, in the order of first use
}

// structure is a message's root or one of its nested structs.
type structure struct {
	goName  string
	within  versions // versions in which it can appear
	fields  []*field // in wire order, without the tagged ones
	tagged  []*field // by tag
	all     []*field // in the schema's order
	message *message
}

// field is one field of a structure.
type field struct {
	name     string
	base     string // int8 ... uuid, string, bytes, records, or struct
	elem     *structure
	array    bool
	present  versions // within the structure's versions
	nullable versions // within present
	tag      int      // -1 when not tagged
	def      string   // Go literal; "" for the zero value
	kind     string   // of the message
	newest   int16    // version of the message
}

func newMessage(s schema) (*message, error) {
	m := &message{name: s.Name, kind: s.Type, key: s.APIKey}
	var err error
	if m.valid, err = parseVersions(s.Valid); err != nil {
		return nil, err
	}
	if m.flexible, err = parseVersions(s.Flexible); err != nil {
		return nil, err
	}
	m.stable = m.valid
	if s.LatestUnstable {
		m.stable.max--
	}
	b := builder{message: m, common: make(map[string]schemaStruct), built: make(map[string]*structure)}
	for _, c := range s.CommonStructs {
		b.common[c.Name] = c
	}
	m.root = &structure{goName: m.name, within: m.valid, message: m}
	if err := b.fill(m.root, s.Fields); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return m, nil
}

// builder resolves the nested structs of one message.
type builder struct {
	message *message
	common  map[string]schemaStruct
	built   map[string]*structure // by schema name
}

func (b *builder) fill(s *structure, fields []schemaField) error {
	for _, sf := range fields {
		f, err := b.field(s, sf)
		if err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
		if f.present.empty() {
			continue // of versions that Kafka no longer serves
		}
		s.all = append(s.all, f)
		if f.tag >= 0 {
			s.tagged = append(s.tagged, f)
		} else {
			s.fields = append(s.fields, f)
		}
	}
	slices.SortFunc(s.tagged, func(a, b *field) int { return a.tag - b.tag })
	return nil
}

func (b *builder) field(s *structure, sf schemaField) (*field, error) {
	f := &field{name: exported(sf.Name), tag: -1, kind: b.message.kind, newest: b.message.valid.max}
	present, err := parseVersions(sf.Versions)
	if err != nil {
		return nil, err
	}
	nullable, err := parseVersions(sf.Nullable)
	if err != nil {
		return nil, err
	}
	f.present = present.and(s.within)
	f.nullable = nullable.and(f.present)
	if sf.Tag != nil {
		tagged, err := parseVersions(sf.Tagged)
		if err != nil {
			return nil, err
		}
		if !tagged.contains(f.present) {
			return nil, fmt.Errorf("tagged in some versions only: not supported")
		}
		f.tag = *sf.Tag
	}
	f.base, f.array = strings.CutPrefix(sf.Type, "[]")
	if unicode.IsUpper(rune(f.base[0])) {
		if f.elem, err = b.structure(f.base, sf.Fields, f.present); err != nil {
			return nil, err
		}
		f.base = "struct"
	}
	if f.base == "struct" && !f.array && !f.nullable.empty() && f.nullable != f.present {
		return nil, fmt.Errorf("struct that is nullable in some versions only: not supported")
	}
	if f.taggedPointer() {
		f.def = "&" + f.elem.defaults()
		return f, nil
	}
	f.def, err = defaultLiteral(f, sf.Default)
	return f, err
}

// taggedPointer says whether the field is a tagged structure that may be null. One that is absent is not null but has
// its defaults, whatever the schema says, since that is how Kafka reads it; null is written as such.
func (f *field) taggedPointer() bool {
	return f.base == "struct" && !f.array && !f.nullable.empty() && f.tag >= 0
}

// structure returns the nested struct of that name, building it at first use.
func (b *builder) structure(name string, fields []schemaField, present versions) (*structure, error) {
	if s, ok := b.built[name]; ok {
		return s, nil
	}
	s := &structure{goName: nestedName(b.message.name, name), within: present, message: b.message}
	b.built[name] = s
	b.message.structs = append(b.message.structs, s)
	if fields == nil {
		common, ok := b.common[name]
		if !ok {
			return nil, fmt.Errorf("struct %s is not defined", name)
		}
		// A common struct may be used by several fields of different versions.
		v, err := parseVersions(common.Versions)
		if err != nil {
			return nil, err
		}
		s.within, fields = v.and(b.message.valid), common.Fields
	}
	return s, b.fill(s, fields)
}

// nestedName is the rule for nested structs: the message's name, then the
// struct's, which first loses a prefix that repeats the message's name or its
// API's name. FetchRequest's FetchTopic is FetchRequestTopic, its ReplicaState
// FetchRequestReplicaState.
func nestedName(message, name string) string {
	api := strings.TrimSuffix(strings.TrimSuffix(message, "Request"), "Response")
	for _, prefix := range []string{message, api} {
		rest, ok := strings.CutPrefix(name, prefix)
		if first, _ := utf8.DecodeRuneInString(rest); ok && unicode.IsUpper(first) {
			return message + rest
		}
	}
	return message + name
}

func exported(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// defaultLiteral is the field's default as Go text, "" when it is Go's zero
// value. A nullable field without a default is null in Go, where Kafka has an
// empty one: the two differ only for fields that no version on the wire omits.
func defaultLiteral(f *field, raw json.RawMessage) (string, error) {
	text := strings.Trim(string(raw), `"`)
	if text == "" || text == "null" {
		return "", nil
	}
	switch f.base {
	case "bool":
		if text == "false" {
			return "", nil
		}
		return text, nil
	case "int8", "int16", "uint16", "int32", "int64":
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil || n == 0 {
			return "", err
		}
		switch n {
		case math.MinInt32:
			return "math.MinInt32", nil
		case math.MaxInt32:
			return "math.MaxInt32", nil
		case math.MaxInt64:
			return "math.MaxInt64", nil
		}
		return strconv.FormatInt(n, 10), nil
	}
	return "", fmt.Errorf("default %q of a %s: not supported", text, f.base)
}

// minimum is the smallest number of bytes of one value of the structure in
// any version in which it can appear.
func (s *structure) minimum() int {
	least := math.MaxInt
	for v := s.within.min; v <= s.within.max; v++ {
		least = min(least, s.minimumAt(v))
	}
	return least
}

func (s *structure) minimumAt(v int16) int {
	flexible := s.message.flexible.has(v)
	sum := 0
	if flexible {
		sum = 1 // the number of tagged fields
	}
	for _, f := range s.fields {
		if f.present.has(v) {
			sum += f.minimumAt(v, flexible)
		}
	}
	return sum
}

func (f *field) minimumAt(v int16, flexible bool) int {
	short, long := 2, 4
	if flexible {
		short, long = 1, 1
	}
	switch {
	case f.array:
		return long
	case f.base == "struct" && !f.nullable.empty():
		return 1
	case f.base == "struct":
		return f.elem.minimumAt(v)
	}
	switch f.base {
	case "string":
		return short
	case "bytes", "records":
		return long
	}
	return fixedSize[f.base]
}

// fixedSize is the size of the types that always take the same.
var fixedSize = map[string]int{
	"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "int64": 8, "float64": 8, "uuid": 16,
}
