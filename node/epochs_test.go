package node

import (
	"testing"

	"millrace/net/wire"
)

// epochEndAt asks where an epoch of partition 0 ends.
func epochEndAt(r *rawConn, topic string, epoch int32) (int32, int64) {
	r.t.Helper()
	q := wire.NewOffsetForLeaderEpochRequest()
	q.ReplicaId = -1
	p := wire.NewOffsetForLeaderEpochRequestOffsetForLeaderPartition()
	p.LeaderEpoch = epoch
	q.Topics = []wire.OffsetForLeaderEpochRequestOffsetForLeaderTopic{
		{Topic: topic, Partitions: []wire.OffsetForLeaderEpochRequestOffsetForLeaderPartition{p}},
	}
	end := ask[*wire.OffsetForLeaderEpochResponse](r, q, 4).Topics[0].Partitions[0]
	if end.ErrorCode != wire.ErrNone {
		r.t.Fatalf("end of epoch %d: %v", epoch, end.ErrorCode)
	}
	return end.LeaderEpoch, end.EndOffset
}

// TestThePresentEpochEndsWhereTheLogDoes restarts a node, which begins an epoch without records.
func TestThePresentEpochEndsWhereTheLogDoes(t *testing.T) {
	dir := t.TempDir()
	b, stop := startBroker(t, dir, testConfig())
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(3, nil)), 9)
	topic, _ := b.set.Catalog().Topic("t")
	first := b.leadership(b.present(b.set.Catalog()), topic, 0).epoch
	stop()
	for range 2 { // so that there is an epoch without records between
		b, stop = startBroker(t, dir, testConfig())
		topic, _ = b.set.Catalog().Topic("t")
		r = dialRaw(t, b)
		now := b.leadership(b.present(b.set.Catalog()), topic, 0).epoch
		for _, c := range []struct {
			asked, epoch int32
			end          int64
		}{{first, first, 3}, {now - 1, first, 3}, {now, now, 3}, {now + 1, -1, -1}, {-1, -1, -1}} {
			if epoch, end := epochEndAt(r, "t", c.asked); epoch != c.epoch || end != c.end {
				t.Errorf("epoch %d of %d to %d: answered epoch %d, end %d, want %d, %d", c.asked, first, now, epoch, end, c.epoch, c.end)
			}
		}
		q := wire.NewListOffsetsRequest()
		q.ReplicaId = -1
		p := wire.NewListOffsetsRequestPartition()
		p.Timestamp = latestOffset
		q.Topics = []wire.ListOffsetsRequestTopic{{Name: "t", Partitions: []wire.ListOffsetsRequestPartition{p}}}
		if a := ask[*wire.ListOffsetsResponse](r, q, 7).Topics[0].Partitions[0]; a.Offset != 3 || a.LeaderEpoch != now {
			t.Errorf("the end is %d in epoch %d, want 3 in epoch %d", a.Offset, a.LeaderEpoch, now)
		}
		stop()
	}
}

// TestADivergingFetchTellsTheOffsetsOfTheLog fetches behind the end as one that has other records.
func TestADivergingFetchTellsTheOffsetsOfTheLog(t *testing.T) {
	b := newBroker(t)
	makeTopic(t, newClient(t, b), "t", 1)
	r := dialRaw(t, b)
	ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(3, nil)), 9)
	topic, _ := b.set.Catalog().Topic("t")
	epoch := b.leadership(b.present(b.set.Catalog()), topic, 0).epoch
	q := fetchRequest("t", 5, 0)
	q.Topics[0].Partitions[0].LastFetchedEpoch = epoch
	a := ask[*wire.FetchResponse](r, q, 12).Responses[0].Partitions[0]
	if want := (wire.FetchResponseEpochEndOffset{Epoch: epoch, EndOffset: 3}); a.ErrorCode != wire.ErrNone || a.DivergingEpoch != want {
		t.Errorf("%v, diverging at %+v, want %+v", a.ErrorCode, a.DivergingEpoch, want)
	}
	if a.HighWatermark != 3 || a.LastStableOffset != 3 || a.LogStartOffset != 0 {
		t.Errorf("the log is said to be from %d to %d, stable to %d", a.LogStartOffset, a.HighWatermark, a.LastStableOffset)
	}
}

// TestTopicsOfOtherCoordinatorsAreNotCreatedOnTheWay asks for the metadata of topics that no client makes by accident.
func TestTopicsOfOtherCoordinatorsAreNotCreatedOnTheWay(t *testing.T) {
	r := dialRaw(t, newBroker(t))
	for _, name := range []string{transactionsTopic, shareTopic} {
		q := wire.NewMetadataRequest()
		q.AllowAutoTopicCreation = true
		q.Topics = []wire.MetadataRequestTopic{{Name: &name}}
		if a := ask[*wire.MetadataResponse](r, q, 9).Topics; len(a) != 1 || a[0].ErrorCode != wire.ErrUnknownTopicOrPartition {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
