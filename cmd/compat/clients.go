package main

// clients are all that are checked, those that take longest first.
var clients = []*client{
	{name: "java 4.3", needs: "Java 17 and Maven", install: javaHarness("4.3.1", "common", "since28", "since43")},
	{name: "java 3.9", needs: "Java 17 and Maven", install: javaHarness("3.9.1", "common", "since28")},
	{name: "java 2.8", needs: "Java 17 and Maven", install: javaHarness("2.8.2", "common", "since28")},
	{name: "java 2.1", needs: "Java 17 and Maven", install: javaHarness("2.1.1", "common")},
	{name: "confluent-kafka-python", needs: "Python 3 with venv", install: pythonHarness("confluent.py")},
	{name: "kafka-python", needs: "Python 3 with venv", install: pythonHarness("kafkapython.py")},
	{name: "aiokafka", needs: "Python 3 with venv", install: pythonHarness("aio.py")},
	{name: "kafkajs", needs: "Node 18 with npm", install: nodeHarness},
	{name: "franz-go", needs: "Go", install: goHarness("franz-go")},
	{name: "sarama", needs: "Go", install: goHarness("sarama")},
	{name: "kafka-go", needs: "Go", install: goHarness("kafka-go")},
	{name: "kcat", needs: "kcat", install: installKcat},
	{name: "kafka's tools", needs: "Java 17 and Maven", install: installTools, alone: true},
	{name: "kafka streams", needs: "Java 17 and Maven", install: installStreams, alone: true},
	{name: "kafka connect", needs: "Java 17 and Maven", install: installConnect, alone: true},
}
