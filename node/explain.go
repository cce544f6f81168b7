package node

import (
	"encoding/binary"
	"encoding/json"

	"millrace/net/wire"
)

// explain answers what DescribeLogDirs was asked beyond Kafka's protocol: why there is a record at an offset of the one
// partition that it names, or none. Its tagged field is the offset, 8 bytes; the answer, JSON of a partition.Explanation.
func (b *Broker) explain(q *wire.DescribeLogDirsRequest) []byte {
	if len(q.MillraceExplain) != 8 || len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 1 {
		return nil
	}
	image := b.set.Catalog()
	topic, ok := image.Topic(q.Topics[0].Topic)
	if !ok {
		return nil
	}
	at, code := b.cluster.Follow(topic.ID, q.Topics[0].Partitions[0])
	if code != wire.ErrNone {
		return nil
	}
	offset := int64(binary.BigEndian.Uint64(q.MillraceExplain))
	e, err := at.Log.Explain(offset, b.shardSettings(image, topic).Compaction, b.host.Clock.Wall().UnixMilli())
	if err != nil {
		b.host.Log.Warn("an offset cannot be explained", "partition", at.ID, "offset", offset, "reason", err)
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil
	}
	return text
}
