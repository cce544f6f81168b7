// Command millrace is the one binary: a broker, and the client side of a topic's daily life.
//
//	millrace start               run a broker
//	millrace topic …             create, list, describe and delete topics
//	millrace group …             list, describe, explain and delete groups, move their offsets
//	millrace produce TOPIC       write records, one a line
//	millrace consume TOPIC       read records
//	millrace bench …             measure a cluster
//	millrace sim                 run the broker in the simulated world
//	millrace version             say what this is
//
// The client commands speak Kafka's protocol by a public client library, so they work with every broker that does.
//
// What a command finds goes to standard output, as lines for people or with --json as one JSON value (consume: one a
// line); what went wrong goes to standard error, with a sentence that says what to do. The exit code says the kind:
//
//	0  done
//	1  failed in a way not listed here
//	2  the command line is wrong
//	3  no broker answers
//	4  the topic (or partition, or group) does not exist
//	5  the topic exists already
//	6  the broker refused: what was asked is not valid or not allowed
//	7  the time given was not enough
//	130  interrupted before it was done
//
// Each command stands in a file of its own; root.go puts them together, failure.go turns errors into sentences and
// codes.
package main
