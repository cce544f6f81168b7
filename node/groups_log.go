package node

import (
	"errors"
	"fmt"

	"millrace/net/wire"
	"millrace/node/group"
	"millrace/node/host"
	"millrace/node/host/mutant"
	"millrace/partition"
	"millrace/partition/batch"
)

// replayBytes is how much of a partition is read at once when its groups are loaded.
const replayBytes = 1 << 20

// replayGroups applies a whole partition of the offsets topic to a coordinator.
func replayGroups(c *group.Coordinator, log *partition.Log) error {
	view := log.View()
	coders := batch.NewCoders()
	from := view.LogStart
	if mutant.On("group-replay-incomplete") {
		from = (view.LogStart + view.End) / 2
	}
	for offset := from; offset < view.End; {
		r, err := log.Read(offset, replayBytes, true)
		if err != nil {
			return fmt.Errorf("read offset %d: %w", offset, err)
		}
		bytes, err := readParts(r.Parts)
		next := r.Next
		r.Release()
		if err != nil {
			return fmt.Errorf("read offset %d: %w", offset, err)
		}
		if next <= offset {
			return nil // nothing more: the rest was removed by retention or compaction
		}
		if err := replayBatches(c, bytes, offset, coders); err != nil {
			return err
		}
		offset = next
	}
	return nil
}

// readParts copies the parts of a range into memory.
func readParts(parts []host.Part) ([]byte, error) {
	var out []byte
	for _, p := range parts {
		if p.File == nil {
			out = append(out, p.Bytes...)
			continue
		}
		at := len(out)
		out = append(out, make([]byte, p.Len)...)
		if _, err := p.File.ReadAt(out[at:], p.Off); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// replayBatches applies the records of whole batches, from an offset on.
func replayBatches(c *group.Coordinator, bytes []byte, from int64, coders *batch.Coders) error {
	for len(bytes) > 0 {
		h, err := batch.Parse(bytes)
		if err == nil && h.Size() > len(bytes) {
			err = errors.New("a batch is cut short")
		}
		if err != nil {
			return err
		}
		records, err := batch.Read(bytes[:h.Size()], coders, 0)
		if err != nil {
			return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
		}
		producer := group.Producer{ID: h.ProducerID, Transactional: h.Transactional()}
		var r batch.Record
		for records.Next(&r) {
			if r.Offset < from {
				continue
			}
			if h.Control() {
				// The key of a marker is its version and its type: 0 abort, 1 commit.
				c.ApplyMarker(h.ProducerID, len(r.Key) == 4 && r.Key[3] == 1)
			} else if err := c.Apply(r.Offset, producer, group.Record{Key: r.Key, Value: r.Value}); err != nil {
				return fmt.Errorf("record at offset %d: %w", r.Offset, err)
			}
		}
		if err := records.Err(); err != nil {
			return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
		}
		bytes = bytes[h.Size():]
	}
	return nil
}

// groupBatchError says why records cannot be a batch of the offsets topic.
type groupBatchError struct {
	code  wire.ErrorCode
	cause error
}

func (e *groupBatchError) Error() string { return e.cause.Error() }

// encodeGroupBatch makes one batch of a coordinator's records.
func encodeGroupBatch(records []group.Record, wall int64, maxBytes int) (batch.Info, *groupBatchError) {
	list := make([]batch.Record, len(records))
	for i, r := range records {
		list[i] = batch.Record{Timestamp: wall, Key: r.Key, Value: r.Value}
	}
	h := batch.Header{ProducerID: batch.NoProducer, ProducerEpoch: -1, BaseSequence: -1}
	bytes, err := batch.Encode(nil, h, list, nil)
	var info batch.Info
	if err == nil {
		info, err = batch.Validate(bytes, batch.Options{Now: wall, MaxBytes: maxBytes, Compacted: true,
			Compression: batch.Producer, Internal: true})
	}
	if err == nil {
		return info, nil
	}
	var refused *batch.Error
	if errors.As(err, &refused) {
		return info, &groupBatchError{wire.ErrorCode(refused.Code), err}
	}
	return info, &groupBatchError{wire.ErrUnknownServerError, err}
}
