package node

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"millrace/net/peer"
	"millrace/net/server"
	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/config"
	"millrace/node/host"
	"millrace/node/shard"
	"millrace/partition"
	"millrace/wal"
)

// properties merges the properties with what Config says itself, which wins, and fills Config from properties where it
// says nothing.
func (c *Config) properties(h host.Host) (config.Map, error) {
	known, unknown, err := config.CheckProperties(c.Properties)
	if err != nil {
		return nil, err
	}
	warnIgnored(h, unknown)
	if c.NodeID == 0 {
		c.NodeID = 1
		for _, name := range []string{"broker.id", "node.id"} {
			if v, ok := known[name]; ok {
				if n, _ := strconv.ParseInt(v, 10, 32); n >= 0 { // an older file may say broker.id=-1: any
					c.NodeID = int32(n)
				}
			}
		}
	}
	if c.Listen == "" {
		if c.Listen, err = plaintext(known, "listeners", "127.0.0.1:9092"); err != nil {
			return nil, err
		}
	}
	if c.Advertise == "" {
		if c.Advertise, err = plaintext(known, "advertised.listeners", ""); err != nil {
			return nil, err
		}
	}
	if c.Rack == "" {
		c.Rack = known["broker.rack"]
	}
	if voters := known["controller.quorum.voters"]; voters != "" && len(c.Peers) == 0 {
		for v := range strings.SplitSeq(voters, ",") {
			p, err := ParsePeer(v)
			if err != nil {
				return nil, fmt.Errorf("%w: controller.quorum.voters: %w", ErrConfig, err)
			}
			c.Peers = append(c.Peers, p)
		}
		if c.PeerListen == "" {
			c.PeerListen, _ = listener(known["listeners"], known["controller.listener.names"])
		}
	}
	if err := c.checkCluster(); err != nil {
		return nil, err
	}
	known["node.id"] = strconv.Itoa(int(c.NodeID))
	known["broker.id"] = known["node.id"]
	known["listeners"] = "PLAINTEXT://" + c.Listen
	if c.Rack != "" {
		known["broker.rack"] = c.Rack
	}
	if c.Advertise != "" {
		known["advertised.listeners"] = "PLAINTEXT://" + c.Advertise
	}
	if c.DataDir != "" {
		known["log.dirs"] = c.DataDir
	}
	if c.SegmentBytes > 0 {
		known["log.segment.bytes"] = strconv.FormatInt(c.SegmentBytes, 10)
	}
	return config.Map(known), nil
}

// warnIgnored says, once, which properties are ignored.
func warnIgnored(h host.Host, names []string) {
	var kafkas, others []string
	for _, name := range names {
		if config.ForeignKey(name) != nil {
			kafkas = append(kafkas, name)
		} else {
			others = append(others, name)
		}
	}
	if len(kafkas) > 0 {
		h.Log.Warn("configs of Kafka's that mean nothing here are ignored", "names", strings.Join(kafkas, " "))
	}
	if len(others) > 0 {
		h.Log.Warn("configs that are not known are ignored", "names", strings.Join(others, " "))
	}
}

// plaintext is the address of the first PLAINTEXT listener that a property lists, def when it is not set. A list without
// one is refused: who asks for encryption must not get a port without it.
func plaintext(known map[string]string, name, def string) (string, error) {
	listeners, ok := known[name]
	if !ok || listeners == "" {
		return def, nil
	}
	if addr, ok := listener(listeners, "PLAINTEXT"); ok {
		return addr, nil
	}
	return "", fmt.Errorf("%s=%s: no listener is named PLAINTEXT, and this broker has no other kind", name, listeners)
}

// listener is the address of the first listener of that name in a list.
func listener(listeners, name string) (string, bool) {
	for l := range strings.SplitSeq(listeners, ",") {
		if addr, ok := strings.CutPrefix(strings.TrimSpace(l), name+"://"); ok && name != "" {
			return addr, true
		}
	}
	return "", false
}

// splitAddress takes "host:port" apart.
func splitAddress(addr string) (name string, port int32, err error) {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("address %q has no port", addr)
	}
	n, err := strconv.ParseUint(addr[i+1:], 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %q has no port", addr)
	}
	name = strings.TrimSuffix(strings.TrimPrefix(addr[:i], "["), "]")
	if ip, err := netip.ParseAddr(name); err == nil {
		name = ip.Unmap().String()
	}
	return name, int32(n), nil
}

// layers are the settings that are in force for this broker.
func (b *Broker) layers(image *catalog.Image) config.Layers {
	return config.Layers{
		Broker:  image.Configs(catalog.ResourceBroker, strconv.Itoa(int(b.config.NodeID))),
		Cluster: image.Configs(catalog.ResourceBroker, ""),
		Static:  b.static,
	}
}

// topicConfig computes what is in force for a topic.
func (b *Broker) topicConfig(image *catalog.Image, t *catalog.Topic) config.Topic {
	return b.layers(image).Topic(t.Configs)
}

