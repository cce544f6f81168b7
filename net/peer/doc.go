// Package peer keeps the links between the nodes of a cluster: raft messages with their payloads, notes, and calls.
package peer
