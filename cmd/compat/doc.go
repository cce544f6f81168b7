// Command compat runs every Kafka client against Millrace, and compares what comes out with what went in.
//
//	compat --table docs/compatibility.md      every client, against build/millrace, and the table of the run
//	compat --clients "java 4.3,kafkajs"       only these
//	compat --broker kafka                     against Apache Kafka, to check the checks
//	compat --install                          only fetch and build what the clients need
//
// It starts a broker, and a cluster of three, and writes topics for the clients to read. Then each client's harness does
// everything at the one, and what depends on who leads and coordinates at the other. A harness is a program in the
// client's language, in the directory named after it, that is called and answers as said at the function harness. What can
// be done from here, by command lines and by franz-go, has its checks in this package. All harnesses write and read the
// same records, by a rule that each of them has, so that what one client writes another one is asked to read.
//
// A client that cannot be installed or run is reported as not run, and that is a failure. Failures that are right as they
// are stand in exceptions.go with their reasons.
package main
