package ordered

// Key is what a map is ordered by.
type Key[K any] interface {
	comparable
	// Compare orders keys: negative when the receiver comes first, 0 when equal.
	Compare(K) int
	// Hash spreads keys evenly; it decides the shape of the tree, so it must never depend on the process.
	Hash() uint64
}

// Map is an immutable ordered map. The zero value is empty. It may be read by any number of tasks. Values are compared
// with ==; they are numbers, or pointers to what never changes.
type Map[K Key[K], V comparable] struct{ root *node[K, V] }

type node[K Key[K], V comparable] struct {
	key         K
	value       V
	priority    uint64
	count       int
	left, right *node[K, V]
}

func (n *node[K, V]) size() int {
	if n == nil {
		return 0
	}
	return n.count
}

// with returns a copy of n that has other children.
func (n *node[K, V]) with(left, right *node[K, V]) *node[K, V] {
	return &node[K, V]{
		key: n.key, value: n.value, priority: n.priority,
		count: 1 + left.size() + right.size(), left: left, right: right,
	}
}

// Len is the number of keys.
func (m Map[K, V]) Len() int { return m.root.size() }

// Get returns the value of a key.
func (m Map[K, V]) Get(key K) (value V, ok bool) {
	for n := m.root; n != nil; {
		switch c := key.Compare(n.key); {
		case c == 0:
			return n.value, true
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return value, false
}

// Set returns the map with the key's value replaced or added.
func (m Map[K, V]) Set(key K, value V) Map[K, V] {
	left, _, right := split(m.root, key)
	middle := &node[K, V]{key: key, value: value, priority: key.Hash(), count: 1}
	return Map[K, V]{merge(merge(left, middle), right)}
}

// Delete returns the map without the key.
func (m Map[K, V]) Delete(key K) Map[K, V] {
	if _, ok := m.Get(key); !ok {
		return m
	}
	left, _, right := split(m.root, key)
	return Map[K, V]{merge(left, right)}
}

// From calls yield for each key not less than start, in order, until yield returns false.
func (m Map[K, V]) From(start K, yield func(K, V) bool) { from(m.root, &start, yield) }

// All calls yield for each key in order until yield returns false. Its method value ranges: for k, v := range m.All.
func (m Map[K, V]) All(yield func(K, V) bool) { from(m.root, nil, yield) }

func from[K Key[K], V comparable](n *node[K, V], start *K, yield func(K, V) bool) bool {
	for n != nil {
		if start != nil && (*start).Compare(n.key) > 0 {
			n = n.right
			continue
		}
		if !from(n.left, start, yield) || !yield(n.key, n.value) {
			return false
		}
		n, start = n.right, nil
	}
	return true
}

// split divides a tree into the keys before key, the node of the key itself, and the keys after it.
func split[K Key[K], V comparable](n *node[K, V], key K) (left, middle, right *node[K, V]) {
	if n == nil {
		return nil, nil, nil
	}
	switch c := key.Compare(n.key); {
	case c == 0:
		return n.left, n, n.right
	case c < 0:
		left, middle, right = split(n.left, key)
		return left, middle, n.with(right, n.right)
	default:
		left, middle, right = split(n.right, key)
		return n.with(n.left, left), middle, right
	}
}

// merge joins two trees; every key of left is before every key of right.
func merge[K Key[K], V comparable](left, right *node[K, V]) *node[K, V] {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	case above(left, right):
		return left.with(left.left, merge(left.right, right))
	default:
		return right.with(merge(left, right.left), right.right)
	}
}

// above says whether a is to be an ancestor of b. Equal priorities fall back to the order of keys, so that the shape
// stays a function of the keys alone.
func above[K Key[K], V comparable](a, b *node[K, V]) bool {
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	return a.key.Compare(b.key) < 0
}

// Diff calls change, in order of keys, for each key whose presence or value differs between two versions: was or is is
// nil when the key is absent there. It costs about the number of changes times log n when one version was made from the
// other.
func Diff[K Key[K], V comparable](before, after Map[K, V], change func(key K, was, is *V)) {
	diff(before.root, after.root, change)
}

func diff[K Key[K], V comparable](a, b *node[K, V], change func(key K, was, is *V)) {
	switch {
	case a == b:
	case b == nil:
		diff(a.left, nil, change)
		change(a.key, &a.value, nil)
		diff(a.right, nil, change)
	case a == nil:
		diff(nil, b.left, change)
		change(b.key, nil, &b.value)
		diff(nil, b.right, change)
	case a.key == b.key:
		diff(a.left, b.left, change)
		report(a.key, a, b, change)
		diff(a.right, b.right, change)
	case above(a, b):
		left, middle, right := split(b, a.key)
		diff(a.left, left, change)
		report(a.key, a, middle, change)
		diff(a.right, right, change)
	default:
		left, middle, right := split(a, b.key)
		diff(left, b.left, change)
		report(b.key, middle, b, change)
		diff(right, b.right, change)
	}
}

func report[K Key[K], V comparable](key K, was, is *node[K, V], change func(key K, was, is *V)) {
	switch {
	case is == nil:
		change(key, &was.value, nil)
	case was == nil:
		change(key, nil, &is.value)
	case was.value != is.value:
		change(key, &was.value, &is.value)
	}
}
