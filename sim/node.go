package sim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"millrace/node/host"
)

// Node is a machine: a disk and a clock that survive its processes, and at most one process.
type Node struct {
	world *World
	name  string
	key   uint64
	disk  *disk
	inc   *incarnation
	boots int
	off   bool           // without power
	said  map[string]int // log lines by their message

	paused  bool
	resumes int64 // when

	// WallOffset is added to the wall clock, Drift makes the monotonic clock run faster, in parts per million.
	// They may change between incarnations, WallOffset at any time.
	WallOffset time.Duration
	Drift      int64
}

// incarnation is the life of one process.
type incarnation struct {
	node    *Node
	number  int
	key     uint64
	dead    bool
	mayDie  bool // an injected error has made dying right
	booted  int64
	origin  int64 // what the monotonic clock shows at boot
	tasks   []*task
	started map[string]int
	sites   map[string]*Draws
	secure  drawsReader
	counts  [pointKinds]uint64
	crash   CrashPoint
	armed   bool
	files   int
	conns   []*conn
	pool    *host.Pool
	// connected counts the connections that it ever had.
	connected uint64

	spurious Draws
}

// AddNode adds a node, without power, with an empty disk. Its name is also its network name.
func (w *World) AddNode(name string) *Node {
	n := &Node{world: w, name: name, key: derive(w.key, name), off: true, said: make(map[string]int)}
	n.disk = newDisk(n)
	w.nodes = append(w.nodes, n)
	return n
}

// Name is the node's name.
func (n *Node) Name() string { return n.name }

// Running says whether a process lives.
func (n *Node) Running() bool { return n.inc != nil }

// Boots counts the processes that were started.
func (n *Node) Boots() int { return n.boots }

// Boot starts a process whose first task is main. The node must not be running.
func (n *Node) Boot(main func(h host.Host)) {
	if n.inc != nil {
		panic("sim: node boots twice")
	}
	n.boots++
	n.off, n.paused, n.resumes = false, false, 0
	w := n.world
	inc := &incarnation{node: n, number: n.boots, key: deriveNumber(n.key, uint64(n.boots)), booted: w.now,
		started: make(map[string]int), sites: make(map[string]*Draws)}
	inc.origin = inc.draws("clock").Between(0, int64(time.Hour))
	inc.secure = drawsReader{inc.draws("secure")}
	inc.spurious = Draws{key: derive(inc.key, "spurious")}
	n.inc = inc
	w.note("boot %s #%d", n.name, n.boots)
	h := inc.host()
	inc.pool = h.Buffers
	inc.start("main", func() { main(h) })
}

// Go starts one more task in the running process; nothing happens when there is none.
func (n *Node) Go(name string, run func()) {
	if n.inc != nil {
		n.inc.start(name, run)
	}
}

// Faulty says that the running process was given an I/O error after which it may die.
func (n *Node) Faulty() bool { return n.inc != nil && n.inc.mayDie }

// Damaged counts the blocks that were damaged on the node's disk and perhaps still are.
func (n *Node) Damaged() int { return n.disk.damaged }

// Files lists the paths of all files on the node's disk as it sees them, in order.
func (n *Node) Files() []string {
	return slices.DeleteFunc(sortedPaths(n.disk.live), func(p string) bool { return n.disk.live[p].dir })
}

// Contents is a copy of what a file of the node's disk holds, as it sees it; for checks.
func (n *Node) Contents(path string) []byte {
	f := n.disk.live[path]
	if f == nil || f.dir {
		return nil
	}
	b := make([]byte, f.size)
	f.read(b, 0)
	return b
}

// Created lists every file that was ever created on the node's disk, in order.
func (n *Node) Created() []string { return n.disk.created }

// Syncs is the number of SyncAll that succeeded on the node's disk.
func (n *Node) Syncs() int { return n.disk.syncs }

// host is the world as the incarnation sees it.
func (inc *incarnation) host() host.Host {
	t := tasks{inc}
	return host.Host{
		Clock:     clock{inc},
		Tasks:     t,
		Disk:      diskHandle{inc, inc.node.disk},
		Transport: transport{inc},
		Random:    random{inc},
		Secure:    inc.secure,
		Buffers:   host.NewPool(t, 4<<20, true),
		Log:       slog.New(logHandler{inc: inc}),
	}
}

// draws is the incarnation's stream for a site.
func (inc *incarnation) draws(site string) *Draws {
	d := inc.sites[site]
	if d == nil {
		d = &Draws{key: derive(inc.key, site)}
		inc.sites[site] = d
	}
	return d
}

// End is how a process ends.
type End int

// Kill ends the process and leaves the page cache; Power ends the machine. Stall ends nothing: the process is paused.
const (
	Kill End = iota
	Power
	Stall
)

var endNames = [...]string{"kill", "power", "stall"}

func (e End) String() string { return endNames[e] }

