package partition

// Sequence is the producer's part of a batch.
type Sequence struct {
	ProducerID    int64
	Epoch         int16
	First         int32
	LastDelta     int32 // records - 1
	Transactional bool
}

// Verdict is what to do with a batch.
type Verdict uint8

const (
	// Accept: append it.
	Accept Verdict = iota
	// Duplicate: it was appended before; answer with its first offset.
	Duplicate
)

// Producers is the table of idempotent producers of a partition: for each the epoch and the last five batches. It is a
// pure state machine and belongs to one task.
type Producers struct{}

// NewProducers returns an empty table.
func NewProducers() *Producers { return &Producers{} }

// Check applies Kafka's rules to a batch that a client produced. For a Duplicate, base is the first offset and timestamp
// the greatest timestamp of the batch as it was appended. Errors are *batch.Error.
func (p *Producers) Check(s Sequence) (v Verdict, base, timestamp int64, err error) {
	return Accept, 0, 0, errNotBuilt
}

// Update notes an appended batch; wall is the entry's time. The result undoes it.
func (p *Producers) Update(s Sequence, base, maxTimestamp, wall int64) Undo { return Undo{} }

// Undo takes back an Update; several are undone in reverse order.
type Undo struct{}

// Undo takes back u.
func (p *Producers) Undo(u Undo) {}

// Fork returns a table that sees p, also its later updates, and whose own updates p does not see: the leader's table of
// appended batches over the table of applied ones. Both belong to the same task.
func (p *Producers) Fork() *Producers { return nil }

// Expire forgets producers whose last batch is older than expiration milliseconds at the entry time wall.
func (p *Producers) Expire(wall, expiration int64) {}

// Len is the number of known producers.
func (p *Producers) Len() int { return 0 }

// Encode appends the table with its format version to b. A fork cannot be encoded.
func (p *Producers) Encode(b []byte) []byte { return b }

// DecodeProducers reads what Encode wrote.
func DecodeProducers(b []byte) (*Producers, error) { return nil, errNotBuilt }
