package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"millrace/net/wire"
)

// makeTopic makes a topic and waits until the broker serves all of its partitions.
func (s *subject) makeTopic(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("a topic needs a name and a number of partitions")
	}
	partitions, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	q := wire.NewCreateTopicsRequest()
	t := wire.CreateTopicsRequestCreatableTopic{Name: args[0], NumPartitions: int32(partitions), ReplicationFactor: 1}
	for _, c := range args[2:] {
		name, value, _ := strings.Cut(c, "=")
		t.Configs = append(t.Configs, wire.CreateTopicsRequestCreatableTopicConfig{Name: name, Value: &value})
	}
	q.Topics = append(q.Topics, t)
	m, err := s.call(q, 7)
	if err != nil {
		return err
	}
	if a := m.(*wire.CreateTopicsResponse).Topics[0]; a.ErrorCode != wire.ErrNone {
		return fmt.Errorf("%v", a.ErrorCode)
	}
	s.vars["id"+letters(args[0])] = m.(*wire.CreateTopicsResponse).Topics[0].TopicId.String()
	s.names.learn("topic", m.(*wire.CreateTopicsResponse).Topics[0].TopicId.String(), args[0])
	return s.until(func() (bool, error) { return s.topicReady(args[0], partitions) })
}

// letters is a name as a variable's may be: letters and digits.
func letters(name string) string {
	return strings.NewReplacer("-", "", ".", "", "_", "").Replace(name)
}

func (s *subject) topicReady(name string, partitions int) (bool, error) {
	q := wire.NewMetadataRequest()
	q.Topics = []wire.MetadataRequestTopic{{Name: &name}}
	q.AllowAutoTopicCreation = false
	m, err := s.call(q, 12)
	if err != nil {
		return false, err
	}
	for _, t := range m.(*wire.MetadataResponse).Topics {
		if t.ErrorCode != wire.ErrNone || len(t.Partitions) != partitions {
			return false, nil
		}
		for _, p := range t.Partitions {
			if p.ErrorCode != wire.ErrNone || p.LeaderId < 0 {
				return false, nil
			}
		}
	}
	return true, nil
}

// awaitGroup waits until groups of these names have a coordinator that has read what it knows of them.
func (s *subject) awaitGroup(ids []string) error {
	for _, id := range ids {
		err := s.until(func() (bool, error) {
			q := wire.NewFindCoordinatorRequest()
			q.CoordinatorKeys = []string{id}
			m, err := s.call(q, 4)
			if err != nil || m.(*wire.FindCoordinatorResponse).Coordinators[0].ErrorCode != wire.ErrNone {
				return false, err
			}
			f := wire.NewOffsetFetchRequest()
			g := wire.NewOffsetFetchRequestGroup()
			g.GroupId = id
			f.Groups = append(f.Groups, g)
			if m, err = s.call(f, 9); err != nil {
				return false, err
			}
			return m.(*wire.OffsetFetchResponse).Groups[0].ErrorCode == wire.ErrNone, nil
		})
		if err != nil {
			return fmt.Errorf("group %s: %w", id, err)
		}
	}
	return nil
}

// awaitProducerIDs waits until the broker has producer ids to give: Kafka answers the first who ask that it has none yet.
func (s *subject) awaitProducerIDs() error {
	return s.until(func() (bool, error) {
		m, err := s.call(wire.NewInitProducerIdRequest(), 4)
		if err != nil {
			return false, err
		}
		return m.(*wire.InitProducerIdResponse).ErrorCode == wire.ErrNone, nil
	})
}

// until tries again until it is so.
func (s *subject) until(so func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := so()
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not so after %v", patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
