package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// benchGroup is a group of members that do nothing but be members: one connection each, and no more bytes and tasks than
// that takes, so that thousands of them leave the machine to the broker.
type benchGroup struct {
	broker, name, topic, protocol string
	topicID                       kadm.TopicID
	partitions                    int
	heartbeat                     time.Duration

	mu      sync.Mutex
	changed *sync.Cond
	members []*benchMember
	failed  error
	began   time.Time // of the last change that was asked for
	running sync.WaitGroup
}

// benchMember is one of them. Its group's lock guards it.
type benchMember struct {
	group *benchGroup
	conn  net.Conn
	in    *bufio.Reader
	id    string
	epoch int32 // generation or member epoch
	owned []int32
	// settled says that it has what it shall have, as far as it knows.
	settled, leaving, gone bool
	correlation            int32
	out                    []byte
}

func newBenchGroup(broker, name string, id kadm.TopicID, topic, protocol string, partitions int, heartbeat time.Duration) *benchGroup {
	g := &benchGroup{broker: broker, name: name, topic: topic, topicID: id, protocol: protocol, partitions: partitions, heartbeat: heartbeat}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// start lets one more member join.
func (g *benchGroup) start() *benchMember {
	m := &benchMember{group: g}
	g.mu.Lock()
	g.began = time.Now()
	g.members = append(g.members, m)
	g.mu.Unlock()
	g.running.Go(func() {
		if err := m.run(); err != nil {
			g.mu.Lock()
			if g.failed == nil && !m.leaving {
				g.failed = err
			}
			g.changed.Broadcast()
			g.mu.Unlock()
		}
	})
	return m
}

// leave lets a member leave with its next heartbeat, which is at once.
func (g *benchGroup) leave(m *benchMember) {
	g.mu.Lock()
	g.began = time.Now()
	m.leaving = true
	m.conn.SetReadDeadline(time.Now()) //nolint:errcheck // it waits for the time of its next heartbeat
	g.mu.Unlock()
}

// stop closes all connections.
func (g *benchGroup) stop() {
	g.mu.Lock()
	for _, m := range g.members {
		m.leaving = true
		if m.conn != nil {
			m.conn.Close()
		}
	}
	g.mu.Unlock()
	g.running.Wait()
}

// await waits until so many members share all partitions evenly, each one once, in one generation or epoch. It returns how long
// that took since the last change.
func (g *benchGroup) await(ctx context.Context, members, partitions int, timeout time.Duration) (time.Duration, error) {
	defer time.AfterFunc(timeout, g.changed.Broadcast).Stop()
	defer context.AfterFunc(ctx, g.changed.Broadcast)()
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		why := g.unsettled(members, partitions)
		took := time.Since(g.began)
		switch {
		case g.failed != nil:
			return 0, g.failed
		case why == "":
			return took, nil
		case ctx.Err() != nil || took >= timeout:
			return 0, fmt.Errorf("not settled after %.1f s: %s", took.Seconds(), why)
		}
		g.changed.Wait()
	}
}

// unsettled says what is missing, "" when nothing is.
func (g *benchGroup) unsettled(members, partitions int) string {
	there := 0
	owners := make([]int, partitions)
	epoch := int32(-1)
	for _, m := range g.members {
		if m.gone {
			continue
		}
		there++
		if !m.settled || m.leaving {
			return "a member has not settled"
		}
		if epoch >= 0 && m.epoch != epoch {
			return "members are in different epochs"
		}
		epoch = m.epoch
		if len(m.owned) < partitions/members || len(m.owned) > (partitions+members-1)/members {
			return "a member has not its share"
		}
		for _, p := range m.owned {
			owners[p]++
		}
	}
	if there != members {
		return fmt.Sprintf("%d members", there)
	}
	for p, n := range owners {
		if n != 1 {
			return fmt.Sprintf("partition %d belongs to %d members", p, n)
		}
	}
	return ""
}

// is notes what a member has.
func (m *benchMember) is(settled bool, epoch int32, owned []int32) {
	m.group.mu.Lock()
	m.settled, m.epoch, m.owned = settled, epoch, owned
	m.group.changed.Broadcast()
	m.group.mu.Unlock()
}

func (m *benchMember) leaves() bool {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	return m.leaving
}

func (m *benchMember) run() error {
	conn, err := net.DialTimeout("tcp", m.group.broker, settleTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	m.group.mu.Lock()
	m.conn, m.in = conn, bufio.NewReaderSize(conn, 512)
	m.group.mu.Unlock()
	if m.group.protocol == "consumer" {
		err = m.runConsumer()
	} else {
		err = m.runClassic()
	}
	m.group.mu.Lock()
	m.gone = true
	m.group.changed.Broadcast()
	m.group.mu.Unlock()
	return err
}

// pause waits until the next heartbeat is due, or the member is to leave.
func (m *benchMember) pause(d time.Duration) {
	m.group.mu.Lock()
	if !m.leaving {
		m.conn.SetReadDeadline(time.Now().Add(d)) //nolint:errcheck // the read tells
	}
	m.group.mu.Unlock()
	m.in.Peek(1)                        //nolint:errcheck // it is the deadline that is waited for
	m.conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read tells
}

// ask sends a request and reads its answer.
func (m *benchMember) ask(q kmsg.Request, version int16) (kmsg.Response, error) {
	q.SetVersion(version)
	m.correlation++
	m.out = kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(m.out[:0], q, m.correlation)
	if _, err := m.conn.Write(m.out); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(m.in, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(m.in, frame); err != nil {
		return nil, err
	}
	a := q.ResponseKind()
	body := frame[4:]
	if a.IsFlexible() {
		body = body[1:] // no tagged fields in the header
	}
	return a, a.ReadFrom(body)
}

// runClassic is a member of the classic protocol, which assigns partitions evenly when it leads.
func (m *benchMember) runClassic() error {
	for !m.leaves() {
		if err := m.generation(); err != nil {
			return err
		}
	}
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = m.group.name
	q.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id}}
	_, err := m.ask(q, 4)
	return err
}

