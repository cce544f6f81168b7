package main

import "fmt"

// extensions are tagged fields of Millrace's own. Whoever does not know a tag skips it; the broker answers one only to who
// has asked with one. The tag is far above those that Kafka gives, which count from 0.
var extensions = []struct {
	message, structure string // no structure: the message itself
	field              schemaField
}{
	{"DescribeGroupsRequest", "", schemaField{Name: "MillraceTell", Type: "bool", Default: []byte("false")}},
	{"DescribeGroupsResponse", "DescribedGroup", schemaField{Name: "MillraceTold", Type: "bytes"}},
	{"DescribeLogDirsRequest", "", schemaField{Name: "MillraceExplain", Type: "bytes"}},
	{"DescribeLogDirsResponse", "", schemaField{Name: "MillraceExplained", Type: "bytes"}},
}

const extensionTag = 19794 // "MR"

// extend adds them to the schemas, in the versions that have tagged fields.
func extend(schemas map[string]schema) error {
	for _, e := range extensions {
		s, ok := schemas[e.message]
		if !ok {
			return fmt.Errorf("no schema of %s", e.message)
		}
		tag := extensionTag
		e.field.Tag, e.field.Tagged, e.field.Versions = &tag, s.Flexible, s.Flexible
		if e.structure == "" {
			s.Fields = append(s.Fields, e.field)
			schemas[e.message] = s
			continue
		}
		found := false
		for i := range s.Fields {
			if s.Fields[i].Type == "[]"+e.structure {
				s.Fields[i].Fields = append(s.Fields[i].Fields, e.field)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%s has no %s", e.message, e.structure)
		}
	}
	return nil
}
