package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/node"
	"millrace/node/config"
	"millrace/node/host"
	"millrace/node/host/machine"
)

// startOptions are the flags of `millrace start`.
type startOptions struct {
	data, listen, advertise, http, config, logLevel string
	httpGiven, pprof                                bool
}

func (s *session) startCommand() *cobra.Command {
	var o startOptions
	c := &cobra.Command{
		Use:   "start",
		Short: "Run a broker",
		Long: "Run a broker. Without flags it listens on 127.0.0.1:9092 and keeps its data in ./millrace-data.\n\n" +
			"Clients are told to come back to the address by which they reached the broker. Where something between them and the\n" +
			"broker translates addresses (a container's port mapping, NAT), say with --advertise where clients reach it.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.httpGiven = c.Flags().Changed("http")
			return s.start(c.Context(), o)
		},
	}
	c.Flags().StringVar(&o.data, "data", "millrace-data", "directory for the data; made if missing")
	c.Flags().StringVar(&o.listen, "listen", "127.0.0.1:9092", "HOST:PORT to serve Kafka clients on; port 0 chooses a free one")
	c.Flags().StringVar(&o.advertise, "advertise", "", "HOST:PORT that clients are told to connect to (default: as they came)")
	c.Flags().StringVar(&o.http, "http", "127.0.0.1:9644", "HOST:PORT for /metrics and /healthz; empty for none")
	c.Flags().BoolVar(&o.pprof, "pprof", false, "serve Go's profiles at /debug/pprof/ of the HTTP address")
	c.Flags().StringVar(&o.config, "config", "", "properties file with broker configs under Kafka's names")
	c.Flags().StringVar(&o.logLevel, "log-level", "warn", "least level of what is logged: debug, info, warn or error")
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
	c, err := o.nodeConfig()
	if err != nil {
		return err
	}
	h, _, err := machine.New(machine.Options{Dir: o.data, Log: log})
	if err != nil {
		return err
	}
	web, err := o.listenHTTP(log)
	if err != nil {
		return err
	}
	b, err := node.Start(h, c)
	if err != nil {
		return explainStart(err, o)
	}
	web.serve(b, o.pprof)
	s.announce(b, o, web)
	release := make(chan struct{})
	h.Tasks.Go("release memory", func() { releaseIdleMemory(h, release) })
	failed := make(chan error, 1)
	h.Tasks.Go("watch for failure", func() { failed <- b.Failed().Get() })
	select {
	case <-ctx.Done():
	case err := <-failed:
		return &failure{exit: exitFailed, message: "the broker stopped: " + err.Error(),
			hint: "what was acknowledged is on disk as far as the disk keeps it; see that the disk is healthy and has room, then start again"}
	}
	s.note("stopping: answering what is in flight, taking a checkpoint")
	close(release)
	web.close()
	return b.Stop()
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

// nodeConfig puts flags and properties file together.
func (o startOptions) nodeConfig() (node.Config, error) {
	c := node.Config{Listen: o.listen, Advertise: o.advertise, DataDir: o.dataPath()}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return c, usageError{fmt.Errorf("--listen %s: %w", o.listen, err), "millrace start"}
	}
	if o.config == "" {
		return c, nil
	}
	text, err := os.ReadFile(o.config)
	if err != nil {
		return c, usageError{fmt.Errorf("--config: %w", err), "millrace start"}
	}
	properties, err := config.ParseProperties(text)
	if err != nil {
		return c, usageError{fmt.Errorf("--config %s: %w", o.config, err), "millrace start"}
	}
	c.Properties = properties
	return c, nil
}

// dataPath is the data directory in full, as people and DescribeLogDirs are told.
func (o startOptions) dataPath() string {
	if abs, err := filepath.Abs(o.data); err == nil {
		return abs
	}
	return o.data
}

func (s *session) announce(b *node.Broker, o startOptions, web *web) {
	data := o.dataPath()
	if s.json {
		s.printJSON(map[string]string{"listen": b.Addr(), "data": data, "http": web.addr()})
		return
	}
	line := fmt.Sprintf("millrace: listening on %s, data in %s", b.Addr(), data)
	if a := web.addr(); a != "" {
		line += fmt.Sprintf(", metrics at http://%s/metrics", a)
	}
	fmt.Fprintln(s.out, line)
}

// explainStart adds what to do to what went wrong.
func explainStart(err error, o startOptions) error {
	f := &failure{exit: exitFailed, message: err.Error()}
	switch {
	case errors.Is(err, host.ErrLocked):
		f.hint = "another broker runs on " + o.data + "; stop it, or give this one its own directory with --data"
	case strings.Contains(err.Error(), "address already in use"):
		f.hint = "something listens on " + o.listen + " already; choose another address with --listen"
	}
	return f
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

// web is the HTTP side of a broker: metrics and health. A nil web serves nothing.
type web struct {
	listener net.Listener
	server   *http.Server
}

// listenHTTP opens the HTTP listener. That the default port is taken, say by another broker of this machine, is no
// reason not to start; an address that was asked for is.
func (o startOptions) listenHTTP(log *slog.Logger) (*web, error) {
	if o.http == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", o.http)
	if err != nil && !o.httpGiven {
		log.Warn("no metrics: the default HTTP address is taken; choose another with --http", "address", o.http)
		return nil, nil
	}
	if err != nil {
		return nil, &failure{exit: exitFailed, message: fmt.Sprintf("--http %s: %v", o.http, err),
			hint: "choose another address with --http, or none with --http=\"\""}
	}
	return &web{listener: l}, nil
}

func (w *web) addr() string {
	if w == nil {
		return ""
	}
	return w.listener.Addr().String()
}

func (w *web) serve(b *node.Broker, profiles bool) {
	if w == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(b))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) {
		if err, failed := b.Failed().Try(); failed {
			http.Error(rw, "failed: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(rw, "ok")
	})
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go w.server.Serve(w.listener)
}

func (w *web) close() {
	if w != nil && w.server != nil {
		w.server.Close()
	}
}
