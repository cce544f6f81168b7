package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
)

// pipeLines runs a producer that reads a record a line, and returns what it said.
func pipeLines(ctx context.Context, cmd *exec.Cmd, f *feed) (string, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	var said tailWriter
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(in, 1<<14)
	fed := f.each(ctx, func(key string, line []byte) error {
		w.WriteString(key)
		w.WriteByte(keyEnd)
		w.Write(line)
		return w.WriteByte('\n')
	})
	if err := w.Flush(); fed == nil {
		fed = err
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd.Path, err, said.text())
	}
	if fed != nil {
		return "", fmt.Errorf("writing to %s: %w\n%s", cmd.Path, fed, said.text())
	}
	return said.text(), nil
}

// readLines runs a consumer that prints a record a line.
func readLines(cmd *exec.Cmd, d *digest) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said tailWriter
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	read := addLines(out, d)
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, said.text())
	}
	return read
}

func addLines(out io.Reader, d *digest) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 1<<16), lineBytesMax+1<<16)
	for lines.Scan() {
		key, value, ok := bytes.Cut(lines.Bytes(), []byte{keyEnd})
		if !ok {
			return fmt.Errorf("a line without a key came out: %.80q", lines.Bytes())
		}
		d.add(string(key), value)
	}
	return lines.Err()
}

// tailWriter keeps the beginning and the end of what a program says.
type tailWriter struct{ head, tail []byte }

const keptBytes = 4000

func (t *tailWriter) Write(p []byte) (int, error) {
	n := min(len(p), keptBytes-len(t.head))
	t.head = append(t.head, p[:n]...)
	t.tail = append(t.tail, p[n:]...)
	t.tail = t.tail[max(0, len(t.tail)-keptBytes):]
	return len(p), nil
}

func (t *tailWriter) text() string { return string(t.head) + "\n…\n" + string(t.tail) }
