package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"time"
)

// recordInput is where records come from.
type recordInput struct {
	// next gives one record after the other, then io.EOF.
	next  func() ([]byte, error)
	close func() error
	// share is how much of it was read, 0 when nobody knows; typed says that a person writes it just now.
	share func(time.Duration) float64
	typed bool
}

func (s *session) recordSource(o produceOptions, values []string) (*recordInput, error) {
	input := &recordInput{close: func() error { return nil }, share: func(time.Duration) float64 { return 0 }}
	if len(values) > 0 {
		input.next = func() ([]byte, error) {
			if len(values) == 0 {
				return nil, io.EOF
			}
			v := values[0]
			values = values[1:]
			return []byte(v), nil
		}
		return input, nil
	}
	in := s.in
	if o.file != "" {
		f, err := os.Open(o.file)
		if err != nil {
			return nil, &failure{exit: exitUsage, message: err.Error()}
		}
		counted := &countedFile{File: f}
		in, input.close, input.share = counted, f.Close, counted.share
	} else if input.typed = isTerminal(s.in); input.typed {
		s.note("one record a line; end with Ctrl-D")
	}
	input.next = o.reader(in)
	return input, nil
}

// reader returns what gives the records that lie in the input.
func (o *produceOptions) reader(in io.Reader) func() ([]byte, error) {
	if o.whole {
		text, err := io.ReadAll(io.LimitReader(in, lineBytesMax+1))
		if err == nil && len(text) > lineBytesMax {
			err = errors.New("the input is larger than 64 MiB")
		}
		done := err == nil
		return func() ([]byte, error) {
			if !done {
				return nil, cmp.Or(err, io.EOF)
			}
			done = false
			return text, nil
		}
	}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 1<<16), lineBytesMax)
	scanner.Split(splitLines)
	return func() ([]byte, error) {
		if scanner.Scan() {
			return bytes.Clone(scanner.Bytes()), nil
		}
		if err := scanner.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
}

// splitLines is bufio.ScanLines without its taste for carriage returns: what is read is written.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
