package shard

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"millrace/node/catalog"
	"millrace/node/host"
)

const (
	metaName      = "meta"
	metaTemporary = "meta.new"
	lockName      = "lock"
	// directoryFormat is the version of the data directory as a whole.
	directoryFormat = 1
	largestMeta     = 1 << 16
)

// Identity is what the file "meta" in a data directory says.
type Identity struct {
	// ClusterID is Kafka's cluster id, 22 characters of base64.
	ClusterID string
	// Node is the node that the directory belongs to.
	Node int32
	// Directory names the directory itself.
	Directory catalog.ID
	// Boots counts the starts with this directory, this one included; it is durable before anybody hears of it.
	Boots uint64
	// Incarnation is drawn at each start of the node. It is not in the file.
	Incarnation catalog.ID
	// Controllers are the replicas of the catalog, in order of node ids, once the cluster is formed.
	Controllers []catalog.Member
	// Used says that the directory has been opened successfully before, so that it may hold acknowledged records.
	Used bool
}

// meta is the file as JSON, for people to read.
type meta struct {
	Format    int    `json:"format"`
	ClusterID string `json:"cluster.id"`
	Node      int32  `json:"node.id"`
	Directory string `json:"directory.id"`
	Used      bool   `json:"used"`
}

// openDirectory locks the data directory and reads its identity; an empty one is given a new identity.
func openDirectory(h host.Host, o SetOptions) (Identity, io.Closer, error) {
	names, err := h.Disk.List("")
	if err != nil {
		return Identity{}, nil, fmt.Errorf("list the data directory: %w", err)
	}
	lock, err := h.Disk.Lock(lockName)
	if errors.Is(err, host.ErrLocked) {
		return Identity{}, nil, fmt.Errorf("the data directory is in use by another process: stop that one, or give this one a directory of its own")
	}
	if err != nil {
		return Identity{}, nil, fmt.Errorf("lock the data directory: %w", err)
	}
	identity, err := identify(h, o, names)
	if err != nil {
		lock.Close()
		return Identity{}, nil, err
	}
	return identity, lock, nil
}

func identify(h host.Host, o SetOptions, names []string) (Identity, error) {
	identity, err := readMeta(h.Disk)
	if errors.Is(err, host.ErrNotExist) {
		for _, name := range names {
			if name != lockName && name != metaTemporary && name != "lost+found/" {
				return Identity{}, fmt.Errorf("the data directory has no file %q but holds %q, so it is not Millrace's: choose an empty directory", metaName, name)
			}
		}
		return found(h, o)
	}
	switch {
	case err != nil:
		return Identity{}, err
	case identity.Node != o.Node:
		return Identity{}, fmt.Errorf("the data directory belongs to node %d, but this is node %d: use the right directory or the right node id", identity.Node, o.Node)
	case o.ClusterID != "" && identity.ClusterID != o.ClusterID:
		return Identity{}, fmt.Errorf("the data directory belongs to cluster %s, not to %s: use the right directory", identity.ClusterID, o.ClusterID)
	}
	return identity, nil
}

// found gives a new directory its identity.
func found(h host.Host, o SetOptions) (Identity, error) {
	identity := Identity{ClusterID: o.ClusterID, Node: o.Node}
	if identity.ClusterID == "" {
		var b [16]byte
		if _, err := io.ReadFull(h.Secure, b[:]); err != nil {
			return Identity{}, fmt.Errorf("draw a cluster id: %w", err)
		}
		identity.ClusterID = base64.RawURLEncoding.EncodeToString(b[:])
	}
	if _, err := io.ReadFull(h.Secure, identity.Directory[:]); err != nil {
		return Identity{}, fmt.Errorf("draw a directory id: %w", err)
	}
	return identity, writeMeta(h.Disk, identity)
}

func readMeta(d host.Disk) (Identity, error) {
	f, err := d.Open(metaName, host.Mode{ReadOnly: true})
	if err != nil {
		return Identity{}, fmt.Errorf("open %q in the data directory: %w", metaName, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return Identity{}, fmt.Errorf("read %q in the data directory: %w", metaName, err)
	}
	b := make([]byte, min(size, largestMeta))
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return Identity{}, fmt.Errorf("read %q in the data directory: %w", metaName, err)
	}
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return Identity{}, fmt.Errorf("the file %q in the data directory is damaged (%v): restore it from a backup", metaName, err)
	}
	if m.Format != directoryFormat {
		return Identity{}, fmt.Errorf("the data directory has format %d, and this release knows format %d only: use the release that wrote it, or a newer one", m.Format, directoryFormat)
	}
	id, err := catalog.ParseID(m.Directory)
	if err != nil {
		return Identity{}, fmt.Errorf("the file %q in the data directory is damaged: directory.id: %w", metaName, err)
	}
	return Identity{ClusterID: m.ClusterID, Node: m.Node, Directory: id, Used: m.Used}, nil
}

// writeMeta replaces the file durably: a crash leaves the old one or the new one.
func writeMeta(d host.Disk, identity Identity) error {
	b, err := json.MarshalIndent(meta{
		Format: directoryFormat, ClusterID: identity.ClusterID, Node: identity.Node, Directory: identity.Directory.String(),
		Used: identity.Used,
	}, "", "  ")
	if err == nil {
		err = replaceMeta(d, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write %q in the data directory: %w", metaName, err)
	}
	return nil
}

func replaceMeta(d host.Disk, b []byte) error {
	if err := d.Remove(metaTemporary); err != nil && !errors.Is(err, host.ErrNotExist) {
		return err
	}
	f, err := d.Create(metaTemporary, int64(len(b)), host.Mode{})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.WriteAt(0, b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := d.Rename(metaTemporary, metaName); err != nil {
		return err
	}
	return d.SyncDir("")
}