// generation takes part in one: it joins, learns what to read, and sends heartbeats until the next.
func (m *benchMember) generation() error {
	joined, err := m.join()
	if err != nil || joined == nil {
		return err
	}
	q := kmsg.NewPtrSyncGroupRequest()
	q.Group, q.Generation, q.MemberID, q.ProtocolType, q.Protocol = m.group.name, joined.Generation, m.id, joined.ProtocolType, joined.Protocol
	if joined.LeaderID == m.id {
		if q.GroupAssignment, err = m.assign(joined); err != nil {
			return err
		}
	}
	answer, err := m.ask(q, 5)
	if err != nil {
		return err
	}
	synced := answer.(*kmsg.SyncGroupResponse)
	if synced.ErrorCode == kerr.RebalanceInProgress.Code {
		return nil
	}
	if err := kerr.ErrorForCode(synced.ErrorCode); err != nil {
		return fmt.Errorf("synchronize: %w", err)
	}
	var assigned kmsg.ConsumerMemberAssignment
	if err := assigned.ReadFrom(synced.MemberAssignment); err != nil {
		return err
	}
	var owned []int32
	for _, t := range assigned.Topics {
		owned = append(owned, t.Partitions...)
	}
	m.is(true, joined.Generation, owned)
	return m.beat(joined.Generation, owned)
}

// join returns nil when it has to be done again.
func (m *benchMember) join() (*kmsg.JoinGroupResponse, error) {
	subscription := kmsg.NewConsumerMemberMetadata()
	subscription.Topics = []string{m.group.topic}
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.MemberID, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = m.group.name, m.id, "consumer", 45_000, 60_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "even", subscription.AppendTo(nil)
	q.Protocols = append(q.Protocols, p)
	answer, err := m.ask(q, 9)
	if err != nil {
		return nil, err
	}
	joined := answer.(*kmsg.JoinGroupResponse)
	switch joined.ErrorCode {
	case kerr.MemberIDRequired.Code:
		m.id = joined.MemberID
		return nil, nil
	case kerr.RebalanceInProgress.Code:
		return nil, nil
	}
	if err := kerr.ErrorForCode(joined.ErrorCode); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	m.id = joined.MemberID
	return joined, nil
}

// assign gives the partitions to the members in turn.
func (m *benchMember) assign(joined *kmsg.JoinGroupResponse) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	if len(joined.Members) == 0 {
		return nil, errors.New("the leader is not told who the members are")
	}
	ids := make([]string, len(joined.Members))
	for i := range joined.Members {
		ids[i] = joined.Members[i].MemberID
	}
	slices.Sort(ids)
	all := make([]kmsg.SyncGroupRequestGroupAssignment, len(ids))
	for i, id := range ids {
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic = m.group.topic
		for p := i; p < m.group.partitions; p += len(ids) {
			t.Partitions = append(t.Partitions, int32(p))
		}
		a := kmsg.NewConsumerMemberAssignment()
		a.Topics = append(a.Topics, t)
		all[i] = kmsg.NewSyncGroupRequestGroupAssignment()
		all[i].MemberID, all[i].MemberAssignment = id, a.AppendTo(nil)
	}
	return all, nil
}

// beat sends heartbeats until the group rebalances or the member leaves.
func (m *benchMember) beat(generation int32, owned []int32) error {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group, q.Generation, q.MemberID = m.group.name, generation, m.id
	// Members that were told at one moment do not go on in step.
	m.pause(time.Duration(rand.Int64N(int64(m.group.heartbeat))))
	for !m.leaves() {
		answer, err := m.ask(q, 4)
		if err != nil {
			return err
		}
		if code := answer.(*kmsg.HeartbeatResponse).ErrorCode; code == kerr.RebalanceInProgress.Code {
			m.is(false, generation, owned)
			return nil
		} else if err := kerr.ErrorForCode(code); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		m.pause(m.group.heartbeat)
	}
	return nil
}

// runConsumer is a member of the consumer protocol, which gives back at once what it is to give back.
func (m *benchMember) runConsumer() error {
	id := kadm.TopicID{}
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	m.id = fmt.Sprintf("%x", id[:])
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.RebalanceTimeoutMillis = m.group.name, m.id, 60_000
	q.SubscribedTopicNames, q.Topics = []string{m.group.topic}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	var owned []int32
	for !m.leaves() {
		answer, err := m.ask(q, 1)
		if err != nil {
			return err
		}
		a := answer.(*kmsg.ConsumerGroupHeartbeatResponse)
		if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
			return fmt.Errorf("heartbeat of a consumer: %w", err)
		}
		q = kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis = m.group.name, m.id, a.MemberEpoch, -1
		if a.Assignment == nil {
			m.is(true, a.MemberEpoch, owned)
			m.pause(m.group.heartbeat)
			continue
		}
		owned = nil
		for _, t := range a.Assignment.Topics {
			owned = append(owned, t.Partitions...)
		}
		m.is(true, a.MemberEpoch, owned)
		// What it has now it says at once.
		q.RebalanceTimeoutMillis, q.SubscribedTopicNames = 60_000, nil
		t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		t.TopicID, t.Partitions = m.group.topicID, owned
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		if len(owned) > 0 {
			q.Topics = append(q.Topics, t)
		}
	}
	q = kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.MemberEpoch = m.group.name, m.id, -1
	_, err := m.ask(q, 1)
	return err
}
