package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"millrace/node/host"
	"millrace/node/host/machine"
)

// startOptions are the flags of `millrace start`.
type startOptions struct {
	data, listen, advertise, http, config, logLevel string
	httpGiven, pprof                                bool
	// listenGiven and dataGiven say that the properties have no say about those. Overrides are configs as NAME=VALUE,
	// variables those from the environment.
	listenGiven, dataGiven bool
	overrides              []string
	variables              map[string]string
	// Of a cluster:
	nodeID, nodes                int
	peers                        []string
	peerListen, rack, secretFile string
	certificates                 machine.Certificates
}

func (s *session) startCommand() *cobra.Command {
	var o startOptions
	c := &cobra.Command{
		Use:   "start",
		Short: "Run a broker",
		Long: "Run a broker. Without flags it listens on 127.0.0.1:9092 and keeps its data in ./millrace-data.\n\n" +
			"Clients are told to come back to the address by which they reached the broker. Where something between them and the\n" +
			"broker translates addresses (a container's port mapping, NAT), say with --advertise where clients reach it.\n\n" +
			"Three or five brokers make a cluster when each is started with its own --node-id and the same --peers, in any order;\n" +
			"they then need an address of their own to tell clients, from --advertise or --listen. Whoever reaches the peers'\n" +
			"addresses could join, so beyond one machine they need a --secret-file with the same content, or certificates.\n" +
			"--nodes 3 runs a whole cluster in this process, to try it.\n\n" +
			"Broker configs have Kafka's names. They come, the first one wins, from --override NAME=VALUE, from the environment\n" +
			"(MILLRACE_LOG_RETENTION_MS is log.retention.ms; MILLRACE_LISTEN is --listen), and from the properties file of --config.",
		Example: "  millrace start\n" +
			"  millrace start --nodes 3\n" +
			"  millrace start --node-id 1 --peers 1@10.0.0.1:9192,2@10.0.0.2:9192,3@10.0.0.3:9192 \\\n" +
			"      --listen 10.0.0.1:9092 --secret-file secret --data /var/lib/millrace",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.variables, err = environment(c.Flags(), os.Environ()); err != nil {
				return usageError{err, "millrace start"}
			}
			o.httpGiven, o.listenGiven, o.dataGiven = c.Flags().Changed("http"), c.Flags().Changed("listen"), c.Flags().Changed("data")
			if !c.Flags().Changed("node-id") {
				o.nodeID = -1
			}
			return s.start(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "millrace-data", "directory for the data; made if missing")
	f.StringVar(&o.listen, "listen", "127.0.0.1:9092", "HOST:PORT to serve Kafka clients on; port 0 chooses a free one")
	f.StringVar(&o.advertise, "advertise", "", "HOST:PORT that clients are told to connect to (default: as they came; in a cluster: --listen)")
	f.StringVar(&o.http, "http", "127.0.0.1:9644", "HOST:PORT for /metrics, /healthz and /readyz; empty for none")
	f.BoolVar(&o.pprof, "pprof", false, "serve Go's profiles at /debug/pprof/ of the HTTP address")
	f.StringVar(&o.config, "config", "", "properties file with broker configs under Kafka's names")
	f.StringArrayVar(&o.overrides, "override", nil, "a broker config, as `NAME=VALUE`; may be repeated")
	f.StringVar(&o.logLevel, "log-level", "warn", "least level of what is logged: debug, info, warn or error")
	f.IntVar(&o.nodeID, "node-id", 1, "id of this broker; a data directory belongs to the id that it was made with")
	f.StringSliceVar(&o.peers, "peers", nil, "all brokers of the cluster as `ID@HOST:PORT`, comma separated, with the addresses for each other")
	f.StringVar(&o.peerListen, "peer-listen", "", "HOST:PORT to listen on for the other brokers (default: the own entry of --peers)")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the secret that the brokers of the cluster share")
	f.StringVar(&o.certificates.Certificate, "peer-certificate", "", "PEM file that shows the other brokers who this one is: its name is node-ID; connections between brokers are encrypted then")
	f.StringVar(&o.certificates.Key, "peer-key", "", "PEM file with the key of --peer-certificate")
	f.StringVar(&o.certificates.Authority, "peer-authority", "", "PEM file with the certificates of who signs those of the brokers")
	f.StringVar(&o.rack, "rack", "", "rack of this broker: replicas are placed in different racks, consumers may read from their own")
	f.IntVar(&o.nodes, "nodes", 1, "run a cluster of so many brokers in this process: one, three or five, on ports one after the other, in DATA/1, DATA/2, ...")
	return c
}

func (s *session) start(ctx context.Context, o startOptions) error {
	// Buffers are large, few and pooled; the heap is small beside them. Collecting at twice the small heap would run the
	// collector all the time under load.
	debug.SetGCPercent(200)
	log, err := s.logger(o.logLevel)
	if err != nil {
		return err
	}
	places, err := o.places()
	if err != nil {
		return err
	}
	started, err := s.startNodes(ctx, places, log)
	if err != nil {
		return err
	}
	if started == nil {
		return nil // ended by a signal before it was up
	}
	for _, n := range started {
		s.announce(n)
	}
	return s.serve(ctx, started)
}

// serve waits until the nodes are to end, or one has failed, and ends them.
func (s *session) serve(ctx context.Context, nodes []*startedNode) error {
	release := make(chan struct{})
	failed := make(chan error, len(nodes))
	adapted := make(chan struct{})
	go func() {
		defer close(adapted)
		adaptProcessors(release)
	}()
	for _, n := range nodes {
		n.host.Tasks.Go("release memory", func() { releaseIdleMemory(n.host, release) })
		n.host.Tasks.Go("watch for failure", func() {
			err := n.broker.Failed().Get()
			if len(nodes) > 1 {
				err = fmt.Errorf("node %d: %w", n.id, err)
			}
			failed <- err
		})
	}
	select {
	case <-ctx.Done():
	case err := <-failed:
		return &failure{exit: exitFailed, message: "the broker stopped: " + err.Error(),
			hint: "what was acknowledged is on disk as far as the disk keeps it; see that the disk is healthy and has room, then start again"}
	}
	s.note("stopping: answering what is in flight, taking a checkpoint")
	close(release)
	<-adapted
	return stopNodes(nodes)
}

func (s *session) logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level %s: not one of debug, info, warn, error", level), "millrace start"}
	}
	o := &slog.HandlerOptions{Level: l}
	if s.json {
		return slog.New(slog.NewJSONHandler(s.err, o)), nil
	}
	return slog.New(slog.NewTextHandler(s.err, o)), nil
}

// releaseIdleMemory gives the memory of the buffer pool back to the system when the broker has been idle for a while.
func releaseIdleMemory(h host.Host, stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var last int64
	released := true
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		handed := h.Buffers.Handed()
		quiet := handed-last < 100
		last = handed
		if quiet && !released {
			h.Buffers.Trim()
			debug.FreeOSMemory()
		}
		released = quiet
	}
}
