package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"millrace/node"
	"millrace/partition"
)

func (s *session) topicExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain TOPIC PARTITION OFFSET",
		Short: "Tell why the record at an offset is there, still there, or no longer there",
		Long: "Tell what is at an offset of a partition: the record and its batch, whether a later record has its key and why it is\n" +
			"there all the same, or what removed it: retention, DeleteRecords or compaction. Every replica compacts by itself, so\n" +
			"each is asked. Up to 256 MiB of the log behind the offset are read for a later record.",
		Example: "  millrace topic explain customers 0 4711",
		Args:    cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			index, err := strconv.ParseInt(args[1], 10, 32)
			if err != nil || index < 0 {
				return usageError{fmt.Errorf("%q is not the number of a partition", args[1]), c.CommandPath()}
			}
			offset, err := strconv.ParseInt(args[2], 10, 64)
			if err != nil || offset < 0 {
				return usageError{fmt.Errorf("%q is not an offset", args[2]), c.CommandPath()}
			}
			return s.explainOffset(c.Context(), args[0], int32(index), offset)
		},
	}
}

// explainedOffset is what topic explain prints about one replica.
type explainedOffset struct {
	Broker int32  `json:"broker"`
	Leader bool   `json:"leader"`
	Error  string `json:"error,omitempty"`
	*partition.Explanation
	Text []string `json:"text,omitempty"`
}

func (s *session) explainOffset(ctx context.Context, topic string, index int32, offset int64) error {
	client, err := s.client(ctx, kgo.RetryTimeout(s.timeout))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	details, err := kadm.NewClient(client).ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return fmt.Errorf("looking for the topic: %w", err)
	}
	d := details[topic]
	if d.Err != nil {
		return onTopic{topic: topic, err: d.Err}
	}
	p, ok := d.Partitions[index]
	if !ok {
		return onTopic{topic: topic, err: kerr.UnknownTopicOrPartition}
	}
	replicas := []explainedOffset{}
	for _, broker := range p.Replicas {
		r := explainedOffset{Broker: broker, Leader: broker == p.Leader}
		if r.Explanation, err = askExplanation(ctx, client, broker, topic, index, offset); err != nil {
			r.Error = err.Error()
		} else {
			r.Text = explainText(r.Explanation)
		}
		replicas = append(replicas, r)
	}
	if s.json {
		return s.printJSON(map[string]any{"topic": topic, "partition": index, "offset": offset, "replicas": replicas})
	}
	fmt.Fprintf(s.out, "offset %d of %s-%d\n", offset, topic, index)
	for _, r := range replicas {
		role := ""
		if r.Leader {
			role = " (leader)"
		}
		if r.Error != "" {
			fmt.Fprintf(s.out, "\nbroker %d%s: %s\n", r.Broker, role, r.Error)
			continue
		}
		fmt.Fprintf(s.out, "\nbroker %d%s: %s\n", r.Broker, role, strings.Join(r.Text, "\n  "))
	}
	return nil
}

// askExplanation asks one broker, by a tagged field of DescribeLogDirs that brokers of another make skip.
func askExplanation(ctx context.Context, client *kgo.Client, broker int32, topic string, index int32, offset int64) (*partition.Explanation, error) {
	q := kmsg.NewPtrDescribeLogDirsRequest()
	q.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: topic, Partitions: []int32{index}}}
	value := binary.AppendUvarint(nil, 9) // compact bytes: the length + 1
	q.UnknownTags.Set(node.TellTag, binary.BigEndian.AppendUint64(value, uint64(offset)))
	answer, err := client.Broker(int(broker)).RetriableRequest(ctx, q)
	if err != nil {
		return nil, err
	}
	var text []byte
	answer.(*kmsg.DescribeLogDirsResponse).UnknownTags.Each(func(tag uint32, value []byte) {
		if _, n := binary.Uvarint(value); tag == node.TellTag && n > 0 {
			text = value[n:]
		}
	})
	if text == nil {
		return nil, errors.New("the broker does not tell: it has no replica of the partition, cannot read it, or is not Millrace")
	}
	e := new(partition.Explanation)
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("the broker's answer makes no sense: %w", err)
	}
	return e, nil
}

