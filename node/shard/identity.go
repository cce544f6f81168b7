package shard

import "millrace/node/catalog"

// Identity is what the file "meta" in a data directory says.
type Identity struct {
	// ClusterID is Kafka's cluster id, 22 characters of base64.
	ClusterID string
	// Node is the node that the directory belongs to.
	Node int32
	// Directory names the directory itself.
	Directory catalog.ID
}
