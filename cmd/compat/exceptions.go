package main

// exception is a check that may fail, with what it then says and the reason why that is right.
type exception struct{ client, area, name, says, reason string }

// exceptions are all of them; each is in the table.
var exceptions = []exception{
	{"confluent-kafka-python", "transactions", "refused", "Timed out waiting", "librdkafka asks for the transaction coordinator " +
		"again and again, whatever the answer, until its own time is up; that transactions are not supported is only in its log"},
}