func (b *Broker) setOptions() shard.SetOptions {
	c, static := b.config, config.Layers{Static: b.static}
	files := shareFiles(c.Files)
	o := shard.SetOptions{
		Node: c.NodeID, ClusterID: c.ClusterID,
		WAL: wal.Options{FileSize: c.WALFileBytes, FirstFileSize: c.WALFirstBytes, MaxBytes: c.WALMaxBytes},
		Partitions: partition.Options{
			CacheBytes: c.CacheBytes, SmallestChunk: c.SmallestChunkBytes, LargestChunk: c.LargestChunkBytes,
			IndexInterval: c.IndexInterval, OpenFiles: files.Open, OpenWriters: files.Writing,
		},
		Settings:        b.shardSettings,
		CheckpointBytes: c.CheckpointBytes,
		CheckpointEvery: c.CheckpointInterval,
		RetentionEvery:  c.RetentionInterval,
		ProducerExpiration: func(image *catalog.Image) time.Duration {
			return time.Duration(b.layers(image).Int("producer.id.expiration.ms")) * time.Millisecond
		},
		ReserveHigh: c.ReserveHigh, ReserveLow: c.ReserveLow, EntryBytes: c.EntryBytes,
		FillRate: c.FillRate, ScrubEvery: c.ScrubInterval, ScrubRate: c.ScrubRate,
		PeerListen: c.PeerListen, Secret: c.Secret, PeerTransport: c.PeerTransport, Cancel: c.Cancel,
		SessionTimeout: time.Duration(static.Int("broker.session.timeout.ms")) * time.Millisecond,
		PreferredEvery: time.Duration(static.Int("leader.imbalance.check.interval.seconds")) * time.Second,
	}
	b.cleaning(&o, static)
	if !static.Bool("auto.leader.rebalance.enable") {
		o.PreferredEvery = -1
	}
	for _, p := range c.Peers {
		o.Peers = append(o.Peers, peer.Address{Node: p.Node, Addr: p.Addr})
	}
	if o.RetentionEvery == 0 {
		o.RetentionEvery = time.Duration(static.Int("log.retention.check.interval.ms")) * time.Millisecond
	}
	return o
}

// cleaning fills in what is configured for compaction.
func (b *Broker) cleaning(o *shard.SetOptions, static config.Layers) {
	o.CleanEvery, o.CleanMemory = b.config.CleanInterval, b.config.CleanMemory
	if o.CleanEvery == 0 {
		o.CleanEvery = time.Duration(static.Int("log.cleaner.backoff.ms")) * time.Millisecond
	}
	if o.CleanMemory == 0 {
		o.CleanMemory = static.Int("log.cleaner.dedupe.buffer.size")
	}
	if !static.Bool("log.cleaner.enable") {
		o.CleanEvery = -1
	}
	if rate, err := strconv.ParseFloat(static.String("log.cleaner.io.max.bytes.per.second"), 64); err == nil && rate < math.MaxInt64 {
		o.CleanRate = max(int64(rate), 1)
	}
}

// shardSettings tells the shards what a topic's configuration says about its partitions.
func (b *Broker) shardSettings(image *catalog.Image, t *catalog.Topic) shard.Settings {
	c := b.topicConfig(image, t)
	s := shard.Settings{
		Roll:      partition.RollConfig{SegmentBytes: c.SegmentBytes, SegmentMs: c.SegmentMs, IndexBytes: c.IndexBytes},
		Retention: partition.RetentionConfig{RetentionMs: -1, RetentionBytes: -1},
		MinInSync: c.MinInsyncReplicas,
	}
	if c.Compact {
		s.Compaction = &partition.CompactionConfig{MinDirtyRatio: c.MinDirtyRatio, MinLagMs: c.MinLagMs, MaxLagMs: c.MaxLagMs,
			DeleteRetentionMs: c.DeleteRetentionMs, SegmentBytes: c.SegmentBytes}
		s.Roll.SegmentMs = min(s.Roll.SegmentMs, c.MaxLagMs)
	}
	if c.Delete {
		s.Retention = partition.RetentionConfig{RetentionMs: c.RetentionMs, RetentionBytes: c.RetentionBytes}
	}
	return s
}

// defaultConnections is the default of max.connections here: Kafka's is none.
const defaultConnections = 100_000

func (b *Broker) serverOptions() server.Options {
	o, static := b.config.Server, config.Layers{Static: b.static}
	o.Closed = func(c *server.Connection) { clientOf(c).endSession(b) }
	set := func(name string) bool { _, ok := b.static[name]; return ok }
	o.MaxConnections = cmp.Or(max(o.MaxConnections, 0), defaultConnections)
	if set("socket.request.max.bytes") {
		o.MaxFrameBytes = int(static.Int("socket.request.max.bytes"))
	}
	if n := static.Int("queued.max.request.bytes"); n > 0 {
		o.InFlightBytes = n
	}
	if set("max.connections") {
		o.MaxConnections = int(min(static.Int("max.connections"), math.MaxInt32))
	}
	if n := static.Int("max.connections.per.ip"); n < math.MaxInt32 {
		o.MaxPerAddress = int(max(n, 1))
	}
	if n := shareFiles(b.config.Files).Connections; n > 0 {
		o.MaxConnections = min(o.MaxConnections, n)
	}
	o.PerAddress = b.perAddress
	o.AcceptRate = func() int64 { return b.layers(b.set.Catalog()).Int("max.connection.creation.rate") }
	o.Bulky = func(key int16) bool { return key == wire.KeyProduce }
	if set("connections.max.idle.ms") {
		o.IdleTimeout = time.Duration(static.Int("connections.max.idle.ms")) * time.Millisecond
	}
	return o
}
