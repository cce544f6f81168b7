package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	// consume reads the topic, which holds the given number of records, into the digest.
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
		case "java":
			jars, err := kafka.Fetch(ctx)
			if err != nil {
				return nil, fmt.Errorf("%w; or leave it out with --clients", err)
			}
			all = append(all, &java{jars, hold})
		default:
			return nil, fmt.Errorf("there is no client %q: franz-go, kcat, java", n)
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
	r, err := startRelay(ctx, at)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, k.path, "-P", "-b", r.address(), "-t", topic, "-K", string(keyEnd), "-z", "lz4",
		"-X", "enable.idempotence=true", "-X", "message.timeout.ms=600000", "-X", "linger.ms=5",
		"-X", "reconnect.backoff.ms=20", "-X", "reconnect.backoff.max.ms=200",
		"-X", "queue.buffering.max.messages="+strconv.Itoa(int(k.hold)))
	_, err = pipeLines(ctx, cmd, f)
	return err
}

func (k *kcat) consume(ctx context.Context, at, topic string, _ int64, d *digest) error {
	cmd := exec.CommandContext(ctx, k.path, "-C", "-q", "-e", "-b", at, "-t", topic, "-o", "beginning", "-f", `%k\t%s\n`)
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
		"--timeout-ms", "60000", "--formatter-property", "print.key=true",
		"--formatter-property", "key.separator="+string(keyEnd))
	return readLines(cmd, d)
}

// pipeLines runs a producer that reads a record a line, and returns what it said.
func pipeLines(ctx context.Context, cmd *exec.Cmd, f *feed) (string, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	var said tailWriter
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(in, 1<<14)
	fed := f.each(ctx, func(key string, line []byte) error {
		w.WriteString(key)
		w.WriteByte(keyEnd)
		w.Write(line)
		return w.WriteByte('\n')
	})
	if err := w.Flush(); fed == nil {
		fed = err
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd.Path, err, said.text())
	}
	if fed != nil {
		return "", fmt.Errorf("writing to %s: %w\n%s", cmd.Path, fed, said.text())
	}
	return said.text(), nil
}

// readLines runs a consumer that prints a record a line.
func readLines(cmd *exec.Cmd, d *digest) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said tailWriter
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	read := addLines(out, d)
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, said.text())
	}
	return read
}

func addLines(out io.Reader, d *digest) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 1<<16), lineBytesMax+1<<16)
	for lines.Scan() {
		key, value, ok := bytes.Cut(lines.Bytes(), []byte{keyEnd})
		if !ok {
			return fmt.Errorf("a line without a key came out: %.80q", lines.Bytes())
		}
		d.add(string(key), value)
	}
	return lines.Err()
}

// tailWriter keeps the beginning and the end of what a program says.
type tailWriter struct{ head, tail []byte }

const keptBytes = 4000

func (t *tailWriter) Write(p []byte) (int, error) {
	n := min(len(p), keptBytes-len(t.head))
	t.head = append(t.head, p[:n]...)
	t.tail = append(t.tail, p[n:]...)
	t.tail = t.tail[max(0, len(t.tail)-keptBytes):]
	return len(p), nil
}

func (t *tailWriter) text() string { return string(t.head) + "\n…\n" + string(t.tail) }
