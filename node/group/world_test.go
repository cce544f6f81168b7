package group

import (
	"fmt"
	"strings"
	"time"

	"millrace/net/wire"
	"millrace/node/host"
)

// world is a coordinator with a log beside it: what a partition and its task are in the broker.
type world struct {
	c      *Coordinator
	config Config
	random *counting
	now    host.Instant
	log    []Record
	open   []Append // handed out, without a fate
	hold   bool     // appends stay open until told otherwise
	tag    uint64
	asked  map[uint64]Request // without an answer
	// cluster is what a coordinator is told after a crash; nil: nothing.
	cluster Cluster
	// seen is called with each reply, in order.
	seen func(tag uint64, r Request, answer Response)
}

// counting gives other numbers each time, and the same in each run.
type counting struct{ n uint64 }

func (r *counting) Uint64(string) uint64 {
	r.n++
	return r.n * 0x9e3779b97f4a7c15
}

func newWorld(config Config) *world {
	w := &world{config: config, random: &counting{}, asked: map[uint64]Request{}}
	w.c = New(config, w.random)
	return w
}

// start is the wall time at instant 0.
const start = 1_700_000_000_000

func (w *world) time() Now {
	return Now{Instant: w.now, WallMillis: start + int64(w.now)/int64(time.Millisecond)}
}

func (w *world) ask(r Request) uint64 {
	w.tag++
	w.asked[w.tag] = r
	tag := w.tag
	w.handle(w.c.Step(w.time(), Input{Tag: tag, Request: r}))
	return tag
}

func (w *world) handle(out Output) {
	w.open = append(w.open, out.Appends...)
	for _, r := range out.Replies {
		request, ok := w.asked[r.Tag]
		if !ok {
			panic(fmt.Sprintf("request %d is answered twice or was never made", r.Tag))
		}
		delete(w.asked, r.Tag)
		if w.seen != nil {
			w.seen(r.Tag, request, r.Response)
		}
	}
	if !w.hold {
		w.commitAll()
	}
}

func (w *world) commitAll() {
	for len(w.open) > 0 {
		w.commitOne()
	}
}

func (w *world) commitOne() {
	a := w.open[0]
	w.open = w.open[1:]
	base := int64(len(w.log))
	w.log = append(w.log, a.Records...)
	w.handle(w.c.Committed(w.time(), a.Token, base))
}

func (w *world) failOne(code wire.ErrorCode) {
	a := w.open[0]
	w.open = w.open[1:]
	w.handle(w.c.Failed(w.time(), a.Token, code))
}

// advance lets time pass and fires the timers at their deadlines.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for w.c.Deadline() <= end {
		w.now = max(w.now, w.c.Deadline())
		w.handle(w.c.Expire(w.time()))
	}
	w.now = end
}

// restart begins again from the log, as after a crash: what was open is lost, and nobody is answered.
func (w *world) restart() error {
	w.open, w.asked = nil, map[uint64]Request{}
	c, err := replay(w.config, w.random, w.log)
	if err != nil {
		return err
	}
	w.c = c
	if w.cluster != nil {
		w.c.SetCluster(w.cluster, true)
	}
	w.handle(w.c.Elect(w.time()))
	return nil
}

func replay(config Config, random host.Random, log []Record) (*Coordinator, error) {
	c := New(config, random)
	for i, r := range log {
		if err := c.Apply(int64(i), NoProducer, r); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// printImage writes an image down, for comparison.
func printImage(im *image) string {
	var b strings.Builder
	for _, id := range im.groupIDs() {
		fmt.Fprintf(&b, "group %q %x\n", id, im.groups[id])
		if g := im.consumers[id]; g != nil {
			b.WriteString(printConsumer(g))
		}
		for _, k := range im.offsets.keys(id) {
			v, _ := im.offsets.get(k)
			fmt.Fprintf(&b, "  %+v %+v\n", k, v)
		}
		for _, k := range im.pendingKeys(id) {
			fmt.Fprintf(&b, "  pending %+v\n", k)
		}
	}
	return b.String()
}
