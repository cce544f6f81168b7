package catalog

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the scripts print as what they should print")

// TestScripts runs the scripts in testdata. A line is a command, what follows it (with "  " in front) is what it printed:
//
//	format CLUSTER
//	broker NODE [rack=R] [lanes=N] [directory=D]   register a node
//	create NAME [partitions=N] [replication=N] [assign=1,2/2,3] [NAME=VALUE ...]
//	delete NAME
//	grow NAME COUNT [assign=1,2/2,3]
//	configs TYPE/NAME [full] NAME=VALUE | -NAME | NAME+=LIST | NAME-=LIST ...
//	producer-ids NODE
//	feature NAME LEVEL
//	show            the whole image
//	checkpoint      the records since the last checkpoint; then the image is restored from all of them
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s prints\n%s", file, got)
			}
		})
	}
}

type script struct {
	t                *testing.T
	image, captured  *Image
	records          map[string][]byte
	index, nextTopic uint64
}

func runScript(t *testing.T, text string) string {
	s := &script{t: t, image: Empty(), captured: Empty(), records: map[string][]byte{}}
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for printed := range strings.Lines(s.run(strings.Fields(line))) {
			fmt.Fprint(&out, "  ", printed)
		}
	}
	return out.String()
}

func (s *script) run(words []string) string {
	options, flags := map[string]string{}, []string{}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok && words[0] != "configs" {
			options[name] = value
		} else {
			flags = append(flags, w)
		}
	}
	switch words[0] {
	case "show":
		return show(s.image)
	case "checkpoint":
		return s.checkpoint()
	}
	next, result := s.apply(s.command(words[0], flags, options))
	s.image = next
	return printResult(result)
}

// apply goes through the encoding, as a replica does.
func (s *script) apply(c Command) (*Image, Result) {
	decoded, err := DecodeCommand(Encode(c))
	if err != nil {
		s.t.Fatalf("decode %#v: %v", c, err)
	}
	s.index++
	return Apply(s.image, s.index, decoded)
}

func (s *script) command(name string, args []string, options map[string]string) Command {
	number := func(text string) int32 {
		n, err := strconv.Atoi(text)
		if err != nil {
			s.t.Fatal(err)
		}
		return int32(n)
	}
	option := func(name string, otherwise int32) int32 {
		if v, ok := options[name]; ok {
			delete(options, name)
			return number(v)
		}
		return otherwise
	}
	switch name {
	case "format":
		return Format{ClusterID: args[0]}
	case "broker":
		return RegisterBroker{
			Node: number(args[0]), Directory: ID{byte(option("directory", number(args[0])))}, Rack: options["rack"],
			Lanes: option("lanes", 1), Listeners: []Listener{{Name: "PLAINTEXT", Host: "host" + args[0], Port: 9092}},
		}
	case "create":
		s.nextTopic++
		c := CreateTopic{
			ID: ID{15: byte(s.nextTopic)}, Name: args[0], Partitions: option("partitions", 1),
			Replication: int16(option("replication", 1)), Assignments: assignments(options["assign"], number),
		}
		delete(options, "assign")
		for name, value := range options {
			c.Configs = c.Configs.with(name, value)
		}
		return c
	case "delete":
		return DeleteTopic{Name: args[0]}
	case "grow":
		return CreatePartitions{Name: args[0], Count: number(args[1]), Assignments: assignments(options["assign"], number)}
	case "configs":
		return setConfigs(args, number)
	case "producer-ids":
		return AllocateProducerIDs{Node: number(args[0])}
	case "feature":
		return SetFeature{Name: args[0], Level: int16(number(args[1]))}
	}
	s.t.Fatalf("unknown command %q", name)
	return nil
}

func assignments(text string, number func(string) int32) (out [][]int32) {
	if text == "" {
		return nil
	}
	for p := range strings.SplitSeq(text, "/") {
		var nodes []int32
		for n := range strings.SplitSeq(p, ",") {
			nodes = append(nodes, number(n))
		}
		out = append(out, nodes)
	}
	return out
}

