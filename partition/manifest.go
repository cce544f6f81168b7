package partition

import (
	"encoding/binary"
	"fmt"
	"slices"

	"millrace/node/host/mutant"
)

// manifestVersion is the format of an encoded manifest, drawn in the package comment.
const manifestVersion = 0

// Manifest is what a replica must know of a partition to go on without its records: they are filled in later.
type Manifest struct {
	ID                        ID
	LogStart, End, LastStable int64
	// Epochs are the leader epochs, ascending.
	Epochs []EpochStart
	// Producers is the encoded table of producers.
	Producers []byte
}

// Manifest describes the log with everything appended. Only the owner calls it.
func (l *Log) Manifest() Manifest {
	return Manifest{ID: l.id, LogStart: l.logStart, End: l.end, LastStable: l.end, Epochs: l.epochs, Producers: l.producers.Encode(nil)}
}

// Encode appends the manifest with its format version to b.
func (m *Manifest) Encode(b []byte) []byte {
	b = append(b, manifestVersion)
	b = append(b, m.ID.Topic[:]...)
	b = binary.AppendVarint(b, int64(m.ID.Index))
	b = binary.AppendVarint(b, m.LogStart)
	b = binary.AppendVarint(b, m.End)
	b = binary.AppendVarint(b, m.LastStable)
	b = binary.AppendUvarint(b, uint64(len(m.Epochs)))
	for _, e := range m.Epochs {
		b = binary.AppendVarint(b, int64(e.Epoch))
		b = binary.AppendVarint(b, e.Start)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Producers)))
	return append(b, m.Producers...)
}

// DecodeManifest reads what Encode wrote, which must be all of b.
func DecodeManifest(b []byte) (Manifest, error) {
	f := fields{b: b}
	var m Manifest
	if v := f.byte(); v != manifestVersion || f.bad {
		return m, fmt.Errorf("decode a partition's manifest: format version %d is not known", v)
	}
	copy(m.ID.Topic[:], f.bytes(len(m.ID.Topic)))
	m.ID.Index = int32(f.signed())
	m.LogStart, m.End, m.LastStable = f.signed(), f.signed(), f.signed()
	for range f.count(2) {
		m.Epochs = append(m.Epochs, EpochStart{int32(f.signed()), f.signed()})
	}
	m.Producers = f.bytes(f.count(1))
	sound := m.LogStart >= 0 && m.LogStart <= m.End && m.LastStable >= m.LogStart && m.LastStable <= m.End
	for i, e := range m.Epochs {
		sound = sound && e.Start <= m.End && (i == 0 || e.Start >= m.Epochs[i-1].Start && e.Epoch > m.Epochs[i-1].Epoch)
	}
	if f.bad || len(f.b) != 0 || !sound {
		return Manifest{}, fmt.Errorf("decode a partition's manifest: %w", ErrCorrupt)
	}
	return m, nil
}

// EpochOf is the leader epoch of an offset, -1 when it is not known.
func (m *Manifest) EpochOf(offset int64) int32 { return (&View{Epochs: m.Epochs}).EpochOf(offset) }

// Install makes a partition that is not here yet, with everything below its end missing. Files that an earlier life left
// in the directory are kept as damaged ones: what is good in them need not be pulled.
func Install(s *Shared, dir string, m Manifest) (*Log, error) {
	l, err := install(s, dir, m)
	if err != nil {
		return nil, fmt.Errorf("install partition %v: %w", m.ID, err)
	}
	return l, nil
}

func install(s *Shared, dir string, m Manifest) (*Log, error) {
	if err := s.host.Disk.Mkdir(dir); err != nil {
		return nil, err
	}
	l := newLog(s, dir, m.ID)
	if err := l.keepLeftovers(m); err != nil {
		return nil, err
	}
	l.end = m.End
	l.newActive()
	return l, l.take(m)
}

// keepLeftovers lists files that no checkpoint knows as damaged.
func (l *Log) keepLeftovers(m Manifest) error {
	names, err := l.shared.host.Disk.List(l.dir)
	if err != nil {
		return err
	}
	var bases []int64
	for _, name := range names {
		base, generation, suffix, ok := parseName(name)
		if !ok {
			return fmt.Errorf("%s/%s is not a file of a partition: move it away", l.dir, name)
		}
		// Only what apply wrote: it may not be written over by what this log will apply.
		if suffix == logSuffix && generation == 0 && base < m.End {
			bases = append(bases, base)
			continue
		}
		if suffix == indexSuffix && generation == 0 && slices.Contains(bases, base) {
			continue
		}
		if err := l.shared.remove(l.dir + "/" + name); err != nil {
			return err
		}
	}
	for i, base := range bases {
		info := emptySegment(base)
		if info.Bytes, err = l.size(base, 0); err != nil {
			return err
		}
		info.End = m.End
		if i+1 < len(bases) {
			info.End = min(m.End, bases[i+1])
		}
		if info.Bytes = min(info.Bytes, maxSegmentBytes); info.Bytes == 0 || info.End <= m.LogStart {
			if err := l.shared.remove(segmentName(l.dir, base, 0)+logSuffix, segmentName(l.dir, base, 0)+indexSuffix); err != nil {
				return err
			}
			continue
		}
		l.hold.Acquire()
		g := newSegment(l.shared, l.writer, l.dir, l.hold, base, 0, true)
		l.damaged = append(l.damaged, &rolledSegment{seg: g, info: info})
	}
	return nil
}

// Install takes over the state of a log that is ahead: what lies between the two ends is missing from now on. Everything
// appended before must be in a durable checkpoint, since the entries behind it are forgotten with this; the log must not
// be Dirty. Record then describes the log for the append that makes the manifest durable.
func (l *Log) Install(m Manifest) error {
	switch {
	case l.closed || l.dropped:
		return fmt.Errorf("install a manifest of %v: %w", l.id, ErrDropped)
	case l.dirty:
		return fmt.Errorf("install a manifest of %v, which has changed since its last checkpoint", l.id)
	case m.ID != l.id || m.End < l.end || m.LogStart < l.logStart:
		return fmt.Errorf("install a manifest of %v from %d to %d, the log holds %d to %d", m.ID, m.LogStart, m.End, l.logStart, l.end)
	}
	if m.End > l.end {
		if l.info.Bytes > 0 {
			l.Roll()
		}
		l.active.ref.Release() // it is empty and has no file
		l.end = m.End
		l.newActive()
	}
	return l.take(m)
}

// take makes the manifest the state of a log that ends where the manifest does.
func (l *Log) take(m Manifest) error {
	producers, err := DecodeProducers(m.Producers)
	if err != nil {
		return fmt.Errorf("install a manifest of %v: %w", l.id, err)
	}
	if mutant.On("snapshot-without-producers") {
		producers = NewProducers()
	}
	l.producers, l.epochs = producers, slices.Clone(m.Epochs)
	l.dirty = true
	if mutant.On("snapshot-without-log-start") {
		m.LogStart = l.logStart
	}
	if err := l.SetLogStart(m.LogStart); err != nil {
		return err
	}
	l.Publish()
	return nil
}

// Record describes the log right after Install, for the append to the write-ahead log that makes it durable: it names
// nothing that is not durable already.
func (l *Log) Record() Checkpoint { return l.describe() }
