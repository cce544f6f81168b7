package sim

// timer is something that happens at a time: a function, or a look at a waiter whose wait may have come to its deadline.
type timer struct {
	at     int64
	seq    uint64
	run    func()
	conn   *conn // for which run is on its way over a link
	waiter *waiter
}

// never is the deadline of a wait that has none.
const never = 1<<63 - 1

// timers is a heap by time, then by the order of setting.
type timers struct {
	heap timerHeap
	seq  uint64
}

func (h *timers) len() int { return len(h.heap) }

// next is when the first timer is due; there must be one.
func (h *timers) next() int64 { return h.heap[0].at }

func (h *timers) push(e timer) {
	h.seq++
	e.seq = h.seq
	h.heap.push(e)
}

func (h *timers) pop() timer { return h.heap.pop() }

// wait has the waiter's wait end at its deadline. A waiter that waits again and again has one timer, not one for each wait:
// the one that it has, if that is not too late, is set anew when it comes.
func (h *timers) wait(x *waiter) {
	if x.deadline != never && (x.timer == 0 || x.deadline < x.timer) {
		x.timer = x.deadline
		h.push(timer{at: x.deadline, waiter: x})
	}
}

// due says whether a timer that was popped means something at its time.
func (h *timers) due(e timer) bool {
	if e.run != nil {
		return true
	}
	x := e.waiter
	if e.at != x.timer {
		return false // an earlier one took its place
	}
	x.timer = 0
	if x.parked == nil || x.inc.dead {
		return false
	}
	if x.deadline > e.at {
		h.wait(x)
		return false
	}
	return true
}

type timerHeap []timer

func (h timerHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h *timerHeap) push(e timer) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *timerHeap) pop() timer {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = timer{}
	s = s[:last]
	*h = s
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && s.less(child+1, child) {
			child++
		}
		if !s.less(child, i) {
			break
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
	return top
}
