package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The formats in which produce reads records.
var produceFormats = map[string]func([]byte) ([]byte, error){
	"text":   func(b []byte) ([]byte, error) { return b, nil },
	"hex":    func(b []byte) ([]byte, error) { return hex.AppendDecode(nil, bytes.TrimSpace(b)) },
	"base64": func(b []byte) ([]byte, error) { return base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(b)) },
}

// decode turns the bytes of a key or a value into what is written.
func (o *produceOptions) decode(what string, b []byte) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	format := cmp.Or(o.format, "text")
	out, err := produceFormats[format](b)
	if err != nil {
		return nil, fmt.Errorf("%s %.60q is not %s: %w", what, b, format, err)
	}
	if out == nil {
		out = []byte{}
	}
	return out, nil
}

// jsonInput is a record as consume --json prints it. Topic, partition and offset are passed over: where a record goes is said
// by the command line.
type jsonInput struct {
	Topic       *string       `json:"topic"`
	Partition   *int32        `json:"partition"`
	Offset      *int64        `json:"offset"`
	Timestamp   *time.Time    `json:"timestamp"`
	Key         *string       `json:"key"`
	KeyBase64   *string       `json:"keyBase64"`
	Value       *string       `json:"value"`
	ValueBase64 *string       `json:"valueBase64"`
	Headers     []shownHeader `json:"headers"`
}

// recordOfJSON reads one.
func recordOfJSON(line []byte) (*kgo.Record, error) {
	var in jsonInput
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("the record %.60q is not JSON as consume --json prints it: %w", line, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more than one JSON value in the line %.60q", line)
	}
	r := &kgo.Record{}
	var err error
	if r.Key, err = textOrDecoded("key", in.Key, in.KeyBase64); err != nil {
		return nil, err
	}
	if r.Value, err = textOrDecoded("value", in.Value, in.ValueBase64); err != nil {
		return nil, err
	}
	for _, h := range in.Headers {
		encoded := &h.ValueBase64
		if h.ValueBase64 == "" {
			encoded = nil
		}
		value, err := textOrDecoded("header "+h.Name, h.Value, encoded)
		if err != nil {
			return nil, err
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: value})
	}
	if in.Timestamp != nil {
		r.Timestamp = *in.Timestamp
	}
	return r, nil
}

// textOrDecoded is the reverse of textOrBase64.
func textOrDecoded(what string, text, encoded *string) ([]byte, error) {
	switch {
	case text != nil && encoded != nil:
		return nil, fmt.Errorf("%s has both a text and a Base64 form", what)
	case text != nil:
		return []byte(*text), nil
	case encoded != nil:
		b, err := base64.StdEncoding.DecodeString(*encoded)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return b, nil
	}
	return nil, nil
}

// defaultBatch is how large a batch may be when the topic does not say: it may not exist yet.
const defaultBatch = 1000000

// largestBatch is how large a batch of a topic may be.
func (s *session) largestBatch(ctx context.Context, topic string) (int32, error) {
	c, err := s.client(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, contactTime)
	defer cancel()
	configs, err := kadm.NewClient(c).DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return defaultBatch, nil
	}
	for _, r := range configs {
		for _, config := range r.Configs {
			if n, err := strconv.ParseInt(config.MaybeValue(), 10, 32); err == nil && config.Key == "max.message.bytes" {
				return int32(min(max(n, 1), lineBytesMax+1<<20)), nil
			}
		}
	}
	return defaultBatch, nil
}
