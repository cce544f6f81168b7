package shard

import (
	"strings"

	"millrace/node/catalog"
	"millrace/node/host"
	"millrace/wal"
)

// metadata is the catalog as the Machine of shard 0.
type metadata struct {
	image     *catalog.Image // all that was applied
	captured  *catalog.Image // as of the last checkpoint
	published *host.Snapshot[catalog.Image]
	changes   *host.Watchers
}

// newMetadata restores the catalog from the state of shard 0.
func newMetadata(tasks host.Tasks, state []wal.State) (*metadata, error) {
	image, err := restoreCatalog(state)
	if err != nil {
		return nil, err
	}
	return &metadata{
		image: image, captured: image,
		published: host.NewSnapshot(tasks, image), changes: host.NewWatchers(tasks),
	}, nil
}

// Records implements Machine.
func (m *metadata) Records() []wal.State {
	return catalogStates(catalog.Records(catalog.Empty(), m.image))
}

// Install implements Machine.
func (m *metadata) Install(state []wal.State) ([]wal.State, error) {
	image, err := restoreCatalog(state)
	if err != nil {
		return nil, err
	}
	m.image = image
	return m.Capture(), nil
}

// Apply implements Machine.
func (m *metadata) Apply(index uint64, _ int64, command []byte) (any, error) {
	c, err := catalog.DecodeCommand(command)
	if err != nil {
		return nil, err
	}
	next, result := catalog.Apply(m.image, index, c)
	m.image = next
	return result, nil
}

// Publish implements Machine.
func (m *metadata) Publish() {
	if m.published.Load() != m.image {
		m.published.Store(m.image)
		m.changes.Wake()
	}
}

// Frees implements Machine. All but the commands that make partitions is admitted: a node with a full disk must be able
// to start, and retention can be shortened.
func (m *metadata) Frees(command []byte) bool {
	c, err := catalog.DecodeCommand(command)
	if err != nil {
		return false
	}
	switch c.(type) {
	case catalog.CreateTopic, catalog.CreatePartitions:
		return false
	}
	return true
}

// Capture implements Machine.
func (m *metadata) Capture() []wal.State {
	state := catalogStates(catalog.Records(m.captured, m.image))
	m.captured = m.image
	return state
}

func catalogStates(records []catalog.Record) []wal.State {
	var state []wal.State
	for _, record := range records {
		state = append(state, wal.State{Key: stateCatalog + record.Key, Value: record.Value})
	}
	return state
}

// restoreCatalog makes the image from records of shard 0.
func restoreCatalog(state []wal.State) (*catalog.Image, error) {
	var records []catalog.Record
	for _, s := range state {
		if name, ok := strings.CutPrefix(s.Key, stateCatalog); ok {
			records = append(records, catalog.Record{Key: name, Value: s.Value})
		}
	}
	return catalog.Restore(records)
}
