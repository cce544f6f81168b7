package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/node"
)

// coordinator finds the broker that coordinates a group. Where groups are new to a cluster it may take a moment until there
// is one.
func (k groupClient) coordinator(ctx context.Context, group string) (node int32, err error) {
	err = patiently(ctx, func() error {
		r, ok := k.admin.FindGroupCoordinators(ctx, group)[group]
		if !ok {
			return fmt.Errorf("looking for the coordinator: %w", kerr.CoordinatorNotAvailable)
		}
		node = r.NodeID
		return r.Err
	})
	return node, err
}

// patiently does something again while a coordinator is just moving, as long as there is time.
func patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, kerr.CoordinatorNotAvailable) && !errors.Is(err, kerr.CoordinatorLoadInProgress) && !errors.Is(err, kerr.NotCoordinator) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// describeClassic describes a group of the classic protocol. For a group of another kind the error is GROUP_ID_NOT_FOUND,
// and only Told is filled in, if the broker tells.
//
// It asks the coordinator directly, since what is asked beyond Kafka's protocol is a tagged field of the request, which
// brokers that do not know it skip.
func (k groupClient) describeClassic(ctx context.Context, name string, coordinator int32) (*describedGroup, error) {
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Groups = []string{name}
	q.UnknownTags.Set(node.TellTag, []byte{1}) // true
	g := &describedGroup{Group: name, Type: "classic", Coordinator: coordinator, Members: []groupMember{}, Partitions: []groupPartition{}}
	answer, err := k.client.Broker(int(coordinator)).RetriableRequest(ctx, q)
	if err != nil {
		return g, err
	}
	a := answer.(*kmsg.DescribeGroupsResponse)
	if len(a.Groups) != 1 {
		return g, fmt.Errorf("asked about one group, the broker answered about %d", len(a.Groups))
	}
	d := &a.Groups[0]
	d.UnknownTags.Each(func(tag uint32, value []byte) {
		// The value is bytes, which begin with their length.
		if _, n := binary.Uvarint(value); tag == node.TellTag && n > 0 {
			var told node.ToldGroup
			if json.Unmarshal(value[n:], &told) == nil {
				g.Told = &told
			}
		}
	})
	if err := kerr.ErrorForCode(d.ErrorCode); err != nil {
		return g, err
	}
	if d.State == "Dead" { // versions before 6 say so of a group that does not exist, or is of another kind
		return g, kerr.GroupIDNotFound
	}
	g.State, g.Protocol, g.Assignor = d.State, d.ProtocolType, d.Protocol
	for _, m := range d.Members {
		instance := ""
		if m.InstanceID != nil {
			instance = *m.InstanceID
		}
		described := groupMember{Member: m.MemberID, Instance: instance, Client: m.ClientID, Host: m.ClientHost, Assigned: map[string][]int32{}}
		var assigned kmsg.ConsumerMemberAssignment
		if d.ProtocolType == "consumer" && len(m.MemberAssignment) > 0 && assigned.ReadFrom(m.MemberAssignment) == nil {
			for _, t := range assigned.Topics {
				described.Assigned[t.Topic] = append(described.Assigned[t.Topic], t.Partitions...)
			}
		}
		g.Members = append(g.Members, described)
	}
	return g, nil
}

// describeConsumer describes a group of the consumer protocol.
func (k groupClient) describeConsumer(ctx context.Context, name string, coordinator int32) (*describedGroup, error) {
	all, err := k.admin.DescribeConsumerGroups(ctx, name)
	if err != nil {
		return nil, err
	}
	d := all[name]
	if d.Err != nil {
		return nil, d.Err
	}
	epoch := d.Epoch
	g := &describedGroup{Group: name, Type: "consumer", State: d.State, Protocol: "consumer", Assignor: d.AssignorName, Epoch: &epoch,
		Coordinator: coordinator, Members: []groupMember{}, Partitions: []groupPartition{}}
	for _, m := range d.Members {
		instance := ""
		if m.InstanceID != nil {
			instance = *m.InstanceID
		}
		epoch := m.MemberEpoch
		g.Members = append(g.Members, groupMember{Member: m.MemberID, Instance: instance, Client: m.ClientID, Host: m.ClientHost, Epoch: &epoch,
			Classic: m.MemberType == 0, Assigned: partitionLists(m.Assignment), Target: partitionLists(m.TargetAssignment)})
	}
	return g, nil
}

func partitionLists(set kadm.TopicsSet) map[string][]int32 {
	lists := map[string][]int32{}
	for _, t := range set.Sorted() {
		lists[t.Topic] = t.Partitions
	}
	return lists
}
