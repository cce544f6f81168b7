// Package client is a Kafka client as tasks on node/host, for the simulator: it speaks bytes through the simulated
// network, and follows the rules that the usual clients follow.
//
//   - [Client]: connections by broker, versions from ApiVersions, metadata with leaders; one request, one answer.
//   - [Producer]: batches with at most five requests in flight; idempotent with Kafka's sequences, the same sequence on
//     a retry, a new epoch after a gap; or plain, sending each batch once. By the rules of the Java client or of librdkafka.
//   - [Fetcher]: positions of partitions, with or without a fetch session; every batch's CRC is checked.
//   - [Member]: a member of a consumer group, of the classic protocol (eager or cooperative) or of the consumer protocol, with
//     the conclusions that the Java client draws from errors. What it has, it gives up before anybody can hear of it, and it
//     knows until when it can be sure to be a member.
//   - topics.go, offsets.go: the admin and offset requests that the load makes.
//
// A Client and what is made from it belong to one task. Reading answers is a task of its own for each connection.
//
// An operation ends in one of three ways: done, failed for certain, or unknown. A failure is certain only when every
// attempt was answered by an error that says that nothing happened.
package client
