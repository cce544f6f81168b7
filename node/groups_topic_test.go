package node

import (
	"fmt"
	"testing"
	"time"

	"millrace/net/wire"
	"millrace/node/group"
	"millrace/node/host"
)

// findGroup asks for a group's coordinator.
func findGroup(r *rawConn, group string) wire.ErrorCode {
	r.t.Helper()
	q := wire.NewFindCoordinatorRequest()
	q.CoordinatorKeys = []string{group}
	return ask[*wire.FindCoordinatorResponse](r, q, 4).Coordinators[0].ErrorCode
}

// commitOffset commits an offset of partition 0 as who is no member.
func commitOffset(r *rawConn, group, topic string, offset int64) wire.ErrorCode {
	r.t.Helper()
	q := wire.NewOffsetCommitRequest()
	q.GroupId, q.GenerationIdOrMemberEpoch = group, -1
	p := wire.NewOffsetCommitRequestPartition()
	p.CommittedOffset = offset
	q.Topics = []wire.OffsetCommitRequestTopic{{Name: topic, Partitions: []wire.OffsetCommitRequestPartition{p}}}
	return ask[*wire.OffsetCommitResponse](r, q, 8).Topics[0].Partitions[0].ErrorCode
}

// TestGroupsOutliveTheirTopic deletes the topic of committed offsets: what was committed is gone, and groups work again
// with the next topic, without a restart.
func TestGroupsOutliveTheirTopic(t *testing.T) {
	c := testConfig()
	c.Properties = map[string]string{"offsets.topic.num.partitions": "3"}
	b, _ := startBroker(t, t.TempDir(), c)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	for round := range 3 {
		until(t, fmt.Sprintf("a commit is taken in round %d", round), func() bool {
			return findGroup(r, "g") == wire.ErrNone && commitOffset(r, "g", "t", 7) == wire.ErrNone
		})
		q := wire.NewDeleteTopicsRequest()
		q.TopicNames, q.TimeoutMs = []string{offsetsTopic}, 5000
		if a := ask[*wire.DeleteTopicsResponse](r, q, 5); a.Responses[0].ErrorCode != wire.ErrNone {
			t.Fatal(a.Responses[0].ErrorCode)
		}
	}
	until(t, "nobody coordinates without the topic", func() bool { return commitOffset(r, "g", "t", 7) == wire.ErrNotCoordinator })
}

// TestACoordinatorEndsWithItsInbox closes the inbox right behind a request, whose wake is all that the task notices.
func TestACoordinatorEndsWithItsInbox(t *testing.T) {
	b := newBroker(t)
	r := dialRaw(t, b)
	until(t, "the topic is there", func() bool {
		return findGroup(r, "g") == wire.ErrNone && commitOffset(r, "g", "t", 7) != wire.ErrNotCoordinator
	})
	topic, _ := b.set.Catalog().Topic(offsetsTopic)
	part := &groupPartition{ended: host.NewFuture[struct{}](b.host.Tasks)}
	task := newGroupTask(b, topic.ID, 0, part)
	call := &groupCall{request: &group.HeartbeatRequest{GroupID: "g"}, answer: host.NewFuture[group.Response](b.host.Tasks)}
	part.inbox.Put(call)
	part.inbox.Close()
	task.waiter.WaitUntil(b.host.Clock.Now())
	b.host.Tasks.Go("coordinator", task.run)
	if _, ok := part.ended.GetUntil(b.host.Clock.Now().Add(5 * time.Second)); !ok {
		t.Error("it goes on")
	}
	if _, ok := call.answer.Try(); !ok {
		t.Error("the request has no answer")
	}
}
