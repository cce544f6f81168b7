// Package broker runs a broker as a process: Millrace, Apache Kafka, or any command line that speaks their protocol. The
// tools that measure and torment brokers share it.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/cmd/internal/kafka"
)

// Broker is one broker process that can be started, killed and started again on the same data.
type Broker struct {
	// Name is how tables and messages call it.
	Name string
	// Listen is the address that it serves.
	Listen string
	// Data is its directory; Wipe removes it.
	Data string
	// Log is the file that takes what it prints.
	Log string
	// Place is where it is in its cluster; zero for a broker that is alone.
	Place Place

	prepare func(context.Context) error
	command func() []string
	proc    *exec.Cmd
	exited  chan error
}

// Command is a broker started by a command line, split at spaces, in which {data} and {listen} stand for its directory
// and address, and in a cluster {node}, {peers} and {advertise} for its id, the addresses of all nodes as it reaches them,
// and the one that its clients are told.
func Command(name, line, dir, listen string) *Broker {
	b := newBroker(name, dir, listen)
	b.runCommand(line)
	return b
}

func (b *Broker) runCommand(line string) {
	b.command = func() []string {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.NewReplacer("{data}", b.Data, "{listen}", b.Listen, "{node}", strconv.Itoa(b.Place.ID),
				"{advertise}", b.Place.Advertise, "{rack}", b.Place.Rack, "{peers}", b.Place.Peers).Replace(args[i])
		}
		return args
	}
}

// MillraceLine is the command line that starts the given binary of Millrace.
func MillraceLine(binary string) string {
	return binary + " start --data {data} --listen {listen} --http="
}

// Kafka is Apache Kafka as it comes, on one node. Lines of more are added to its configuration.
func Kafka(jars *kafka.Jars, dir, listen string, more ...string) (*Broker, error) {
	b := newBroker("kafka", dir, listen)
	n, err := kafka.Alone(b.Data, listen)
	n.More = more
	b.runKafka(jars, n, kafka.BrokerOptions)
	return b, err
}

// KafkaNode is Apache Kafka on one node as n says; see kafka.Alone.
func KafkaNode(jars *kafka.Jars, dir string, n kafka.Node, options []string) *Broker {
	b := newBroker("kafka", dir, n.Listen)
	n.Dir = b.Data
	b.runKafka(jars, n, options)
	return b
}

func (b *Broker) runKafka(jars *kafka.Jars, n kafka.Node, options []string) {
	config := ""
	b.prepare = func(ctx context.Context) (err error) {
		config, err = jars.Prepare(ctx, n)
		return err
	}
	b.command = func() []string {
		return jars.Command(context.Background(), options, "kafka.Kafka", config).Args
	}
}

// Choose makes the broker that a flag names: "kafka", or a command line for Command.
func Choose(ctx context.Context, what, dir, listen string, kafkaConfig ...string) (*Broker, error) {
	if what != "kafka" {
		return Command("millrace", what, dir, listen), nil
	}
	jars, err := kafka.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	return Kafka(jars, dir, listen, kafkaConfig...)
}

func newBroker(name, dir, listen string) *Broker {
	return &Broker{Name: name, Listen: listen, Data: filepath.Join(dir, name+"-data"), Log: filepath.Join(dir, name+".log")}
}

// Args returns the command line of the process, for those who run it under another program. Prepare comes first.
func (b *Broker) Args() []string { return b.command() }

// Prepare makes the directory ready; Start does so too.
func (b *Broker) Prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(b.Data), 0o755); err != nil {
		return err
	}
	if b.prepare != nil {
		return b.prepare(ctx)
	}
	return nil
}

// Start starts the process and returns at once; see WaitReady.
func (b *Broker) Start(ctx context.Context) error {
	if err := b.Prepare(ctx); err != nil {
		return err
	}
	return b.StartArgs(b.Args())
}

// StartArgs starts the process by another command line than its own, such as its own under a tracer.
func (b *Broker) StartArgs(args []string) error {
	if b.proc != nil {
		return fmt.Errorf("%s runs already", b.Name)
	}
	log, err := os.OpenFile(b.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	b.proc = exec.Command(args[0], args[1:]...)
	b.proc.Stdout, b.proc.Stderr = log, log
	b.proc.SysProcAttr = attributes()
	if err := b.proc.Start(); err != nil {
		b.proc = nil
		return fmt.Errorf("starting %s: %w", b.Name, err)
	}
	b.exited = make(chan error, 1)
	go func(p *exec.Cmd, exited chan error) { exited <- p.Wait() }(b.proc, b.exited)
	return nil
}

// WaitReady waits until the broker accepts connections. It fails when the process ends before.
func (b *Broker) WaitReady(ctx context.Context) error {
	for {
		conn, err := net.DialTimeout("tcp", b.Listen, time.Second)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case err := <-b.exited:
			b.proc = nil
			return fmt.Errorf("%s ended before it was ready: %v\n%s", b.Name, err, b.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", b.Name, ctx.Err(), b.LogTail())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Pid is the id of the process, 0 when it does not run.
func (b *Broker) Pid() int {
	if b.proc == nil {
		return 0
	}
	return b.proc.Process.Pid
}

// Signal sends a signal to the process, such as SIGSTOP.
func (b *Broker) Signal(sig syscall.Signal) error {
	if b.proc == nil {
		return fmt.Errorf("%s does not run", b.Name)
	}
	return b.proc.Process.Signal(sig)
}

// Ended reports whether the process that was started has ended by itself.
func (b *Broker) Ended() bool {
	if b.proc == nil {
		return false
	}
	select {
	case err := <-b.exited:
		b.exited <- err
		return true
	default:
		return false
	}
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (b *Broker) Kill() error { return b.end(syscall.SIGKILL) }

// Stop asks the process to end with SIGTERM and returns when it is gone. One that has to be killed in the end is an error.
func (b *Broker) Stop() error { return b.end(syscall.SIGTERM) }

func (b *Broker) end(sig syscall.Signal) error {
	if b.proc == nil {
		return nil
	}
	select {
	case err := <-b.exited:
		b.proc = nil
		return fmt.Errorf("%s ended by itself: %v\n%s", b.Name, err, b.LogTail())
	default:
	}
	if err := b.proc.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending %s: %w", b.Name, err)
	}
	select {
	case <-b.exited:
	case <-time.After(30 * time.Second):
		b.proc.Process.Kill() //nolint:errcheck // it may be gone by now
		<-b.exited
		b.proc = nil
		return fmt.Errorf("%s did not end within 30 s of %v\n%s", b.Name, sig, b.LogTail())
	}
	b.proc = nil
	return nil
}

// Wait returns when the process has ended by itself, or fails after the time.
func (b *Broker) Wait(limit time.Duration) error {
	if b.proc == nil {
		return nil
	}
	select {
	case <-b.exited:
		b.proc = nil
		return nil
	case <-time.After(limit):
		return fmt.Errorf("%s has not ended in %v", b.Name, limit)
	}
}

// Wipe removes the broker's data. The process must not run.
func (b *Broker) Wipe() error {
	if b.proc != nil {
		return fmt.Errorf("%s still runs", b.Name)
	}
	return os.RemoveAll(b.Data)
}

// LogTail returns the end of what the broker printed.
func (b *Broker) LogTail() string {
	data, err := os.ReadFile(b.Log)
	if err != nil {
		return ""
	}
	return string(data[max(0, len(data)-2000):])
}
