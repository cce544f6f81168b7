package catalog

import "fmt"

// The kinds of commands, as they are encoded. Numbers are never given twice.
const (
	kindFormat              = 1
	kindRegisterBroker      = 2
	kindCreateTopic         = 3
	kindDeleteTopic         = 4
	kindCreatePartitions    = 5
	kindSetConfigs          = 6
	kindAllocateProducerIDs = 7
	kindSetFeature          = 8
	kindFenceBroker         = 9
	kindUnregisterBroker    = 10
)

// commandVersion is the newest version of a command's encoding, which is written. Older ones are still read.
func commandVersion(kind byte) byte {
	switch kind {
	case kindFormat, kindRegisterBroker:
		return 1
	}
	return 0
}

// Encode returns a command's bytes, which DecodeCommand reads.
func Encode(c Command) []byte {
	w := &writer{}
	w.byte(c.kind())
	w.byte(commandVersion(c.kind()))
	c.put(w)
	return w.b
}

// DecodeCommand reads a command. An error means that the bytes are corrupt, or were written by a newer release.
func DecodeCommand(b []byte) (Command, error) {
	r := &reader{b: b}
	kind, version := r.byte(), r.byte()
	if newest := commandVersion(kind); version > newest && !r.failed {
		return nil, fmt.Errorf("catalog: command %d has version %d, newer than this release knows (%d)", kind, version, newest)
	}
	var c Command
	switch kind {
	case kindFormat:
		f := Format{ClusterID: r.string()}
		if version >= 1 {
			f.Controllers = getList(r, getMember)
		}
		c = f
	case kindRegisterBroker:
		b := getRegisterBroker(r)
		if version >= 1 {
			b.Boots = r.uint()
		}
		c = b
	case kindFenceBroker:
		c = FenceBroker{Node: r.int32(), Epoch: r.int(), Fenced: r.bool()}
	case kindUnregisterBroker:
		c = UnregisterBroker{Node: r.int32()}
	case kindCreateTopic:
		c = CreateTopic{
			ID: r.id(), Name: r.string(), Partitions: r.int32(), Replication: r.int16(),
			Assignments: getList(r, (*reader).nodes), Configs: r.configs(),
		}
	case kindDeleteTopic:
		c = DeleteTopic{ID: r.id(), Name: r.string()}
	case kindCreatePartitions:
		c = CreatePartitions{Name: r.string(), Count: r.int32(), Assignments: getList(r, (*reader).nodes)}
	case kindSetConfigs:
		c = SetConfigs{
			Type: ResourceType(r.int8()), Name: r.string(), Full: r.bool(),
			Changes: getList(r, func(r *reader) ConfigChange {
				return ConfigChange{Name: r.string(), Op: ConfigOp(r.int8()), Value: r.string(), Default: r.string()}
			}),
		}
	case kindAllocateProducerIDs:
		c = AllocateProducerIDs{Node: r.int32()}
	case kindSetFeature:
		c = SetFeature{Name: r.string(), Level: r.int16()}
	default:
		return nil, fmt.Errorf("catalog: command of kind %d, which this release does not know", kind)
	}
	return c, r.done("command")
}

func (Format) kind() byte              { return kindFormat }
func (RegisterBroker) kind() byte      { return kindRegisterBroker }
func (CreateTopic) kind() byte         { return kindCreateTopic }
func (DeleteTopic) kind() byte         { return kindDeleteTopic }
func (CreatePartitions) kind() byte    { return kindCreatePartitions }
func (SetConfigs) kind() byte          { return kindSetConfigs }
func (AllocateProducerIDs) kind() byte { return kindAllocateProducerIDs }
func (SetFeature) kind() byte          { return kindSetFeature }
func (FenceBroker) kind() byte         { return kindFenceBroker }
func (UnregisterBroker) kind() byte    { return kindUnregisterBroker }

func (c Format) put(w *writer) {
	w.string(c.ClusterID)
	putList(w, c.Controllers, putMember)
}

func (c RegisterBroker) put(w *writer) {
	c.putOldest(w)
	w.uint(c.Boots)
}

func (c FenceBroker) put(w *writer) {
	w.int(int64(c.Node))
	w.int(c.Epoch)
	w.bool(c.Fenced)
}

func (c UnregisterBroker) put(w *writer) { w.int(int64(c.Node)) }

// putOldest writes what version 0 has.
func (c RegisterBroker) putOldest(w *writer) {
	w.int(int64(c.Node))
	w.id(c.Incarnation)
	w.id(c.Directory)
	w.string(c.Rack)
	putList(w, c.Listeners, putListener)
	w.int(int64(c.Lanes))
}

func getRegisterBroker(r *reader) RegisterBroker {
	return RegisterBroker{
		Node: r.int32(), Incarnation: r.id(), Directory: r.id(), Rack: r.string(),
		Listeners: getList(r, getListener), Lanes: r.int32(),
	}
}

func putListener(w *writer, l Listener) {
	w.string(l.Name)
	w.int(int64(l.Protocol))
	w.string(l.Host)
	w.uint(uint64(l.Port))
}

func getListener(r *reader) Listener {
	l := Listener{Name: r.string(), Protocol: r.int16(), Host: r.string()}
	port := r.uint()
	if port > 0xffff {
		r.fail()
	}
	l.Port = uint16(port)
	return l
}

func (c CreateTopic) put(w *writer) {
	w.id(c.ID)
	w.string(c.Name)
	w.int(int64(c.Partitions))
	w.int(int64(c.Replication))
	putList(w, c.Assignments, (*writer).nodes)
	w.configs(c.Configs)
}

func (c DeleteTopic) put(w *writer) { w.id(c.ID); w.string(c.Name) }

func (c CreatePartitions) put(w *writer) {
	w.string(c.Name)
	w.int(int64(c.Count))
	putList(w, c.Assignments, (*writer).nodes)
}

func (c SetConfigs) put(w *writer) {
	w.int(int64(c.Type))
	w.string(c.Name)
	w.bool(c.Full)
	putList(w, c.Changes, func(w *writer, c ConfigChange) {
		w.string(c.Name)
		w.int(int64(c.Op))
		w.string(c.Value)
		w.string(c.Default)
	})
}

func (c AllocateProducerIDs) put(w *writer) { w.int(int64(c.Node)) }

func (c SetFeature) put(w *writer) { w.string(c.Name); w.int(int64(c.Level)) }
