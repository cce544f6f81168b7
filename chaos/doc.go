// Package chaos torments a cluster of real broker processes and checks what its clients saw.
//
// A run ([Run]) starts the brokers, puts a TCP proxy of its own (proxy.go) in front of every link between two nodes and
// between clients and a node, and lets real clients work (load.go, group.go, admin.go): idempotent producers whose
// records carry (client, counter), consumers, readers of the log's end, a consumer group whose members come and go and
// commit, and an administrator who creates and deletes topics. Meanwhile faults come by a plan that the seed decides
// (plan.go, faults.go): nodes are killed, stopped, restarted in order; links are cut, blocked in one direction, slowed; on
// one node segments rot while it is down.
// Clients that mean no good (hostile.go) may be let loose beside all that.
// A fault may strike whoever leads a partition at that moment, so a seed fixes the plan, not the run.
//
// Faults that take a node away never strike more than a minority at once; what only slows comes on top. In the end
// everything is healed, and the cluster must become whole: all nodes up, all replicas in sync, every record acknowledged.
// Then all logs are read, and the history goes to package linearizability, which knows nothing of how it came about, and to
// what is checked here (check.go): committed offsets of the group, topics that were created and deleted, brokers that
// ended by themselves, errors that the clients' own retries do not handle.
//
// The package knows brokers only as processes that can be started and struck (Process), so the same run works on any
// cluster that speaks Kafka's protocol.
package chaos
