package node

import (
	"strconv"

	"millrace/node/catalog"
	"millrace/node/group"
	"millrace/node/ordered"
)

// groupCluster is an image of the catalog as coordinators see it.
type groupCluster struct{ image *catalog.Image }

func (c *groupCluster) Version() int64 { return int64(c.image.Index) }

func (c *groupCluster) Topic(name string) (group.Topic, bool) {
	t, ok := c.image.Topic(name)
	return groupTopic(t), ok
}

func (c *groupCluster) TopicByID(id [16]byte) (group.Topic, bool) {
	t, ok := c.image.TopicByID(id)
	return groupTopic(t), ok
}

func (c *groupCluster) TopicNames(f func(string) bool) {
	for name := range c.image.Topics.All {
		if !f(string(name)) {
			return
		}
	}
}

func (c *groupCluster) GroupConfig(groupID, name string) (int64, bool) {
	value, ok := c.image.Configs(catalog.ResourceGroup, groupID).Get(name)
	if !ok {
		return 0, false
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	return ms, err == nil
}

func groupTopic(t *catalog.Topic) group.Topic {
	if t == nil {
		return group.Topic{}
	}
	return group.Topic{ID: t.ID, Name: t.Name, Partitions: int32(len(t.Partitions))}
}

// createdTopics says whether there are topics in an image that were not, or not the same, in an earlier one.
func createdTopics(before, after *catalog.Image) bool {
	created := false
	ordered.Diff(before.Topics, after.Topics, func(_ ordered.String, was, is **catalog.Topic) {
		if is != nil && (was == nil || (*was).ID != (*is).ID) {
			created = true
		}
	})
	return created
}
