package sim

// timer is something that happens at a time: a function, or the deadline of a wait.
type timer struct {
	at     int64
	seq    uint64
	run    func()
	waiter *waiter
	wait   uint64 // which of the waiter's waits
}

// stale says that the wait has ended already.
func (e timer) stale() bool {
	return e.run == nil && (e.waiter.parked == nil || e.waiter.waits != e.wait || e.waiter.inc.dead)
}

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
