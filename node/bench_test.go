package node

import (
	"testing"

	"millrace/net/wire"
)

// BenchmarkProduce is one batch of ten small records a request, acks=all, 32 requests on their way.
func BenchmarkProduce(b *testing.B) {
	broker := newBroker(b)
	makeTopic(b, newClient(b, broker), "t", 1)
	r := dialRaw(b, broker)
	q := produceRequest("t", -1, rawBatch(10, nil))
	b.ReportAllocs()
	const ahead = 32
	sent := 0
	for n := 0; b.Loop(); n++ {
		for sent < n+ahead {
			r.send(q, 9)
			sent++
		}
		r.receive(wire.KeyProduce, 9)
	}
	for range ahead - 1 {
		r.receive(wire.KeyProduce, 9)
	}
}

// BenchmarkFetch reads a hundred batches of sixty records at a time.
func BenchmarkFetch(b *testing.B) {
	broker := newBroker(b)
	makeTopic(b, newClient(b, broker), "t", 1)
	r := dialRaw(b, broker)
	for range 100 {
		ask[*wire.ProduceResponse](r, produceRequest("t", -1, rawBatch(60, nil)), 9)
	}
	q := fetchRequest("t", 0, 0)
	b.ReportAllocs()
	for b.Loop() {
		r.send(q, 12)
		if _, err := r.frame(); err != nil {
			b.Fatal(err)
		}
	}
}
