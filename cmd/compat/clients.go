package main

// clients are all that are checked, those that take longest first.
var clients = []*client{
	{name: "java 4.3", needs: "Java 17 and Maven", install: javaHarness("4.3.1", "common", "since28", "since43"), least: 67},
	{name: "java 3.9", needs: "Java 17 and Maven", install: javaHarness("3.9.1", "common", "since28"), least: 58},
	{name: "java 2.8", needs: "Java 17 and Maven", install: javaHarness("2.8.2", "common", "since28"), least: 58},
	{name: "java 2.1", needs: "Java 17 and Maven", install: javaHarness("2.1.1", "common"), least: 51},
	{name: "confluent-kafka-python", needs: "Python 3 with venv", install: pythonHarness("confluent.py"), least: 57},
	{name: "kafka-python", needs: "Python 3 with venv", install: pythonHarness("kafkapython.py"), least: 52},
	{name: "aiokafka", needs: "Python 3 with venv", install: pythonHarness("aio.py"), least: 50},
	{name: "kafkajs", needs: "Node 18 with npm", install: nodeHarness, least: 43},
	{name: "franz-go", needs: "Go", install: goHarness("franz-go"), least: 51},
	{name: "sarama", needs: "Go", install: goHarness("sarama"), least: 49},
	{name: "kafka-go", needs: "Go", install: goHarness("kafka-go"), least: 42},
	{name: "kcat", needs: "kcat", install: installKcat, least: 28},
	{name: "kafka's tools", needs: "Java 17 and Maven", install: installTools, least: 11, alone: true},
	{name: "kafka streams", needs: "Java 17 and Maven", install: installStreams, least: 1, alone: true},
	{name: "kafka connect", needs: "Java 17 and Maven", install: installConnect, least: 1, alone: true},
}
