package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// suite is Kafka's jars with its tools, Streams and Connect, and the directory that they lie in.
type suite struct {
	dir string
	p   *place
	jvm *jvmServer
}

func installSuite(ctx context.Context) (string, error) {
	return installed("suite", func(dir string) error {
		if err := os.Rename(filepath.Join(dir, "suite.xml"), filepath.Join(dir, "pom.xml")); err != nil {
			return err
		}
		if err := do(ctx, dir, "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"); err != nil {
			return err
		}
		return javac(ctx, dir)
	}, nil, "java/suite", "java/suite.xml")
}

// suiteVersion is the Kafka that suite.xml names.
func suiteVersion() string {
	pom, _ := files.ReadFile("java/suite.xml")
	return string(regexp.MustCompile(`<kafka.version>(.*)</kafka.version>`).FindSubmatch(pom)[1])
}

func installTools(ctx context.Context) (runner, error) {
	dir, err := installSuite(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *place, r *report) {
		s := &suite{dir: dir, p: p}
		defer s.end()
		r.is(suiteVersion())
		for _, c := range []struct {
			name string
			fn   func(context.Context) (string, error)
		}{
			{"kafka-topics", s.topics}, {"kafka-configs", s.configs}, {"kafka-console-producer, kafka-console-consumer", s.console},
			{"kafka-consumer-groups", s.groups}, {"kafka-console-consumer of __consumer_offsets", s.offsetsTopic}, {"kafka-get-offsets", s.getOffsets}, {"kafka-delete-records", s.deleteRecords},
			{"kafka-log-dirs", s.logDirs}, {"kafka-producer-perf-test, kafka-consumer-perf-test", s.perf},
			{"kafka-verifiable-producer, kafka-verifiable-consumer", s.verifiable}, {"kafka-cluster, kafka-metadata-quorum, kafka-features, kafka-broker-api-versions, kafka-groups", s.others},
		} {
			r.check(ctx, p, "tools", c.name, c.fn)
		}
	}, nil
}

func (s *suite) command(ctx context.Context, class string, args ...string) *exec.Cmd {
	return java(ctx, s.dir, append([]string{"-Dlog4j2.configurationFile=" + filepath.Join(s.dir, "log4j2.properties"), class}, args...)...)
}

// tool runs one of Kafka's tools and returns what it printed. Those that read nothing and end soon run in one JVM, see
// java/suite/Tools.java: that saves a minute.
func (s *suite) tool(ctx context.Context, in, class string, args ...string) (string, error) {
	if !strings.HasPrefix(class, "kafka.") {
		class = "org.apache.kafka.tools." + class
	}
	args = append([]string{"--bootstrap-server", s.p.brokers()}, args...)
	if strings.HasSuffix(class, "Command") || strings.HasSuffix(class, "Shell") || strings.HasSuffix(class, "ClusterTool") {
		if class != "org.apache.kafka.tools.MetadataQuorumCommand" && class != "org.apache.kafka.tools.FeatureCommand" {
			args = append(args[2:], args[:2]...) // a subcommand comes first
		}
		return s.shared(ctx, class, args)
	}
	cmd := s.command(ctx, class, args...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(in), &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %.800s %.800s", class, strings.Join(args, " "), err, out, said.String())
	}
	return string(out), err
}

// shared runs a tool in the JVM that is there for all of them.
func (s *suite) shared(ctx context.Context, class string, args []string) (string, error) {
	if s.jvm == nil {
		cmd := s.command(context.WithoutCancel(ctx), "Tools")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return "", err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return "", err
		}
		if err := cmd.Start(); err != nil {
			return "", err
		}
		s.jvm = &jvmServer{cmd, in, bufio.NewReader(out)}
	}
	if _, err := io.WriteString(s.jvm.in, strings.Join(append([]string{class}, args...), "\x1f")+"\n"); err != nil {
		return "", err
	}
	out, err := s.jvm.out.ReadString('\x1e')
	if err != nil {
		return "", fmt.Errorf("%s: %w", class, err)
	}
	status, err := s.jvm.out.ReadString('\n')
	out = strings.TrimSuffix(out, "\x1e")
	if err == nil && status != "0\n" {
		err = fmt.Errorf("%s %s ended with %s: %.1500s", class, strings.Join(args, " "), strings.TrimSpace(status), out)
	}
	return out, err
}

// jvmServer is that JVM.
type jvmServer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// end ends the JVM of the tools.
func (s *suite) end() {
	if s.jvm != nil {
		s.jvm.in.Close()
		s.jvm.cmd.Wait() //nolint:errcheck // it has done its work
		s.jvm = nil
	}
}

// expect wants a regular expression in what a tool printed; each space stands for several.
func expect(out string, err error, patterns ...string) error {
	if err != nil {
		return err
	}
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + strings.ReplaceAll(p, " ", `\s+`)).MatchString(out) {
			return fmt.Errorf("%q is not in %.1500q", p, out)
		}
	}
	return nil
}

// steps runs them until one fails.
func steps(all ...func() error) error {
	for _, s := range all {
		if err := s(); err != nil {
			return err
		}
	}
	return nil
}

