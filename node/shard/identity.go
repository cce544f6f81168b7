package shard

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"millrace/node/catalog"
	"millrace/node/host"
)

const (
	metaName      = "meta"
	metaTemporary = "meta.new"
	lockName      = "lock"
	// directoryFormat is the version of the data directory as a whole. Format 1 knew clusters of one node only.
	directoryFormat = 2
	largestMeta     = 1 << 16
)

// Identity is what the file "meta" in a data directory says.
type Identity struct {
	// ClusterID is Kafka's cluster id, 22 characters of base64; empty until the cluster is formed.
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

// formed says whether the cluster of this directory is known.
func (i *Identity) formed() bool { return len(i.Controllers) > 0 }

// controller finds the catalog's replica on a node.
func (i *Identity) controller(node int32) (catalog.Member, bool) {
	at := slices.IndexFunc(i.Controllers, func(m catalog.Member) bool { return m.Node == node })
	if at < 0 {
		return catalog.Member{}, false
	}
	return i.Controllers[at], true
}

// nodes are the nodes of the cluster.
func (i *Identity) nodes() []int32 {
	var nodes []int32
	for _, m := range i.Controllers {
		nodes = append(nodes, m.Node)
	}
	return nodes
}

// meta is the file as JSON, for people to read.
type meta struct {
	Format      int              `json:"format"`
	ClusterID   string           `json:"cluster.id"`
	Node        int32            `json:"node.id"`
	Directory   string           `json:"directory.id"`
	Boots       uint64           `json:"boots"`
	Controllers []metaController `json:"controllers"`
	Used        bool             `json:"used"`
}

// metaController is one replica of the catalog.
type metaController struct {
	Node      int32  `json:"node.id"`
	Directory string `json:"directory.id"`
	Replica   uint64 `json:"replica"`
}

func controllersToMeta(members []catalog.Member) []metaController {
	var out []metaController
	for _, m := range members {
		out = append(out, metaController{Node: m.Node, Directory: m.Directory.String(), Replica: m.Replica})
	}
	return out
}

func controllersFromMeta(controllers []metaController) ([]catalog.Member, error) {
	var out []catalog.Member
	for _, c := range controllers {
		directory, err := catalog.ParseID(c.Directory)
		if err != nil {
			return nil, fmt.Errorf("the data directory of controller %d: %w", c.Node, err)
		}
		if c.Replica == 0 || len(out) > 0 && out[len(out)-1].Node >= c.Node {
			return nil, fmt.Errorf("controller %d is out of order", c.Node)
		}
		out = append(out, catalog.Member{Node: c.Node, Directory: directory, Replica: c.Replica, Generation: 1})
	}
	return out, nil
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

// identify reads the identity, or makes a new one, and counts this start.
func identify(h host.Host, o SetOptions, names []string) (Identity, error) {
	identity, err := readMeta(h.Disk)
	if errors.Is(err, host.ErrNotExist) {
		for _, name := range names {
			if name != lockName && name != metaTemporary && name != "lost+found/" {
				return Identity{}, fmt.Errorf("the data directory has no file %q but holds %q, so it is not Millrace's: choose an empty directory", metaName, name)
			}
		}
		identity = Identity{Node: o.Node}
		identity.Directory, err = drawID(h)
	}
	switch {
	case err != nil:
		return Identity{}, err
	case identity.Node != o.Node:
		return Identity{}, fmt.Errorf("the data directory belongs to node %d, but this is node %d: use the right directory or the right node id", identity.Node, o.Node)
	case o.ClusterID != "" && identity.formed() && identity.ClusterID != o.ClusterID:
		return Identity{}, fmt.Errorf("the data directory belongs to cluster %s, not to %s: use the right directory", identity.ClusterID, o.ClusterID)
	}
	if err := checkPeers(&identity, o); err != nil {
		return Identity{}, err
	}
	if identity.Incarnation, err = drawID(h); err != nil {
		return Identity{}, err
	}
	if o.alone() && !identity.formed() {
		if err := identity.found(h, o.ClusterID, []catalog.Member{{Node: o.Node, Directory: identity.Directory}}); err != nil {
			return Identity{}, err
		}
	}
	identity.Boots++
	return identity, writeMeta(h.Disk, identity)
}

// found makes the identity that of a new cluster.
func (i *Identity) found(h host.Host, clusterID string, controllers []catalog.Member) error {
	if clusterID == "" {
		id, err := drawID(h)
		if err != nil {
			return err
		}
		clusterID = id.String()
	}
	slices.SortFunc(controllers, func(a, b catalog.Member) int { return cmp.Compare(a.Node, b.Node) })
	for n := range controllers {
		controllers[n].Replica, controllers[n].Generation = uint64(n+1), 1
	}
	i.ClusterID, i.Controllers = clusterID, controllers
	return nil
}

func drawID(h host.Host) (id catalog.ID, err error) {
	if _, err := io.ReadFull(h.Secure, id[:]); err != nil {
		return id, fmt.Errorf("draw an id: %w", err)
	}
	return id, nil
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
	if m.Format < 1 || m.Format > directoryFormat {
		return Identity{}, fmt.Errorf("the data directory has format %d, and this release knows formats up to %d only: use the release that wrote it, or a newer one", m.Format, directoryFormat)
	}
	id, err := catalog.ParseID(m.Directory)
	if err != nil {
		return Identity{}, fmt.Errorf("the file %q in the data directory is damaged: directory.id: %w", metaName, err)
	}
	identity := Identity{ClusterID: m.ClusterID, Node: m.Node, Directory: id, Boots: m.Boots, Used: m.Used}
	if m.Format == 1 {
		identity.Controllers = []catalog.Member{{Node: m.Node, Directory: id, Replica: 1, Generation: 1}}
		return identity, nil
	}
	if identity.Controllers, err = controllersFromMeta(m.Controllers); err != nil {
		return Identity{}, fmt.Errorf("the file %q in the data directory is damaged: %w", metaName, err)
	}
	return identity, nil
}

// writeMeta replaces the file durably: a crash leaves the old one or the new one.
func writeMeta(d host.Disk, identity Identity) error {
	b, err := json.MarshalIndent(meta{
		Format: directoryFormat, ClusterID: identity.ClusterID, Node: identity.Node, Directory: identity.Directory.String(),
		Boots: identity.Boots, Controllers: controllersToMeta(identity.Controllers), Used: identity.Used,
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