// explainText says it in sentences.
func explainText(e *partition.Explanation) []string {
	switch e.State {
	case "below":
		return []string{fmt.Sprintf("no longer there: the log starts at offset %d; retention or a deletion of records has removed what is before", e.LogStart)}
	case "beyond":
		return []string{fmt.Sprintf("not there yet: the log ends at offset %d", e.End)}
	case "missing":
		return []string{"not here now: this replica lacks it and is being filled from the others"}
	}
	var text []string
	if e.State == "removed" {
		text = explainRemoved(e)
	} else {
		text = explainThere(e)
	}
	if g := e.Segment; g != nil {
		kind := "closed"
		switch {
		case g.Active:
			kind = "being written"
		case g.Compacted:
			kind = fmt.Sprintf("made by compaction, generation %d", g.Generation)
		}
		text = append(text, fmt.Sprintf("segment: offsets %d to %d, %d bytes, %s", g.Base, g.End-1, g.Bytes, kind))
	}
	if b := e.Batch; b != nil {
		line := fmt.Sprintf("batch: offsets %d to %d, %d records left, %d bytes, compression %s, leader epoch %d", b.Base, b.Last, b.Records,
			b.Bytes, b.Codec, b.LeaderEpoch)
		if b.DeleteHorizon > 0 {
			line += ", its tombstones may go from " + stamp(b.DeleteHorizon) + " on"
		}
		text = append(text, line)
	}
	return text
}

// explainRemoved says what removed a record.
func explainRemoved(e *partition.Explanation) []string {
	text := []string{"no longer there: compaction has removed it"}
	if b := e.Batch; b != nil && b.Base <= e.Offset && e.Offset <= b.Last {
		text = append(text, "other records of its batch are there, or its producer's last sequence number is kept in it")
	}
	return append(text, fmt.Sprintf("the log is compacted up to offset %d: a later record has its key, or it was a tombstone whose time was over, had no key, or belonged to a transaction that was aborted", e.Cleaned))
}

// explainThere says why a record is there.
func explainThere(e *partition.Explanation) []string {
	if e.State == "marker" {
		return []string{"a transaction marker is there: it stays until no record of its transaction is left, and for delete.retention.ms after that"}
	}
	what := fmt.Sprintf("there: key %s, value of %d bytes, time %s", shownKey(e.Key), e.ValueSize, stamp(e.Timestamp))
	if e.Tombstone {
		what = fmt.Sprintf("there: a tombstone that deletes key %s, time %s", shownKey(e.Key), stamp(e.Timestamp))
	}
	text := []string{what}
	c := e.Compaction
	switch {
	case c == nil:
		return append(text, "the topic is not compacted: it stays until retention or a deletion of records removes it")
	case e.Superseded >= 0:
		return append(text, fmt.Sprintf("offset %d has its key, so compaction will remove it", e.Superseded), waits(e))
	case e.Tombstone:
		return append(text, "no later record has its key: it stays for delete.retention.ms after it was compacted first, and until every replica is compacted up to it", waits(e))
	case e.Searched < e.End:
		return append(text, fmt.Sprintf("no record with its key up to offset %d; it was not looked further", e.Searched))
	}
	return append(text, "it is the last record of its key: compaction keeps it")
}

// waits says what compaction waits for.
func waits(e *partition.Explanation) string {
	c := e.Compaction
	switch {
	case e.Segment.Active:
		return "it is in the segment that is being written, which is never compacted: it is closed after segment.bytes, segment.ms or max.compaction.lag.ms, when something is written then"
	case e.Batch.DeleteHorizon > 0 && e.Offset < e.Cleaned && e.Batch.DeleteHorizon > time.Now().UnixMilli():
		return "its delete.retention.ms is not over"
	case e.Offset < e.Cleaned && e.Tombstone:
		return "it goes when compaction has asked the other replicas, and all are compacted up to it for long enough"
	case c.Held != "" && e.Offset >= c.To:
		return "it cannot be compacted yet: " + c.Held
	case c.Due:
		return "compaction is due and comes soon"
	}
	return fmt.Sprintf("%.0f %% of %d bytes are new; compaction begins above %.0f %% (min.cleanable.dirty.ratio)", 100*c.Ratio, c.Total, 100*c.MinRatio)
}

func shownKey(key []byte) string {
	if key == nil {
		return "(none)"
	}
	return strconv.Quote(string(key))
}

func stamp(ms int64) string {
	if ms < 0 {
		return "unknown"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000 UTC")
}
