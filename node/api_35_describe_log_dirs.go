package node

import (
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
)

// describeLogDirs tells how much room partitions take in the data directory.
//
// Versions: 4 tells the size of the file system, 5 whether the directory takes no new partitions, which is never so here.
func (b *Broker) describeLogDirs(c *call, q *wire.DescribeLogDirsRequest) wire.Message {
	a := wire.NewDescribeLogDirsResponse()
	r := wire.NewDescribeLogDirsResponseResult()
	r.LogDir = b.config.DataDir
	r.TotalBytes, r.UsableBytes = -1, -1
	if usage, err := b.host.Disk.Usage(); err == nil {
		r.TotalBytes, r.UsableBytes = usage.Total, usage.Free
	}
	image := b.set.Catalog()
	if q.Topics == nil {
		for _, t := range image.Topics.All {
			all := make([]int32, len(t.Partitions))
			for i := range all {
				all[i] = int32(i)
			}
			r.Topics = append(r.Topics, b.partitionSizes(t, all))
		}
	}
	for i := range q.Topics {
		if t, ok := image.Topic(q.Topics[i].Topic); ok {
			if sizes := b.partitionSizes(t, q.Topics[i].Partitions); len(sizes.Partitions) > 0 {
				r.Topics = append(r.Topics, sizes)
			}
		}
	}
	a.Results = append(a.Results, r)
	a.MillraceExplained = b.explain(q)
	return a
}

// partitionSizes lists those of the partitions that are here.
func (b *Broker) partitionSizes(t *catalog.Topic, indexes []int32) wire.DescribeLogDirsResponseTopic {
	sizes := wire.DescribeLogDirsResponseTopic{Name: t.Name}
	indexes = slices.Compact(slices.Sorted(slices.Values(indexes)))
	for _, index := range indexes {
		if at, code := b.cluster.Follow(t.ID, index); code == wire.ErrNone {
			sizes.Partitions = append(sizes.Partitions, wire.DescribeLogDirsResponsePartition{
				PartitionIndex: index, PartitionSize: at.Log.View().Bytes,
			})
		}
	}
	return sizes
}
