package batch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestBatchesOfRealClients reads what librdkafka (kcat) and Kafka's Java producer sent, as a Kafka broker stored it: 30
// records keyed key1 to key30, with each codec.
func TestBatchesOfRealClients(t *testing.T) {
	names, err := filepath.Glob("testdata/clients/*")
	if err != nil || len(names) != 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for len(data) > 0 {
			h, err := Parse(data)
			if err != nil {
				t.Fatal(name, err)
			}
			b := data[:h.Size()]
			data = data[h.Size():]
			if err := CheckCRC(b); err != nil {
				t.Fatal(name, err)
			}
			for _, r := range list(t, b) {
				n++
				value := fmt.Sprintf("the quick brown fox number %d jumps over the lazy dog, again and again and again and again and again", n)
				if string(r.Key) != fmt.Sprintf("key%d", n) || string(r.Value) != value || r.Offset != int64(n-1) {
					t.Fatalf("%s: record %d: %s %s", name, n, r.Key, r.Value)
				}
			}
			StampOffset(b, 0, 0)
			o := open()
			o.Now, o.AfterMax = h.MaxTimestamp, 1
			i, err := Validate(b, o)
			if err != nil || i.Rewritten || i.MaxTimestamp != h.MaxTimestamp {
				t.Fatal(name, err)
			}
		}
		if n != 30 {
			t.Fatalf("%s: %d records", name, n)
		}
	}
}
