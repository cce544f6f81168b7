package main

import (
	"flag"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// jarPatterns are the jars that hold the schemas used here.
var jarPatterns = []string{"kafka-clients-*.jar", "kafka-group-coordinator-[0-9]*.jar"}

// records are the messages that are neither requests nor responses: they lie
// in internal topics or travel as opaque bytes inside other messages.
var records = []string{
	"OffsetCommitKey", "OffsetCommitValue",
	"GroupMetadataKey", "GroupMetadataValue",
	"ConsumerGroupMetadataKey", "ConsumerGroupMetadataValue",
	"ConsumerGroupPartitionMetadataKey",
	"ConsumerGroupMemberMetadataKey", "ConsumerGroupMemberMetadataValue",
	"ConsumerGroupTargetAssignmentMetadataKey", "ConsumerGroupTargetAssignmentMetadataValue",
	"ConsumerGroupTargetAssignmentMemberKey", "ConsumerGroupTargetAssignmentMemberValue",
	"ConsumerGroupCurrentMemberAssignmentKey", "ConsumerGroupCurrentMemberAssignmentValue",
	"ConsumerGroupRegularExpressionKey", "ConsumerGroupRegularExpressionValue",
	"ConsumerProtocolSubscription", "ConsumerProtocolAssignment",
}

// api is the pair of messages of one key.
type api struct{ request, response *message }

func main() {
	jars := flag.String("jars", os.Getenv("MILLRACE_KAFKA_JARS"), "directory with Kafka's jars")
	out := flag.String("out", ".", "directory of the generated files")
	flag.Parse()
	if *jars == "" {
		fmt.Fprintln(os.Stderr, "wiregen: set MILLRACE_KAFKA_JARS (or -jars) to a directory with Kafka's jars")
		os.Exit(2)
	}
	if err := run(*jars, *out); err != nil {
		fmt.Fprintln(os.Stderr, "wiregen:", err)
		os.Exit(1)
	}
}

func run(jars, out string) error {
	schemas, err := readJars(jars, jarPatterns...)
	if err != nil {
		return err
	}
	if err := extend(schemas); err != nil {
		return err
	}
	apis, err := brokerAPIs(schemas)
	if err != nil {
		return err
	}
	files := make(map[string]*writer)
	types := make(map[string]string) // Go name -> message, to find collisions
	for _, a := range apis {
		w := new(writer)
		w.message(a.request)
		w.message(a.response)
		files[fmt.Sprintf("api_%02d_%s.gen.go", a.request.key, snake(apiName(a.request)))] = w
		for _, m := range []*message{a.request, a.response} {
			if err := claim(types, m); err != nil {
				return err
			}
		}
	}
	recordFile := new(writer)
	for _, name := range records {
		m, err := find(schemas, name)
		if err != nil {
			return err
		}
		if err := claim(types, m); err != nil {
			return err
		}
		recordFile.message(m)
	}
	files["records.gen.go"] = recordFile
	table := new(writer)
	table.table(apis)
	files["table.gen.go"] = table
	return write(out, files)
}

// brokerAPIs returns the APIs of the broker's listener, by key.
func brokerAPIs(schemas map[string]schema) ([]api, error) {
	var apis []api
	for name, s := range schemas {
		if s.Type != "request" || s.Valid == "none" || !slices.Contains(s.Listeners, "broker") {
			continue
		}
		request, err := find(schemas, name)
		if err != nil {
			return nil, err
		}
		response, err := find(schemas, strings.TrimSuffix(name, "Request")+"Response")
		if err != nil {
			return nil, err
		}
		if request.valid != response.valid || request.flexible != response.flexible {
			return nil, fmt.Errorf("%s and its response have different versions", name)
		}
		apis = append(apis, api{request, response})
	}
	slices.SortFunc(apis, func(a, b api) int { return int(a.request.key) - int(b.request.key) })
	return apis, nil
}

func find(schemas map[string]schema, name string) (*message, error) {
	s, ok := schemas[name]
	if !ok {
		return nil, fmt.Errorf("no schema of %s", name)
	}
	return newMessage(s)
}

// claim refuses two structs of the same Go name.
func claim(types map[string]string, m *message) error {
	for _, s := range append([]*structure{m.root}, m.structs...) {
		if other, taken := types[s.goName]; taken {
			return fmt.Errorf("%s and %s both have a struct %s", other, m.name, s.goName)
		}
		types[s.goName] = m.name
	}
	return nil
}

// write formats the files and replaces the generated ones in dir.
func write(dir string, files map[string]*writer) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.gen.go"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if files[filepath.Base(name)] == nil {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	for name, w := range files {
		var file writer
		file.fileStart(w.String())
		text, err := format.Source(file.Bytes())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// snake is an API's name as file names have it.
func snake(name string) string {
	var b strings.Builder
	for i, c := range name {
		if unicode.IsUpper(c) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
