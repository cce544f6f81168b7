// Command oracle holds Millrace against Apache Kafka: it starts both, sends both the same several hundred requests, odd,
// edge and invalid ones among them, and compares the answers field by field.
//
// # Scripts
//
// What is sent lies in script/*.txt, one suite a file. Suites run one after the other on each broker, the two brokers
// side by side. A line is one of
//
//	# a comment
//	API VERSIONS | case | BODY          ask, and compare the answers; VERSIONS is 3, 3,5,7 or 3-7
//	API VERSIONS | case | BODY => x=Topics[0].TopicId
//	                                    ... and keep a field of each broker's own answer as $x
//	@b API VERSIONS | case | BODY       on another connection, named b
//	@b> API VERSION | case | BODY       send only
//	@b< the same case                   now take the answer and compare it
//	raw API VERSION | case | 0001 0002  a frame in hexadecimal, without its size; the answer is read as that API's
//	topic NAME PARTITIONS k=v ...       make a topic and wait until it can be used; not compared
//	group NAME                          wait until the group has a coordinator; not compared
//	producers                           wait until producer ids are given; not compared
//	sleep MS
//	close b                             close a connection
//
// A line that begins with a space goes on with the line before. In a case or body, $v is the version and $x what was kept.
//
// A body is a message: {Field: value, ...} with the names that package wire has; fields that are not named have the
// protocol's defaults, but TimeoutMs is ten seconds. Lists are [a, b], words need quotes only with spaces or punctuation in them, null is null. A field
// of bytes is text, 0x and hexadecimal, or {records: 3, ...}, which is a record batch (see batch.go), a list of such, or
// {subscription: [t]}, {assignment: {t: [0]}} of the consumer protocol. $now is the time at which the tool was started
// and $now+5 five milliseconds later.
//
// # What is compared
//
// Every field of the answer, in order. What must differ is put into a common form first: addresses, ids that a broker
// draws (by the order in which they come up in a suite), leader epochs (only whether there is one), the time. Lists that
// Kafka takes from a hash map are sorted (see unordered). Whether a connection was closed instead is an answer, too.
// One thing is not a difference: where Kafka refuses without a word (ErrorMessage is null), Millrace may say why.
//
// # Accepted differences
//
// accepted.txt lists at most 20 differences that are meant: one API, one case, one field (with what is in it), and the
// reason. A difference
// that is not listed fails, and so does a listed one that no longer occurs.
package main
