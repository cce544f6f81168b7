package partition

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// ID names a partition for ever: topic ids are never used again.
type ID struct {
	Topic [16]byte
	Index int32
}

// String is the topic id in hexadecimal and the index: the name of the partition's directory.
func (id ID) String() string { return fmt.Sprintf("%s-%d", hex.EncodeToString(id.Topic[:]), id.Index) }

// Errors of a Log. They are wrapped; use errors.Is.
var (
	// ErrOffsetOutOfRange says that an offset is below the log start or above the end.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrDropped says that the partition was dropped or closed.
	ErrDropped = errors.New("partition dropped")
	// ErrMissing says that an offset is between the log start and the end, and not here: it was never pulled from another
	// replica, or what was here is damaged.
	ErrMissing = errors.New("not held by this replica")
	// ErrChanged says that a file, or the range of it that was asked for, is not there any more: ask for the list again.
	ErrChanged = errors.New("the segment file has changed")
	// ErrCorrupt says that what is on disk is not what was written. It is never repaired by guessing.
	ErrCorrupt = errors.New("partition is corrupt")
)
