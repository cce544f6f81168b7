package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"millrace/node"
)

// web is the HTTP side of a broker: metrics, health, profiles. It answers from the moment the process runs, while the
// broker is still starting. A nil web serves nothing.
type web struct {
	listener net.Listener
	server   *http.Server
	broker   atomic.Pointer[node.Broker] // nil while it starts
	stopping atomic.Bool
}

// What the HTTP side takes from who is not in a hurry. It is for a scraper, a probe and a person.
const (
	webConnections = 64
	webPatience    = 5 * time.Second
	webIdle        = time.Minute
)

// listenHTTP opens the HTTP listener. That the default port is taken, say by another broker of this machine, is no
// reason not to start; an address that was asked for is.
func listenHTTP(addr string, asked bool, log *slog.Logger) (*web, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil && !asked {
		log.Warn("no metrics: the default HTTP address is taken; choose another with --http", "address", addr)
		return nil, nil
	}
	if err != nil {
		return nil, &failure{exit: exitFailed, message: fmt.Sprintf("--http %s: %v", addr, err),
			hint: "choose another address with --http, or none with --http=\"\""}
	}
	return &web{listener: &limitedListener{Listener: l, open: make(chan struct{}, webConnections)}}, nil
}

func (w *web) addr() string {
	if w == nil {
		return ""
	}
	return w.listener.Addr().String()
}

// serve begins to answer.
func (w *web) serve(profiles bool) {
	if w == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(w.broker.Load))
	mux.HandleFunc("GET /healthz", w.healthz)
	mux.HandleFunc("GET /readyz", w.readyz)
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: webPatience, ReadTimeout: webPatience, IdleTimeout: webIdle, MaxHeaderBytes: 16 << 10}
	go w.server.Serve(w.listener)
}

// started says that the broker answers.
func (w *web) started(b *node.Broker) {
	if w != nil {
		w.broker.Store(b)
	}
}

// stop says that the broker is about to stop: who balances load should look elsewhere.
func (w *web) stop() {
	if w != nil {
		w.stopping.Store(true)
	}
}

func (w *web) close() {
	if w == nil {
		return
	}
	if w.server != nil {
		w.server.Close()
	} else {
		w.listener.Close()
	}
}

// healthz says whether the process should be left alone: it is 200 while it starts, serves and stops, and 503 once the
// broker has failed and only a restart can help.
func (w *web) healthz(rw http.ResponseWriter, _ *http.Request) {
	if b := w.broker.Load(); b != nil {
		if err, failed := b.Failed().Try(); failed {
			http.Error(rw, "failed: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(rw, "ok")
}

// readyz says whether clients should be sent here, with every condition on a line of its own, or as JSON with ?json.
func (w *web) readyz(rw http.ResponseWriter, r *http.Request) {
	conditions := []node.Condition{{Name: "started", Message: "the broker recovers its data, or waits for the other nodes"}}
	if b := w.broker.Load(); b != nil {
		conditions = b.Conditions()
	}
	if w.stopping.Load() {
		conditions = append(conditions, node.Condition{Name: "staying", Message: "the process was told to stop"})
	}
	ready := node.ReadyBy(conditions)
	if r.URL.Query().Has("json") {
		rw.Header().Set("Content-Type", "application/json")
		if !ready {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(rw).Encode(map[string]any{"ready": ready, "conditions": conditions})
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ready {
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
	for _, c := range conditions {
		fmt.Fprintln(rw, c)
	}
}

// limitedListener accepts no more connections than there is room for; the others wait in the kernel's queue.
type limitedListener struct {
	net.Listener
	open chan struct{}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	l.open <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &limitedConn{Conn: c, open: l.open}, nil
}

type limitedConn struct {
	net.Conn
	open   chan struct{}
	closed atomic.Bool
}

func (c *limitedConn) Close() error {
	if c.closed.Swap(true) {
		return errors.ErrUnsupported
	}
	err := c.Conn.Close()
	<-c.open
	return err
}
