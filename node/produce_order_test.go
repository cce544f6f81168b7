package node

import (
	"encoding/binary"
	"fmt"
	"testing"

	"millrace/net/wire"
)

// TestWhatFollowsARefusedBatchWaitsForIt sends the second batch of a producer when the partition has come into being after
// the first was refused.
func TestWhatFollowsARefusedBatchWaitsForIt(t *testing.T) {
	for _, wrong := range followRefused(t) {
		t.Error(wrong)
	}
}

// followRefused says what was wrong with the answers.
func followRefused(t *testing.T) (wrong []string) {
	t.Helper()
	b := newBroker(t)
	r, other := dialRaw(t, b), dialRaw(t, b)
	from := func(r *rawConn, sequence uint32) wire.ErrorCode {
		t.Helper()
		records := rawBatch(3, func(b []byte) {
			binary.BigEndian.PutUint64(b[43:], 77)
			binary.BigEndian.PutUint16(b[51:], 0)
			binary.BigEndian.PutUint32(b[53:], sequence)
		})
		return ask[*wire.ProduceResponse](r, produceRequest("t", -1, records), 12).Responses[0].PartitionResponses[0].ErrorCode
	}
	if code := from(r, 0); code != wire.ErrUnknownTopicOrPartition {
		t.Fatalf("before there is a topic: %v", code)
	}
	makeTopic(t, newClient(t, b), "t", 1)
	for _, step := range []struct {
		sequence uint32
		want     wire.ErrorCode
	}{
		{3, wire.ErrNotLeaderOrFollower}, {6, wire.ErrNotLeaderOrFollower}, {0, wire.ErrNone}, {3, wire.ErrNone}, {6, wire.ErrNone},
	} {
		if code := from(r, step.sequence); code != step.want {
			wrong = append(wrong, fmt.Sprintf("sequence %d: %v, want %v", step.sequence, code, step.want))
		}
	}
	if code := from(other, 9); code != wire.ErrNone { // nothing was refused there
		wrong = append(wrong, fmt.Sprintf("on another connection: %v", code))
	}
	return wrong
}

// TestRefusedBatchThatCameAgainElsewhere sends the batch after a refused one when that has come again by another way, as by
// another leader meanwhile: the partition knows the producer, and nothing must wait.
func TestRefusedBatchThatCameAgainElsewhere(t *testing.T) {
	b := newBroker(t)
	r, other := dialRaw(t, b), dialRaw(t, b)
	from := func(r *rawConn, sequence uint32) wire.ErrorCode {
		t.Helper()
		records := rawBatch(3, func(b []byte) {
			binary.BigEndian.PutUint64(b[43:], 77)
			binary.BigEndian.PutUint16(b[51:], 0)
			binary.BigEndian.PutUint32(b[53:], sequence)
		})
		return ask[*wire.ProduceResponse](r, produceRequest("t", -1, records), 12).Responses[0].PartitionResponses[0].ErrorCode
	}
	if code := from(r, 0); code != wire.ErrUnknownTopicOrPartition {
		t.Fatalf("before there is a topic: %v", code)
	}
	makeTopic(t, newClient(t, b), "t", 1)
	if code := from(other, 0); code != wire.ErrNone {
		t.Fatalf("the refused batch on another connection: %v", code)
	}
	for _, step := range []struct {
		sequence uint32
		want     wire.ErrorCode
	}{{3, wire.ErrNone}, {9, wire.ErrOutOfOrderSequenceNumber}, {6, wire.ErrNone}} {
		if code := from(r, step.sequence); code != step.want {
			t.Errorf("sequence %d: %v, want %v", step.sequence, code, step.want)
		}
	}
}
