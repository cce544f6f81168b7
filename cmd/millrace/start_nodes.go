package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"millrace/node"
	"millrace/node/host"
	"millrace/node/host/machine"
)

// startedNode is a node that runs in this process.
type startedNode struct {
	place
	id     int32
	broker *node.Broker
	host   host.Host
	web    *web
}

// patience is how long a node waits for the others before it says so.
const patience = 2 * time.Second

// startNodes starts all nodes side by side, since each waits for the others. It returns nil when ctx ended before they
// were up.
func (s *session) startNodes(ctx context.Context, places []place, log *slog.Logger) ([]*startedNode, error) {
	nodes := make([]*startedNode, len(places))
	errs := make([]error, len(places))
	starting, failed := context.WithCancel(ctx)
	defer failed()
	slow := time.AfterFunc(patience, func() {
		if len(places[0].config.Peers) > 1 || places[0].config.Properties["controller.quorum.voters"] != "" {
			s.note("waiting for the other nodes of the cluster")
		}
	})
	defer slow.Stop()
	var wait sync.WaitGroup
	for i, p := range places {
		wait.Go(func() {
			if nodes[i], errs[i] = startNode(starting, p, log); errs[i] != nil {
				failed()
			}
		})
	}
	wait.Wait()
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, errCancelled)) {
			first = err
		}
	}
	if first == nil {
		return nodes, nil
	}
	var running []*startedNode
	for _, n := range nodes {
		if n != nil {
			running = append(running, n)
		}
	}
	if err := stopNodes(running); err != nil {
		log.Warn("a node did not stop in order", "error", err)
	}
	if errors.Is(first, errCancelled) {
		return nil, nil
	}
	return nil, first
}

var errCancelled = errors.New("ended before the node was up")

func startNode(ctx context.Context, p place, log *slog.Logger) (*startedNode, error) {
	if p.several {
		log = log.With("node", p.config.NodeID)
	}
	h, _, err := machine.New(machine.Options{Dir: p.data, Log: log})
	if err != nil {
		return nil, err
	}
	if p.certificates != (machine.Certificates{}) {
		if p.config.PeerTransport, err = machine.PeerTransport(h, p.certificates); err != nil {
			return nil, err
		}
	}
	w, err := listenHTTP(p.http, p.httpAsked, log)
	if err != nil {
		return nil, err
	}
	w.serve(p.profiles)
	cancel := host.NewFuture[struct{}](h.Tasks)
	p.config.Cancel, p.config.Files = cancel, machine.FileLimit()/max(p.nodes, 1)
	defer context.AfterFunc(ctx, func() { cancel.Set(struct{}{}) })()
	b, err := node.Start(h, p.config)
	if err != nil {
		w.close()
		if ctx.Err() != nil {
			return nil, errCancelled
		}
		return nil, explainStart(err, p)
	}
	w.started(b)
	return &startedNode{place: p, id: b.NodeID(), broker: b, host: h, web: w}, nil
}

// stopNodes ends nodes: one hands over to the others of its cluster first, a whole cluster ends as it is.
func stopNodes(nodes []*startedNode) error {
	errs := make([]error, len(nodes))
	var wait sync.WaitGroup
	for i, n := range nodes {
		n.web.stop()
		wait.Go(func() {
			if len(nodes) > 1 {
				errs[i] = n.broker.Close()
			} else {
				errs[i] = n.broker.Stop()
			}
			n.web.close()
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (s *session) announce(n *startedNode) {
	data := fullPath(n.data)
	if s.json {
		s.printJSON(map[string]any{"node": n.id, "listen": n.broker.Addr(), "data": data, "http": n.web.addr()})
		return
	}
	who := "millrace:"
	if n.several || len(n.config.Peers) > 1 {
		who = fmt.Sprintf("millrace: node %d", n.id)
	}
	line := fmt.Sprintf("%s listening on %s, data in %s", who, n.broker.Addr(), data)
	if a := n.web.addr(); a != "" {
		line += fmt.Sprintf(", metrics at http://%s/metrics", a)
	}
	fmt.Fprintln(s.out, line)
}

// explainStart adds what to do to what went wrong.
func explainStart(err error, p place) error {
	f := &failure{exit: exitFailed, message: err.Error()}
	switch {
	case errors.Is(err, node.ErrConfig):
		f.exit, f.message = exitUsage, strings.TrimPrefix(err.Error(), node.ErrConfig.Error()+": ")
		f.hint = "see `millrace start --help`: --node-id, --peers, --listen, --advertise, --secret-file"
	case errors.Is(err, host.ErrLocked):
		f.hint = "another broker runs on " + p.data + "; stop it, or give this one its own directory with --data"
	case strings.Contains(err.Error(), "address already in use"):
		f.hint = "something listens on " + p.config.Listen + " already; choose another address with --listen"
		if len(p.config.Peers) > 1 {
			f.hint = "something listens on " + p.config.Listen + " or on the address for peers already; choose others with --listen and --peers"
		}
	}
	return f
}
