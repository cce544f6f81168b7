// Command bench loads brokers and says what it cost them.
//
//	bench produce|consume|latency|topics   one load on a running broker; one line of JSON
//	bench floor                            what this machine's kernel and disk cost at least
//	bench failover                         the longest gap between acknowledgements when the leader of three nodes is struck
//	bench idle                             what 10,000 connections that do nothing cost
//	bench bombs                            memory under decompression bombs from many connections
//	bench crowd                            20,000 partitions on three nodes: creating, idling, losing a node
//	bench groups                           one join and leave in a group of 200; the heartbeats of 5,000 members
//	bench pair                             Millrace and Apache Kafka in turn, as a table of pairs
//	bench pair --cluster                   the same with three nodes and three replicas
//
// A single figure from one machine says little: others share it, and its page cache and disk have a history. So pair
// starts both brokers and gives each load to the one and to the other in turn, changing who is first, with all dirty
// pages written out before each run; the first round of each load is discarded and of the others the median counts.
// CPU seconds of the broker's process for each GB are steadier than throughput, and the floor, measured in between on
// the same machine, says how much of them no broker could avoid.
//
// What the loads are (loads.go): produce keeps a client's buffers full and counts until all is acknowledged; consume
// reads what a produce wrote; latency sends at a steady rate and takes the time from the call that hands a record over
// to its acknowledgement, and also from the moment when the rate wanted it handed over, so that a stall is not hidden by
// the records that it kept from being sent; topics creates topics one after the other.
//
// Around each latency load pair writes single blocks to the disk itself (disk.go), since an acknowledgement that waits for
// the disk cannot be faster: what the disk alone took in the same window stands in the table beside it.
//
// pair also measures what is not a load (moments.go): from the start of the process to the first acknowledged record,
// resident memory when idle, and from a start after SIGKILL with much data stored to the first acknowledged record.
//
// failover (failover.go, strike.go) starts a cluster, produces at a steady rate to one partition, and strikes its leader:
// kill -9, kill -STOP, or a restart in order. What counts is the longest time without an acknowledgement from then on;
// afterwards the log is read back, and nothing acknowledged may be lost or there twice. The client waits half a second
// for an answer before it asks elsewhere, since nobody can find out sooner that a stopped process will not answer.
//
// The command's own process and the broker's share the machine's cores, as do the loads that others compare with.
package main
