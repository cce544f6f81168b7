// Command bench loads brokers and says what it cost them.
//
//	bench produce|steady|consume|latency|topics
//	                                       one load on a running broker; one line of JSON
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
// the records that it kept from being sent; steady (steady.go) does so with what produce sends, and reads nothing back;
// topics creates topics one after the other.
//
// A produce at full speed has a latency, too: from the call that hands a record over, which waits while the client's
// buffers are full, to the acknowledgement. It is little more than the size of those buffers divided by the throughput.
// Beside it stands the time of a produce request, from its first byte on the wire to the last of its answer, several
// being under way at once. For what the broker adds, pair gives each produce load a second run at a steady rate, the same
// for both sides and well below what they can take, where a record's time begins when it was due. In all of these one
// record in 32 has its time taken. A consumer that reads what has long been written has only the times of its fetches;
// from the append to the delivery is what the latency load measures.
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
