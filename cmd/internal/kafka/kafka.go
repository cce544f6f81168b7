// Package kafka gets Apache Kafka's published jars with Maven, by a pom of our own, and runs what is in them: the broker
// that figures are paired with, and the console tools that stand for Java clients.
//
// The jars are kept outside the repository, in the user's cache directory, and fetched once. Java 17 and Maven must be
// installed; what is missing is said.
package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Version is the Kafka that the pom names.
const Version = "4.3.1"

//go:embed pom.xml
var pom []byte

//go:embed log4j2.properties
var logging []byte

// Jars is a directory with Kafka's jars.
type Jars struct {
	dir string
}

// Fetch returns the jars, after Maven fetched them if this user has none yet.
func Fetch(ctx context.Context) (*Jars, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return nil, errors.New("java is not installed; Kafka needs Java 17 (apt-get install openjdk-17-jre-headless)")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("looking for a place to keep Kafka's jars: %w", err)
	}
	j := &Jars{filepath.Join(cache, "millrace", "kafka-"+Version)}
	done := filepath.Join(j.dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return j, nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return nil, errors.New("mvn is not installed; it fetches Kafka's jars (apt-get install maven)")
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{"pom.xml": pom, "log4j2.properties": logging} {
		if err := os.WriteFile(filepath.Join(j.dir, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(os.Stderr, "fetching Kafka %s with Maven into %s\n", Version, j.dir)
	mvn := exec.CommandContext(ctx, "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory="+j.Dir(), "-DincludeScope=runtime")
	mvn.Dir = j.dir
	mvn.Stdout, mvn.Stderr = os.Stderr, os.Stderr
	if err := mvn.Run(); err != nil {
		return nil, fmt.Errorf("fetching Kafka's jars with Maven: %w", err)
	}
	return j, os.WriteFile(done, nil, 0o644)
}

// Dir is the directory that holds the jars.
func (j *Jars) Dir() string { return filepath.Join(j.dir, "lib") }

// Command returns a Java program of the jars, ready to start. Java's options come before the class.
func (j *Jars) Command(ctx context.Context, javaOptions []string, class string, args ...string) *exec.Cmd {
	all := append([]string{}, javaOptions...)
	all = append(all, "-cp", filepath.Join(j.Dir(), "*"), "-Dlog4j2.configurationFile="+filepath.Join(j.dir, "log4j2.properties"), class)
	return exec.CommandContext(ctx, "java", append(all, args...)...)
}

// BrokerOptions are the JVM options of the broker: those of Kafka's own start script, with a heap of one gigabyte.
var BrokerOptions = []string{"-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
	"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"}

// Prepare formats dir for a broker that is its own controller and listens on the address, unless it is formatted, and
// returns the path of the configuration file. Lines of more are added to the configuration.
func (j *Jars) Prepare(ctx context.Context, dir, listen string, more ...string) (string, error) {
	config := dir + ".properties"
	if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err == nil {
		return config, nil
	}
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("address of the Kafka broker: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return "", fmt.Errorf("address of the Kafka broker: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	controller := net.JoinHostPort(host, strconv.Itoa(port+1))
	lines := append([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"controller.listener.names=CONTROLLER",
		"listeners=PLAINTEXT://" + listen + ",CONTROLLER://" + controller,
		"advertised.listeners=PLAINTEXT://" + listen,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs=" + dir,
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
	}, more...)
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return "", err
	}
	format := j.Command(ctx, []string{"-Xmx256m"}, "kafka.tools.StorageTool", "format", "--cluster-id", "bWlsbHJhY2UtYmVzaWRlLQ", "--config", config)
	if out, err := format.CombinedOutput(); err != nil {
		return "", fmt.Errorf("formatting %s for Kafka: %w\n%s", dir, err, out)
	}
	return config, nil
}
