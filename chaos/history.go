package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	lin "millrace/linearizability"
)

// history collects what the clients do and see. Times are nanoseconds since the run began.
type history struct {
	began time.Time

	mu         sync.Mutex
	ops        []lin.Operation
	clients    int
	complaints []complaint
	counts     map[string]int
}

func newHistory() *history {
	return &history{began: time.Now(), counts: map[string]int{}}
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// client gives a number to a producer or to a session of a consumer.
func (h *history) client() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients++
	return h.clients
}

func (h *history) add(op lin.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// count adds to one of the numbers of the summary.
func (h *history) count(what string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[what] += n
}

// complaint is something that should not have happened, with when it was seen first.
type complaint struct {
	what  string
	at    time.Duration
	times int
}

func (c complaint) String() string {
	s := fmt.Sprintf("at %.3f s: %s", c.at.Seconds(), c.what)
	if c.times > 1 {
		s += fmt.Sprintf(" (and %d times more)", c.times-1)
	}
	return s
}

// complain notes what should not have happened.
func (h *history) complain(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.complaints {
		if h.complaints[i].what == what {
			h.complaints[i].times++
			return
		}
	}
	h.complaints = append(h.complaints, complaint{what, time.Since(h.began), 1})
}

// operations returns the history with the operations of each client in the order in which it began them.
func (h *history) operations() []lin.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.Clone(h.ops)
	slices.SortStableFunc(list, func(a, b lin.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return list
}

func logName(topic string, partition int32) string { return fmt.Sprintf("%s-%d", topic, partition) }

// gaps measures the longest time without an acknowledgement, over everything and for each log.
type gaps struct {
	mu      sync.Mutex
	last    map[string]int64
	longest map[string]gap
}

type gap struct{ from, to int64 }

func (g gap) length() time.Duration { return time.Duration(g.to - g.from) }

func newGaps() *gaps { return &gaps{last: map[string]int64{}, longest: map[string]gap{}} }

const anyLog = ""

func (g *gaps) ack(log string, now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range []string{anyLog, log} {
		if last, ok := g.last[l]; ok && now-last > int64(g.longest[l].length()) {
			g.longest[l] = gap{last, now}
		}
		g.last[l] = now
	}
}

// worst returns the longest gap of any one log.
func (g *gaps) worst() (log string, longest gap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l, x := range g.longest {
		if l != anyLog && (x.length() > longest.length() || x.length() == longest.length() && l < log) {
			log, longest = l, x
		}
	}
	return log, longest
}
