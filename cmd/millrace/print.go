package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// printOptions say how consume shows a record.
type printOptions struct {
	format string // "text", "json", or a line with verbs
}

func (o *printOptions) validate() error {
	switch o.format {
	case "text", "json", "raw", "hex", "base64":
		return nil
	}
	if !strings.Contains(o.format, "%") {
		return fmt.Errorf("--format %s: must be text, raw, hex, base64, json, or a line with verbs such as %%k and %%v", o.format)
	}
	for i := 0; i < len(o.format); i++ {
		if o.format[i] != '%' {
			continue
		}
		i++
		if i == len(o.format) || !strings.ContainsRune("tpoTkKvsSh%", rune(o.format[i])) {
			return fmt.Errorf("--format: %%%s is no verb; there are %%t %%p %%o %%T %%k %%K %%v %%s %%S %%h %%%%", o.format[i:])
		}
	}
	return nil
}

func (o *printOptions) record(w *bufio.Writer, r *kgo.Record) error {
	switch o.format {
	case "text":
		w.Write(r.Value)
	case "raw":
		_, err := w.Write(r.Value)
		return err
	case "hex":
		w.WriteString(hex.EncodeToString(r.Value))
	case "base64":
		w.WriteString(base64.StdEncoding.EncodeToString(r.Value))
	case "json":
		data, err := json.Marshal(jsonRecord(r))
		if err != nil {
			return err
		}
		w.Write(data)
	default:
		o.verbs(w, r)
	}
	return w.WriteByte('\n')
}

// verbs writes the record as the format says. \n and \t in it are a new line and a tab.
func (o *printOptions) verbs(w *bufio.Writer, r *kgo.Record) {
	format := strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(o.format)
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			w.WriteByte(format[i])
			continue
		}
		i++
		switch format[i] {
		case 't':
			w.WriteString(r.Topic)
		case 'p':
			w.WriteString(strconv.Itoa(int(r.Partition)))
		case 'o':
			w.WriteString(strconv.FormatInt(r.Offset, 10))
		case 'T':
			w.WriteString(strconv.FormatInt(r.Timestamp.UnixMilli(), 10))
		case 'k':
			w.Write(r.Key)
		case 'v', 's':
			w.Write(r.Value)
		case 'K':
			w.WriteString(strconv.Itoa(lengthOf(r.Key)))
		case 'S':
			w.WriteString(strconv.Itoa(lengthOf(r.Value)))
		case 'h':
			for j, h := range r.Headers {
				if j > 0 {
					w.WriteByte(',')
				}
				w.WriteString(h.Key + "=" + string(h.Value))
			}
		case '%':
			w.WriteByte('%')
		}
	}
}

// lengthOf is -1 for null, as in kcat.
func lengthOf(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// shownRecord is a record in JSON. Bytes that are not UTF-8 go to the Base64 field instead; a null has neither.
type shownRecord struct {
	Topic       string        `json:"topic"`
	Partition   int32         `json:"partition"`
	Offset      int64         `json:"offset"`
	Timestamp   string        `json:"timestamp"`
	Key         *string       `json:"key"`
	KeyBase64   string        `json:"keyBase64,omitempty"`
	Value       *string       `json:"value"`
	ValueBase64 string        `json:"valueBase64,omitempty"`
	Headers     []shownHeader `json:"headers,omitempty"`
}

// shownHeader is one header; their order and repetition are kept.
type shownHeader struct {
	Name        string  `json:"name"`
	Value       *string `json:"value"`
	ValueBase64 string  `json:"valueBase64,omitempty"`
}

func jsonRecord(r *kgo.Record) shownRecord {
	shown := shownRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC().Format(time.RFC3339Nano)}
	shown.Key, shown.KeyBase64 = textOrBase64(r.Key)
	shown.Value, shown.ValueBase64 = textOrBase64(r.Value)
	for _, h := range r.Headers {
		sh := shownHeader{Name: h.Key}
		sh.Value, sh.ValueBase64 = textOrBase64(h.Value)
		shown.Headers = append(shown.Headers, sh)
	}
	return shown
}

func textOrBase64(b []byte) (*string, string) {
	if b == nil {
		return nil, ""
	}
	if !utf8.Valid(b) {
		return nil, base64.StdEncoding.EncodeToString(b)
	}
	s := string(b)
	return &s, ""
}
