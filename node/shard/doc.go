// Package shard runs raft groups that replicate many partitions each, and puts the shards of a node together.
package shard
