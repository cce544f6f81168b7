package catalog

import (
	"fmt"

	"millrace/net/wire"
)

// resultVersion begins an encoded result.
const resultVersion = 0

// EncodeResult returns a result's bytes, which DecodeResult reads: the answer to a node that had its command forwarded.
//
//	version byte (0) | error z | message | index u | producer id z | broker epoch z | topic byte: 1 a topic's record follows
func EncodeResult(r Result) []byte {
	w := &writer{}
	w.byte(resultVersion)
	w.int(int64(r.Error))
	w.string(r.Message)
	w.uint(r.Index)
	w.int(r.ProducerID)
	w.int(r.BrokerEpoch)
	w.bool(r.Topic != nil)
	if r.Topic != nil {
		r.Topic.put(w)
	}
	return w.b
}

// DecodeResult reads a result.
func DecodeResult(b []byte) (Result, error) {
	r := &reader{b: b}
	if v := r.byte(); v != resultVersion && !r.failed {
		return Result{}, fmt.Errorf("catalog: result of version %d, newer than this release knows (%d)", v, resultVersion)
	}
	out := Result{
		Error: wire.ErrorCode(r.int16()), Message: r.string(), Index: r.uint(), ProducerID: r.int(), BrokerEpoch: r.int(),
	}
	if r.bool() {
		out.Topic = getTopic(r)
	}
	return out, r.done("result")
}
