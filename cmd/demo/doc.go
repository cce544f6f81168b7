// Command demo loads a real text through real clients and proves that what comes out is what went in.
//
//	demo                                 everything, against build/millrace
//	demo --lines 100000 --clients franz-go,kcat
//	demo --nodes 3 --phases kills,rolling --clients franz-go,kcat,java,sarama
//	demo --broker kafka                  against Apache Kafka, to check the demo itself
//
// The text is the Go distribution's own source: each line of each .go file is a record, its key the file's path, so that
// the lines of a file are one partition's and must come out in order. Lines are cut at 900,000 bytes and carriage
// returns are left out.
//
// In the quiet phase each client in turn loads the text into a topic of its own, and each of the others reads it. In the
// phase of kills the same is done while the broker is killed with SIGKILL again and again, each time with records handed
// to the client that are not in the log yet, and started again at once. The producers are idempotent. After each load
//
//   - the partitions together hold exactly as many offsets as the text has lines: nothing lost, nothing doubled;
//   - every reader finds for each file the same lines in the same order: the checksums agree.
//
// With --nodes the broker is a cluster and every topic has a replica on three of its nodes. A kill, or in the rolling
// phase a restart in order, falls on a node that leads one of the partitions; the load goes on while it is gone, and
// clients of all kinds read along. An error that a client's own retries do not handle ends the demo.
//
// The clients are franz-go (in this process), librdkafka (by kcat) and Java (by the console tools from Kafka's published
// jars, which Maven fetches), and on request sarama (by the program in .ci/tools/sarama). What is not installed is named, and left out only when --clients leaves it out.
package main