// MarshalText is the name of the end.
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the name of an end.
func (e *End) UnmarshalText(b []byte) error {
	i := slices.Index(endNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("there is no end %q", b)
	}
	*e = End(i)
	return nil
}

// Pause stops the node's tasks for a time, in which its clocks, its kernel and the world go on, as when a machine is
// suspended or a process gets SIGSTOP.
func (n *Node) Pause(d time.Duration) {
	w := n.world
	n.paused = true
	n.resumes = max(n.resumes, w.now+int64(d))
	w.note("pause %s for %v", n.name, d)
	w.fault("pause")
	w.After(d, func() {
		if n.paused && n.resumes <= w.now {
			n.paused = false
			w.note("resume %s", n.name)
		}
	})
}

// Paused says whether the node is paused.
func (n *Node) Paused() bool { return n.paused }

// Crash ends the node's process, if there is one. After Kill the operating system closes its connections; after Power
// there is silence, and what was not synced is lost in part.
func (n *Node) Crash(how End) {
	inc := n.inc
	if inc == nil {
		if how == Power && !n.off {
			n.off = true
			n.disk.crash(n.disk.draws("crash"))
		}
		return
	}
	w := n.world
	inc.dead = true
	n.inc = nil
	n.off = how == Power
	w.dying = append(w.dying, inc)
	w.note("end %s #%d: %v", n.name, inc.number, how)
	w.fault("crash/" + how.String())
	w.network.ended(inc, how)
	n.disk.ended(inc, how)
}

// Said counts the lines with a message that the node's processes have logged, from Info on.
func (n *Node) Said(message string) int { return n.said[message] }

// Leaks lists what the running process still holds; for the end of an orderly stop. Call it outside tasks, or from a
// task of another node.
func (n *Node) Leaks() []string {
	inc := n.inc
	if inc == nil {
		return nil
	}
	var leaks []string
	for _, t := range inc.tasks {
		leaks = append(leaks, "task "+t.name)
	}
	if inc.files > 0 {
		leaks = append(leaks, fmt.Sprintf("%d open files", inc.files))
	}
	for _, c := range inc.conns {
		if !c.closed {
			leaks = append(leaks, "connection "+c.local+"-"+c.remote)
		}
	}
	if out := inc.pool.Out(); out != 0 {
		leaks = append(leaks, fmt.Sprintf("%d bytes of buffers", out))
	}
	slices.Sort(leaks)
	return leaks
}

// clock is host.Clock of an incarnation.
type clock struct{ inc *incarnation }

// Now is the node's monotonic clock.
func (c clock) Now() host.Instant {
	c.inc.node.world.step()
	return c.inc.instant(c.inc.node.world.now)
}

// Wall is the node's wall clock.
func (c clock) Wall() time.Time {
	w := c.inc.node.world
	w.step()
	return w.wallBase.Add(time.Duration(w.now) + c.inc.node.WallOffset)
}

// Sleep parks the task.
func (c clock) Sleep(d time.Duration) {
	w := c.inc.node.world
	w.step()
	w.sleep(c.inc.worldTime(c.inc.instant(w.now).Add(d))-w.now, "sleeps")
}

// instant is what the node's clock shows at a time of the world.
func (inc *incarnation) instant(world int64) host.Instant {
	run := world - inc.booted
	return host.Instant(inc.origin + run + run/1_000_000*inc.node.Drift)
}

// worldTime is the first time of the world at which the node's clock shows t.
func (inc *incarnation) worldTime(t host.Instant) int64 {
	if t == host.Never {
		return 1<<63 - 1
	}
	run := int64(t) - inc.origin
	at := inc.booted + run - run/1_000_000*inc.node.Drift
	for inc.instant(at) < t {
		at += max(1, int64(t-inc.instant(at)))
	}
	return at
}

type random struct{ inc *incarnation }

// Uint64 is the next draw of a site.
func (r random) Uint64(site string) uint64 { return r.inc.draws(site).Uint64() }

// logHandler writes a node's log lines with the world's time.
type logHandler struct {
	inc   *incarnation
	attrs []slog.Attr
}

// Enabled says that lines from Info on are counted, and all are written where they go somewhere.
func (l logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return !l.inc.dead && (level >= slog.LevelInfo || l.inc.node.world.options.Log != nil)
}

func (l logHandler) Handle(_ context.Context, r slog.Record) error {
	w := l.inc.node.world
	if r.Level >= slog.LevelInfo {
		w.reached[r.Message]++
		l.inc.node.said[r.Message]++
	}
	if w.options.Log == nil {
		return nil
	}
	line := fmt.Sprintf("%12d %s#%d %s %s", w.now, l.inc.node.name, l.inc.number, r.Level, r.Message)
	for _, a := range l.attrs {
		line += " " + a.String()
	}
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	_, err := fmt.Fprintln(w.options.Log, line)
	return err
}

func (l logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{l.inc, append(slices.Clip(l.attrs), attrs...)}
}

func (l logHandler) WithGroup(string) slog.Handler { return l }
