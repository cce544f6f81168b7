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

func (e *timer) before(o *timer) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (h *timerHeap) push(e timer) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&s[up]) {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = e
}

func (h *timerHeap) pop() timer {
	s := *h
	top := s[0]
	last := len(s) - 1
	e := s[last]
	s[last] = timer{}
	s = s[:last]
	*h = s
	if last == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && s[child+1].before(&s[child]) {
			child++
		}
		if !s[child].before(&e) {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = e
	return top
}
