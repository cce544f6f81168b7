package host

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	smallestClass = 12 // 4 KiB
	largestClass  = 26 // 64 MiB: a request with a batch for each of many partitions is as large as all of them
)

// Pool hands out aligned memory and takes it back. It keeps up to a bound of free bytes; what is above it is left to the
// garbage collector. A pool may be used from any task.
type Pool struct {
	tasks  Tasks
	mu     sync.Mutex
	free   [largestClass + 1][][]byte
	kept   int64
	bound  int64
	poison bool
	out    atomic.Int64
	handed atomic.Int64
}

// NewPool returns a pool that keeps at most bound free bytes. poison overwrites what is given back, so that a use after
// the last Release shows; for tests and the simulator.
func NewPool(tasks Tasks, bound int64, poison bool) *Pool {
	return &Pool{tasks: tasks, bound: bound, poison: poison}
}

// Buffer is counted memory, aligned to Align. It starts with one hold. After the last Release nobody may touch it.
type Buffer struct {
	pool  *Pool
	mem   []byte
	class int
	count atomic.Int32
	data  []byte
}

// Get returns a buffer whose Bytes are n long with undefined contents.
func (p *Pool) Get(n int) *Buffer {
	p.tasks.Yield()
	class := max(smallestClass, bits.Len(uint(max(n, 1)-1)))
	b := &Buffer{pool: p, class: class}
	if class <= largestClass {
		p.mu.Lock()
		if l := len(p.free[class]); l > 0 {
			b.mem = p.free[class][l-1]
			p.free[class][l-1] = nil
			p.free[class] = p.free[class][:l-1]
			p.kept -= int64(len(b.mem))
		}
		p.mu.Unlock()
	}
	if b.mem == nil {
		size := 1 << class
		if class > largestClass { // too large to keep: no more than asked for
			size = (n + Align - 1) &^ (Align - 1)
		}
		b.mem = aligned(size)
	}
	b.data = b.mem[:n]
	b.count.Store(1)
	p.out.Add(int64(len(b.mem)))
	p.handed.Add(1)
	return b
}

// Out is the number of bytes handed out and not yet given back.
func (p *Pool) Out() int64 { return p.out.Load() }

// Kept is the number of free bytes that the pool keeps.
func (p *Pool) Kept() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept
}

// Handed is the number of buffers ever handed out.
func (p *Pool) Handed() int64 { return p.handed.Load() }

// Trim leaves all free memory to the garbage collector.
func (p *Pool) Trim() {
	p.mu.Lock()
	for i := range p.free {
		p.free[i] = nil
	}
	p.kept = 0
	p.mu.Unlock()
}

// Bytes is the buffer's memory, as long as was asked for.
func (b *Buffer) Bytes() []byte { return b.data }

// Cap is the number of bytes that Resize may use, at least what was asked for.
func (b *Buffer) Cap() int { return len(b.mem) }

// Resize changes the length of Bytes, up to Cap, keeping the contents. Only while there is one holder.
func (b *Buffer) Resize(n int) { b.data = b.mem[:n] }

// Retain holds the buffer once more. The caller must hold it already.
func (b *Buffer) Retain() *Buffer {
	if b.count.Add(1) < 2 {
		panic("host: Buffer retained after its last release")
	}
	return b
}

// Release gives up one hold; the last one gives the memory back.
func (b *Buffer) Release() {
	b.pool.tasks.Yield()
	n := b.count.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		panic("host: Buffer released more often than held")
	}
	p, mem, used := b.pool, b.mem, b.data
	b.mem, b.data = nil, nil
	p.out.Add(-int64(len(mem)))
	if p.poison && len(used) > 0 {
		used[0] = 0xdb
		for n := 1; n < len(used); n *= 2 {
			copy(used[n:], used[:n])
		}
	}
	if b.class > largestClass {
		return
	}
	p.mu.Lock()
	if p.kept+int64(len(mem)) <= p.bound {
		p.free[b.class] = append(p.free[b.class], mem)
		p.kept += int64(len(mem))
	}
	p.mu.Unlock()
}

func aligned(n int) []byte {
	if b := make([]byte, n); uintptr(unsafe.Pointer(unsafe.SliceData(b)))&(Align-1) == 0 {
		return b // as with every class of sizes that the allocator has from Align on
	}
	b := make([]byte, n+Align)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (Align - 1))
	return b[skip : skip+n : skip+n]
}