// step is a tool whose output must match.
func (s *suite) step(ctx context.Context, in, class string, args []string, patterns ...string) func() error {
	return func() error {
		out, err := s.tool(ctx, in, class, args...)
		return expect(out, err, patterns...)
	}
}

func words(s string) []string { return strings.Fields(s) }

func (s *suite) topics(ctx context.Context) (string, error) {
	const t = "compat-tools-topics"
	return "create, describe, alter, list, delete", steps(
		s.step(ctx, "", "TopicCommand", words("--create --partitions 3 --replication-factor 1 --config retention.ms=123456789 --topic "+t), "Created topic "+t),
		s.step(ctx, "", "TopicCommand", words("--describe --topic "+t), "PartitionCount: 3 ReplicationFactor: 1 Configs:.*retention.ms=123456789", `Partition: 2 Leader: \d+ Replicas: \d+ Isr: \d+`),
		s.step(ctx, "", "TopicCommand", words("--alter --partitions 5 --topic "+t)),
		s.step(ctx, "", "TopicCommand", words("--describe --topic "+t), "PartitionCount: 5", "Partition: 4 Leader: "),
		s.step(ctx, "", "TopicCommand", words("--list"), "^"+t+"$", "^"+reference+"-none$"),
		s.step(ctx, "", "TopicCommand", words("--delete --topic "+t)),
		func() error {
			out, err := s.tool(ctx, "", "TopicCommand", "--list")
			if err == nil && strings.Contains(out, t) {
				err = errors.New("the deleted topic is listed")
			}
			return err
		})
}

func (s *suite) create(ctx context.Context, topic string, partitions int) error {
	return onCluster(s.p, func(c *cluster) error { return createTopic(ctx, c, topic, partitions, s.p.factor, nil) })
}

func (s *suite) configs(ctx context.Context) (string, error) {
	const t, class = "compat-tools-configs", "kafka.admin.ConfigCommand"
	return "of a topic: alter, describe, delete, all; of brokers: alter, describe; refusals", steps(
		func() error { return s.create(ctx, t, 1) },
		s.step(ctx, "", class, words("--alter --add-config retention.ms=777,max.message.bytes=2000000 --entity-type topics --entity-name "+t), "Completed updating config for topic "+t),
		s.step(ctx, "", class, words("--describe --entity-type topics --entity-name "+t), `retention.ms=777 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:retention.ms=777`, "max.message.bytes=2000000"),
		s.step(ctx, "", class, words("--alter --delete-config retention.ms --entity-type topics --entity-name "+t)),
		s.step(ctx, "", class, words("--describe --all --entity-type topics --entity-name "+t), "cleanup.policy=delete sensitive=false", "max.message.bytes=2000000"),
		s.step(ctx, "", class, words("--alter --add-config message.max.bytes=1048600 --entity-type brokers --entity-default")),
		s.step(ctx, "", class, words("--describe --entity-type brokers --entity-default"), "message.max.bytes=1048600"),
		s.step(ctx, "", class, words("--alter --delete-config message.max.bytes --entity-type brokers --entity-default")),
		func() error {
			_, err := s.tool(ctx, "", class, words("--alter --add-config retention.ms=soon --entity-type topics --entity-name "+t)...)
			if err == nil || !strings.Contains(err.Error(), "InvalidConfigurationException") {
				return fmt.Errorf("retention.ms=soon: %v", err)
			}
			return nil
		})
}

func (s *suite) console(ctx context.Context) (string, error) {
	const t = "compat-tools-console"
	var in strings.Builder
	for i := range 500 {
		fmt.Fprintf(&in, "h:%d\tk%d\tvalue %d\n", i, i%7, i)
	}
	return "500 records with keys and headers, in order", steps(
		func() error { return s.create(ctx, t, 1) },
		s.step(ctx, in.String(), "ConsoleProducer", []string{"--topic", t, "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
			"--compression-codec", "zstd"}),
		func() error {
			out, err := s.tool(ctx, "", "consumer.ConsoleConsumer", "--topic", t, "--from-beginning", "--max-messages", "500", "--timeout-ms", "20000", "--formatter-property", "print.key=true",
				"--formatter-property", "print.headers=true")
			if err == nil && out != in.String() {
				err = fmt.Errorf("what came out begins %.100q", out)
			}
			return err
		})
}

func (s *suite) getOffsets(ctx context.Context) (string, error) {
	const class = "GetOffsetShell"
	t := reference + "-none"
	return "earliest, latest, by time, largest timestamp", steps(
		s.step(ctx, "", class, words("--topic "+t), "^"+t+":0:100$", "^"+t+":1:100$", "^"+t+":2:100$"),
		s.step(ctx, "", class, words("--time earliest --topic-partitions "+t+":1"), "^"+t+":1:0$"),
		s.step(ctx, "", class, append(words("--topic-partitions "+t+":2 --time"), fmt.Sprint(ruleEpoch+2001)), "^"+t+":2:1$"),
		s.step(ctx, "", class, words("--topic-partitions "+t+":0 --time max-timestamp"), "^"+t+":0:99$"))
}

