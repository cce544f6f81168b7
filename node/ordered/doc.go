// Package ordered is a persistent ordered map: a treap whose nodes are never changed after they are made.
//
// [Map.Set] and [Map.Delete] return a new map that shares all but the path to the key with the old one, so a task may
// publish a map in a host.Snapshot after every change and go on changing its own: a change costs O(log n), however many
// keys there are. The shape depends on nothing but the set of keys (a node's priority is a hash of its key), so two
// replicas that hold the same keys hold the same tree.
//
// [Diff] walks two versions of a map and skips what they share; reconcilers use it to see what a new image changed
// without looking at all of it.
package ordered