func setConfigs(args []string, number func(string) int32) Command {
	kind, name, _ := strings.Cut(args[0], "/")
	c := SetConfigs{Type: ResourceType(number(kind)), Name: name}
	for _, a := range args[1:] {
		name, value, set := strings.Cut(a, "=")
		switch {
		case a == "full":
			c.Full = true
		case !set:
			c.Changes = append(c.Changes, ConfigChange{Name: strings.TrimPrefix(a, "-"), Op: ConfigDelete})
		case strings.HasSuffix(name, "+"):
			c.Changes = append(c.Changes, ConfigChange{Name: name[:len(name)-1], Op: ConfigAppend, Value: value, Default: "delete"})
		case strings.HasSuffix(name, "-"):
			c.Changes = append(c.Changes, ConfigChange{Name: name[:len(name)-1], Op: ConfigSubtract, Value: value, Default: "delete"})
		default:
			c.Changes = append(c.Changes, ConfigChange{Name: name, Op: ConfigSet, Value: value})
		}
	}
	return c
}

func printResult(r Result) string {
	if r.Error != 0 {
		return fmt.Sprintf("error %d: %s\n", r.Error, r.Message)
	}
	out := "ok"
	if r.ProducerID != 0 {
		out += fmt.Sprintf(" producer ids from %d", r.ProducerID)
	}
	if r.BrokerEpoch != 0 {
		out += fmt.Sprintf(" epoch %d", r.BrokerEpoch)
	}
	if r.Topic != nil {
		out += " " + showTopic(r.Topic)
	}
	return strings.TrimRight(out, "\n") + "\n"
}

func (s *script) checkpoint() string {
	var out strings.Builder
	for _, r := range Records(s.captured, s.image) {
		if r.Value == nil {
			fmt.Fprintf(&out, "%s deleted\n", r.Key)
			delete(s.records, r.Key)
			continue
		}
		fmt.Fprintf(&out, "%s %x\n", r.Key, r.Value)
		s.records[r.Key] = r.Value
	}
	var all []Record
	for key, value := range s.records {
		all = append(all, Record{key, value})
	}
	restored, err := Restore(all)
	if err != nil {
		s.t.Fatal(err)
	}
	if got, want := show(restored), show(s.image); got != want {
		s.t.Errorf("restored\n%s\nis not\n%s", got, want)
	}
	s.image, s.captured = restored, restored
	return out.String()
}

func show(i *Image) string {
	var out strings.Builder
	fmt.Fprintf(&out, "index %d cluster %q next producer id %d shard %d replica %d\n",
		i.Index, i.ClusterID, i.NextProducerID, i.NextShard, i.NextReplica)
	for _, b := range i.Brokers.All {
		fmt.Fprintf(&out, "broker %d epoch %d directory %x rack %q lanes %d listeners %v\n",
			b.Node, b.Epoch, b.Directory[:1], b.Rack, b.Lanes, b.Listeners)
	}
	for _, s := range i.Shards.All {
		fmt.Fprintf(&out, "shard %d prefers %d partitions %d members", s.ID, s.Preferred, s.Partitions)
		for _, m := range s.Members {
			fmt.Fprintf(&out, " %d=%d.%d", m.Node, m.Replica, m.Generation)
		}
		fmt.Fprintln(&out)
	}
	for _, t := range i.Topics.All {
		out.WriteString(showTopic(t))
	}
	for _, r := range i.Resources.All {
		fmt.Fprintf(&out, "configs of %d %q: %v\n", r.Type, r.Name, r.Configs)
	}
	for name, level := range i.Features.All {
		fmt.Fprintf(&out, "feature %s level %d\n", name, level)
	}
	return out.String()
}

func showTopic(t *Topic) string {
	return fmt.Sprintf("topic %s id %d partitions %v configs %v\n", t.Name, t.ID[15], t.Partitions, t.Configs)
}
