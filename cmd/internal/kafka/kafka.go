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

// Node says where one broker of a cluster is. Every broker is a controller, too.
type Node struct {
	ID int
	// Dir holds its data; the configuration lies beside it.
	Dir string
	// Listen is the address that clients are served on, Advertise the one that they are told, Listen when empty.
	Listen, Advertise string
	// Replication is the address of a listener of its own for the other brokers, and ReplicationAt the one that they are
	// told; without it they come as clients do.
	Replication, ReplicationAt string
	// Controller is the address of its controller; Voters are all controllers as this node reaches them, ID@HOST:PORT with
	// commas between.
	Controller, Voters string
	// Factor is the replication factor of the internal topics.
	Factor int
	// More are further lines of the configuration, Format further arguments of the tool that formats the directory.
	More, Format []string
}

// Alone is a broker that is its own controller, on the port after the listener's.
func Alone(dir, listen string) (Node, error) {
	controller, err := nextPort(listen)
	if err != nil {
		return Node{}, err
	}
	return Node{ID: 1, Dir: dir, Listen: listen, Controller: controller, Voters: "1@" + controller, Factor: 1}, nil
}

func nextPort(listen string) (string, error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("address of the Kafka broker: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return "", fmt.Errorf("address of the Kafka broker: %w", err)
	}
	return net.JoinHostPort(host, strconv.Itoa(port+1)), nil
}

// lines is the configuration: Kafka as it comes, with what a cluster of this size needs to be one.
func (n Node) lines() []string {
	advertise, listeners, kinds, between := n.Advertise, "PLAINTEXT://"+n.Listen, "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "PLAINTEXT"
	if advertise == "" {
		advertise = n.Listen
	}
	advertised := "PLAINTEXT://" + advertise
	if n.Replication != "" {
		between = "REPLICATION"
		listeners += ",REPLICATION://" + n.Replication
		advertised += ",REPLICATION://" + n.ReplicationAt
		kinds += ",REPLICATION:PLAINTEXT"
	}
	factor := strconv.Itoa(max(1, n.Factor))
	return append([]string{
		"process.roles=broker,controller",
		"node.id=" + strconv.Itoa(n.ID),
		"controller.quorum.voters=" + n.Voters,
		"controller.listener.names=CONTROLLER",
		"listeners=" + listeners + ",CONTROLLER://" + n.Controller,
		"advertised.listeners=" + advertised,
		"inter.broker.listener.name=" + between,
		"listener.security.protocol.map=" + kinds,
		"log.dirs=" + n.Dir,
		"offsets.topic.replication.factor=" + factor,
		"transaction.state.log.replication.factor=" + factor,
		"transaction.state.log.min.isr=" + strconv.Itoa(max(1, n.Factor)/2+1),
		"share.coordinator.state.topic.replication.factor=" + factor,
		"share.coordinator.state.topic.min.isr=" + strconv.Itoa(max(1, n.Factor)/2+1),
		"group.initial.rebalance.delay.ms=0",
	}, n.More...)
}

// Prepare formats the node's directory, unless it is formatted, and returns the path of its configuration file.
func (j *Jars) Prepare(ctx context.Context, n Node) (string, error) {
	config := n.Dir + ".properties"
	if _, err := os.Stat(filepath.Join(n.Dir, "meta.properties")); err == nil {
		return config, nil
	}
	if err := os.MkdirAll(n.Dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(config, []byte(strings.Join(n.lines(), "\n")+"\n"), 0o644); err != nil {
		return "", err
	}
	args := append([]string{"format", "--cluster-id", "bWlsbHJhY2UtYmVzaWRlLQ", "--config", config}, n.Format...)
	format := j.Command(ctx, []string{"-Xmx256m"}, "kafka.tools.StorageTool", args...)
	if out, err := format.CombinedOutput(); err != nil {
		return "", fmt.Errorf("formatting %s for Kafka: %w\n%s", n.Dir, err, out)
	}
	return config, nil
}
