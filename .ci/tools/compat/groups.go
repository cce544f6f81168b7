package compat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Member is what a member of a group knows, told by the client that it stands for.
type Member struct {
	Name string
	// End leaves the group, after everything that was seen is committed. The client sets it.
	End func() error

	mu    sync.Mutex
	owned map[int32]bool
	lost  map[int32]bool
	seen  []string
	last  map[int32]int64
	wrong error
}

// Gained says which partitions the member now owns in addition.
func (m *Member) Gained(ps ...int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		m.owned[p] = true
		delete(m.lost, p)
	}
}

// Lost says which partitions the member owns no more.
func (m *Member) Lost(ps ...int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range ps {
		delete(m.owned, p)
		m.lost[p] = true
		delete(m.last, p)
	}
}

// Saw says that the member read a record.
func (m *Member) Saw(partition int32, offset int64, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, note(partition, offset, value))
	switch last, ok := m.last[partition]; {
	case !m.owned[partition]:
		m.fail(fmt.Errorf("%s read of partition %d and owns %v", m.Name, partition, m.owned))
	case ok && last >= offset:
		m.fail(fmt.Errorf("%s read offset %d of partition %d after %d", m.Name, offset, partition, last))
	}
	m.last[partition] = offset
}

// Failed says that the member can do no more.
func (m *Member) Failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail(fmt.Errorf("%s: %w", m.Name, err))
}

func (m *Member) fail(err error) {
	if m.wrong == nil {
		m.wrong = err
	}
}

func note(partition int32, offset int64, value []byte) string {
	return fmt.Sprintf("%d/%d/%s", partition, offset, value)
}

func (m *Member) now() (owned, lost []int32, seen []string, wrong error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.owned)), slices.Sorted(maps.Keys(m.lost)), slices.Clone(m.seen), m.wrong
}

// forget forgets what was seen and lost.
func (m *Member) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = nil
	clear(m.lost)
}

// groupPartitions is how many partitions the topics of groups have.
const groupPartitions = 6

// settle waits until the members own all partitions, evenly, none twice.
func settle(members ...*Member) error {
	err := Until("settled", func() (bool, error) {
		var all []int32
		least, most := groupPartitions, 0
		for _, m := range members {
			owned, _, _, wrong := m.now()
			if wrong != nil {
				return false, wrong
			}
			all = append(all, owned...)
			least, most = min(least, len(owned)), max(most, len(owned))
		}
		slices.Sort(all)
		return slices.Equal(all, []int32{0, 1, 2, 3, 4, 5}) && most-least <= 1, nil
	})
	if err != nil {
		var show []string
		for _, m := range members {
			owned, _, _, _ := m.now()
			show = append(show, fmt.Sprint(m.Name, owned))
		}
		return fmt.Errorf("%w: %s", err, strings.Join(show, " "))
	}
	return nil
}

// fed writes 5 records to each partition, and waits until the members have read them, each once.
func (s *Setting) fed(topic, mark string, members ...*Member) error {
	want, err := s.feed(topic, mark)
	if err != nil {
		return err
	}
	return read(want, members...)
}

func (s *Setting) feed(topic, mark string) ([]string, error) {
	var all []Record
	for i := range 5 * groupPartitions {
		all = append(all, Record{Topic: topic, Partition: int32(i % groupPartitions), Value: fmt.Appendf(nil, "%s%d", mark, i), Millis: time.Now().UnixMilli()})
	}
	if err := s.suite.Produce(Options{}, all); err != nil {
		return nil, err
	}
	var want []string
	for _, r := range all {
		want = append(want, note(r.Partition, r.Offset, r.Value))
	}
	slices.Sort(want)
	return want, nil
}

func read(want []string, members ...*Member) error {
	err := Until(fmt.Sprintf("the members read %d records", len(want)), func() (bool, error) {
		n := 0
		for _, m := range members {
			_, _, seen, wrong := m.now()
			if wrong != nil {
				return false, wrong
			}
			n += len(seen)
		}
		return n >= len(want), nil
	})
	if err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // for what comes twice
	var got []string
	for _, m := range members {
		_, _, seen, _ := m.now()
		got = append(got, seen...)
		m.forget()
	}
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("the members read %d records, not just the %d that were written: %.300s", len(got), len(want), fmt.Sprint(got))
	}
	return nil
}

func (s *Setting) join(j Join) (*Member, error) {
	m := &Member{Name: j.Name, owned: map[int32]bool{}, lost: map[int32]bool{}, last: map[int32]int64{}}
	return m, s.suite.Join(j, m)
}

func (s *Setting) comeAndGo(strategy string) (string, error) {
	topic, err := s.Topic(strategy, groupPartitions, nil)
	if err != nil {
		return "", err
	}
	j := Join{Name: "a", Group: topic + "-group", Topic: topic, Strategy: strategy}
	a, err := s.join(j)
	if err != nil {
		return "", err
	}
	if err := errors.Join(settle(a), s.fed(topic, "alone", a)); err != nil {
		return "", err
	}
	j.Name = "b"
	b, err := s.join(j)
	if err != nil {
		return "", err
	}
	if err := settle(a, b); err != nil {
		return "", err
	}
	_, lost, _, _ := a.now()
	if owned, _, _, _ := b.now(); strategy != "range" && !slices.Equal(owned, lost) {
		return "", fmt.Errorf("the first member had to give up %v, the second one got %v", lost, owned)
	}
	if err := s.fed(topic, "both", a, b); err != nil {
		return "", err
	}
	if err := errors.Join(a.End(), settle(b), s.fed(topic, "left", b), b.End()); err != nil {
		return "", err
	}
	if _, lost, _, _ := b.now(); strategy != "range" && len(lost) != 0 && len(lost) != groupPartitions {
		return "", fmt.Errorf("who stayed had to give up %v", lost)
	}
	for p := range groupPartitions {
		c, err := s.suite.Committed(j.Group, topic, int32(p))
		if err := errors.Join(err, Same(15, c.Offset, fmt.Sprintf("the committed offset of partition %d", p))); err != nil {
			return "", err
		}
	}
	return "6 partitions: 6, then 3 and 3, then 6; each record once, by its owner; 15 committed", nil
}

// static: a static member that comes back has its partitions again, and nobody else loses any.
func (s *Setting) static() (string, error) {
	topic, err := s.Topic("static", groupPartitions, nil)
	if err != nil {
		return "", err
	}
	j := Join{Group: topic + "-group", Topic: topic, Strategy: "range"}
	j.Name, j.Instance = "a", "one"
	a, err := s.join(j)
	if err != nil {
		return "", err
	}
	j.Name, j.Instance = "b", "two"
	b, err := s.join(j)
	if err != nil {
		return "", err
	}
	if err := errors.Join(settle(a, b), s.fed(topic, "first", a, b)); err != nil {
		return "", err
	}
	before, _, _, _ := a.now()
	if err := a.End(); err != nil {
		return "", err
	}
	away, err := s.feed(topic, "away")
	if err != nil {
		return "", err
	}
	j.Name, j.Instance = "a", "one"
	again, err := s.join(j)
	if err != nil {
		return "", err
	}
	if err := settle(again, b); err != nil {
		return "", err
	}
	after, _, _, _ := again.now()
	if _, lost, _, _ := b.now(); !slices.Equal(before, after) || len(lost) > 0 {
		return "", fmt.Errorf("the static member had %v and got %v; the other one lost %v", before, after, lost)
	}
	return "back with the same partitions, the other undisturbed", errors.Join(read(away, again, b), again.End(), b.End())
}