func (s *suite) deleteRecords(ctx context.Context) (string, error) {
	const t = "compat-tools-deleted"
	file, err := os.CreateTemp("", "compat-delete-")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	fmt.Fprintf(file, `{"version":1,"partitions":[{"topic":%q,"partition":0,"offset":7}]}`, t)
	file.Close()
	return "before offset 7 of 10", steps(
		func() error { return s.create(ctx, t, 1) },
		s.step(ctx, strings.Repeat("x\n", 10), "ConsoleProducer", words("--topic "+t)),
		s.step(ctx, "", "DeleteRecordsCommand", words("--offset-json-file "+file.Name()), "partition: "+t+"-0 low_watermark: 7"),
		s.step(ctx, "", "GetOffsetShell", words("--time earliest --topic "+t), "^"+t+":0:7$"))
}

func (s *suite) logDirs(ctx context.Context) (string, error) {
	out, err := s.tool(ctx, "", "LogDirsCommand", words("--describe --topic-list "+reference+"-none")...)
	if err != nil {
		return "", err
	}
	var d struct {
		Brokers []struct {
			LogDirs []struct {
				Error      *string
				Partitions []struct {
					Partition string
					Size      int64
				}
			}
		}
	}
	_, text, _ := strings.Cut(out, "{")
	if err := json.Unmarshal([]byte("{"+text), &d); err != nil {
		return "", fmt.Errorf("%w: %.500s", err, out)
	}
	size, n := int64(0), 0
	for _, b := range d.Brokers {
		for _, l := range b.LogDirs {
			for _, p := range l.Partitions {
				size, n = size+p.Size, n+1
			}
		}
	}
	if n != rulePartitions*s.p.factor || size < 50_000 {
		return "", fmt.Errorf("%d replicas with %d bytes", n, size)
	}
	return "replicas with their sizes", nil
}

func (s *suite) perf(ctx context.Context) (string, error) {
	const t = "compat-tools-perf"
	return "100,000 records of 100 bytes, all read", steps(
		func() error { return s.create(ctx, t, 3) },
		s.step(ctx, "", "ProducerPerformance", words("--num-records 100000 --record-size 100 --throughput -1 --topic "+t), "^100000 records sent"),
		s.step(ctx, "", "ConsumerPerformance", words("--num-records 100000 --timeout 20000 --topic "+t), `, 100000, `))
}

// verifiable: what the producer says was acknowledged is what the consumer says it read.
func (s *suite) verifiable(ctx context.Context) (string, error) {
	const t, n = "compat-tools-verifiable", 2000
	if err := s.create(ctx, t, 2); err != nil {
		return "", err
	}
	out, err := s.tool(ctx, "", "VerifiableProducer", words(fmt.Sprintf("--topic %s --max-messages %d --throughput -1 --acks -1", t, n))...)
	if err := expect(out, err, fmt.Sprintf(`"sent":%d,"acked":%d`, n, n)); err != nil {
		return "", err
	}
	type told struct {
		Name, Value       string
		Partition, Offset int64
	}
	want := map[told]bool{}
	for _, l := range strings.Split(out, "\n") {
		var r told
		if json.Unmarshal([]byte(l), &r) == nil && r.Name == "producer_send_success" {
			r.Name = ""
			want[r] = true
		}
	}
	out, err = s.tool(ctx, "", "VerifiableConsumer", words(fmt.Sprintf("--topic %s --group-id %s-group --max-messages %d --verbose --reset-policy earliest", t, t, n))...)
	if err != nil {
		return "", err
	}
	got := 0
	for _, l := range strings.Split(out, "\n") {
		var r told
		if json.Unmarshal([]byte(l), &r) == nil && r.Name == "record_data" {
			r.Name = ""
			if !want[r] {
				return "", fmt.Errorf("the consumer read %s, which the producer did not write, or twice", l)
			}
			delete(want, r)
			got++
		}
	}
	if got != n || len(want) != 0 {
		return "", fmt.Errorf("%d of %d records read", got, n)
	}
	return "2,000 records acknowledged, and read at the same offsets", expect(out, nil, `"name":"offsets_committed"`, `"name":"partitions_assigned"`)
}

func (s *suite) others(ctx context.Context) (string, error) {
	return "cluster id, quorum, features, versions of every API, groups", steps(
		s.step(ctx, "", "ClusterTool", words("cluster-id"), "Cluster ID: .{22}$"),
		s.step(ctx, "", "MetadataQuorumCommand", words("describe --status"), "ClusterId:", `LeaderId: \d`, "CurrentVoters:"),
		s.step(ctx, "", "FeatureCommand", words("describe"), "Feature: group.version .*FinalizedVersionLevel: 1"),
		s.step(ctx, "", "BrokerApiVersionsCommand", nil, `Produce\(0\): 0 to 13`, `ConsumerGroupHeartbeat\(68\): 0 to 1`),
		s.step(ctx, "", "GroupsCommand", words("--list"), "GROUP TYPE PROTOCOL"))
}
