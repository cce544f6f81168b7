package node

import (
	"encoding/json"
	"time"

	"millrace/net/wire"
	"millrace/node/group"
)

// TellTag is the tagged field by which a DescribeGroups request from version 5 on asks for more than Kafka's protocol tells
// of a group, and by which each group of the answer tells it: a [ToldGroup] as JSON. Who does not know the tag skips it, so
// that clients and brokers of Kafka's are not disturbed. It is told of groups of both protocols.
const TellTag = 19794

// ToldGroup is what a coordinator tells of a group beyond what Kafka's protocol has a place for. Times are in milliseconds
// since 1970. Fields may be added; none changes its meaning.
type ToldGroup struct {
	Type  string `json:"type"` // classic or consumer
	State string `json:"state"`
	// StateSince is when the group came into its state, 0 when that is not known.
	StateSince int64 `json:"stateSince,omitempty"`
	// CoordinatedSince is since when this broker coordinates the group: it knows of no rebalance before.
	CoordinatedSince int64 `json:"coordinatedSince"`
	// Epoch is the group epoch; of a classic group the generation.
	Epoch       int32           `json:"epoch"`
	Rebalances  []ToldRebalance `json:"rebalances,omitempty"` // newest first
	Waiting     []ToldWaiter    `json:"waiting,omitempty"`
	MoreWaiting int             `json:"moreWaiting,omitempty"` // members that Waiting had no room for
	Lag         []ToldLag       `json:"lag,omitempty"`         // by topic and partition
}

// ToldRebalance is a rebalance that began, and why.
type ToldRebalance struct {
	At     int64  `json:"at"`
	Epoch  int32  `json:"epoch"` // that it led to, or is about to
	Reason string `json:"reason"`
}

// ToldWaiter is a member that the group waits for, and what it should do.
type ToldWaiter struct {
	Member string `json:"member"`
	Client string `json:"client,omitempty"`
	Host   string `json:"host,omitempty"`
	What   string `json:"what"`
}

// ToldLag is how far behind a group is in a partition.
type ToldLag struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	// Start, End and Lag are -1 when the partition's leader could not be asked in time.
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	Lag   int64 `json:"lag"`
	// Seconds is the age of the first record that is not committed, 0 when all are, -1 when it is not known.
	Seconds float64 `json:"seconds"`
}

// tellTime bounds how long an answer waits for the leaders of a group's partitions.
const tellTime = 2 * time.Second

// tell asks the coordinator for a group's story, and where its partitions end. Nil when this broker does not coordinate it,
// or there is no such group.
func (c *call) tell(groupID string) []byte {
	r := &group.StoryRequest{GroupID: groupID}
	story := groupRead[*group.StoryResponse](c, groupID, r, c.groupDeadline())
	if story.Error != wire.ErrNone || story.Type == "" {
		return nil
	}
	told := ToldGroup{
		Type: story.Type, State: story.State, StateSince: story.StateMillis, CoordinatedSince: story.CoordinatedMillis,
		Epoch: story.Epoch, MoreWaiting: story.MoreWaiting,
	}
	for _, e := range story.Rebalances {
		told.Rebalances = append(told.Rebalances, ToldRebalance{e.WallMillis, e.Epoch, e.Reason})
	}
	for _, w := range story.Waiting {
		told.Waiting = append(told.Waiting, ToldWaiter{w.MemberID, w.ClientID, w.ClientHost, w.What})
	}
	m := lagMeter{broker: c.broker}
	for _, l := range m.measure(story.Offsets, c.now().Add(tellTime)) {
		told.Lag = append(told.Lag, ToldLag{l.Topic, l.Partition, l.Offset, l.start, l.end, l.lag(), l.seconds})
	}
	text, err := json.Marshal(told)
	if err != nil {
		c.broker.host.Log.Error("what is known of a group cannot be told", "group", groupID, "error", err)
		return nil
	}
	return text
}
