package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"millrace/cmd/internal/kafka"
)

// client is one kind of Kafka client.
type client interface {
	// name is how it is called; version what is known of it.
	name() string
	version() string
	// produce writes all that the feed gives to the topic, keyed, idempotently, and returns when all is acknowledged.
	produce(ctx context.Context, at, topic string, f *feed) error
	// consume reads the topic, which holds or will hold the given number of records, into the digest.
	consume(ctx context.Context, at, topic string, records int64, d *digest) error
}

// buffered is how many records a producer may hold unacknowledged. It is small beside the distance of two kills, so
// that each kill comes after progress.
type buffered int

// openClients makes the clients with the given names and checks that what they need is installed.
func openClients(ctx context.Context, names []string, hold buffered) ([]client, error) {
	var all []client
	for _, n := range names {
		switch n {
		case "franz-go":
			all = append(all, &franz{hold})
		case "kcat":
			path, err := exec.LookPath("kcat")
			if err != nil {
				return nil, errors.New("kcat is not installed (apt-get install kcat), or leave it out with --clients")
			}
			all = append(all, &kcat{path, hold})
		case "sarama":
			path, err := exec.LookPath(saramaPath)
			if err != nil {
				return nil, errors.New("build/sarama is not there (make build/sarama), or leave it out with --clients")
			}
			all = append(all, &saramaTool{path})
		case "java":
			jars, err := kafka.Fetch(ctx)
			if err != nil {
				return nil, fmt.Errorf("%w; or leave it out with --clients", err)
			}
			all = append(all, &java{jars, hold})
		default:
			return nil, fmt.Errorf("there is no client %q: franz-go, kcat, java, sarama", n)
		}
	}
	return all, nil
}

// keyEnd stands between key and value where a program reads or prints both on a line. No file's path holds a tab.
const keyEnd = '\t'

// kcat is librdkafka by its command-line tool.
type kcat struct {
	path string
	hold buffered
}

func (k *kcat) name() string { return "kcat" }

func (k *kcat) version() string {
	out, _ := exec.Command(k.path, "-V").CombinedOutput()
	for _, w := range []string{"librdkafka "} {
		if _, rest, ok := strings.Cut(string(out), w); ok {
			return w + strings.Fields(rest)[0]
		}
	}
	return "kcat"
}

func (k *kcat) produce(ctx context.Context, at, topic string, f *feed) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !strings.Contains(at, ",") {
		r, err := startRelay(ctx, at)
		if err != nil {
			return err
		}
		at = r.address()
	}
	cmd := exec.CommandContext(ctx, k.path, "-P", "-E", "-b", at, "-t", topic, "-K", string(keyEnd), "-z", "lz4",
		"-X", "enable.idempotence=true", "-X", "message.timeout.ms=600000", "-X", "linger.ms=5",
		"-X", "reconnect.backoff.ms=20", "-X", "reconnect.backoff.max.ms=200",
		"-X", "queue.buffering.max.messages="+strconv.Itoa(int(k.hold)))
	_, err := pipeLines(ctx, cmd, f)
	return err
}

func (k *kcat) consume(ctx context.Context, at, topic string, records int64, d *digest) error {
	cmd := exec.CommandContext(ctx, k.path, "-C", "-q", "-E", "-c", strconv.FormatInt(records, 10), "-b", at, "-t", topic, "-o", "beginning",
		"-X", "reconnect.backoff.ms=20", "-X", "reconnect.backoff.max.ms=200", "-f", `%k\t%s\n`)
	return readLines(cmd, d)
}

// java is the Java client by Kafka's console tools.
type java struct {
	jars *kafka.Jars
	hold buffered
}

func (j *java) name() string    { return "java" }
func (j *java) version() string { return "Kafka's console tools " + kafka.Version }

// recordBytes is about what a line of source takes in the Java client's buffer, which is bounded in bytes.
const recordBytes = 150

func (j *java) produce(ctx context.Context, at, topic string, f *feed) error {
	cmd := j.jars.Command(ctx, []string{"-Xmx256m"}, "org.apache.kafka.tools.ConsoleProducer",
		"--bootstrap-server", at, "--topic", topic, "--compression-codec", "zstd",
		"--reader-property", "parse.key=true", "--reader-property", "key.separator="+string(keyEnd),
		"--message-send-max-retries", "2147483647", "--max-block-ms", "600000",
		// Its smallest buffer must still take one of our longest lines.
		"--max-memory-bytes", strconv.Itoa(max(2_000_000, int(j.hold)*recordBytes)),
		"--command-property", "enable.idempotence=true", "--command-property", "acks=all",
		"--command-property", "delivery.timeout.ms=600000", "--command-property", "linger.ms=5",
		"--command-property", "reconnect.backoff.ms=20", "--command-property", "reconnect.backoff.max.ms=200")
	said, err := pipeLines(ctx, cmd, f)
	// The console tool logs what could not be written, and ends as if nothing were amiss.
	if err == nil && strings.Contains(said, " ERROR ") {
		err = fmt.Errorf("the console producer could not write everything:\n%s", said)
	}
	return err
}

func (j *java) consume(ctx context.Context, at, topic string, records int64, d *digest) error {
	cmd := j.jars.Command(ctx, []string{"-Xmx512m"}, "org.apache.kafka.tools.consumer.ConsoleConsumer",
		"--bootstrap-server", at, "--topic", topic, "--from-beginning", "--max-messages", strconv.FormatInt(records, 10),
		"--timeout-ms", "120000", "--formatter-property", "print.key=true",
		"--formatter-property", "key.separator="+string(keyEnd))
	return readLines(cmd, d)
}
