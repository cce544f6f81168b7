package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	return b.String()
}

// answer is the beginning of the call that sends the answer to record 0.
func answer(size int) string {
	frame := binary.BigEndian.AppendUint32(nil, uint32(size))
	frame = binary.BigEndian.AppendUint32(frame, answerNumbers)
	frame = append(frame, make([]byte, size-4)...)
	return fmt.Sprintf(`2 write(9<%s>, "%s", %d) = %d`, hexed("socket:[77]"), hexed(string(frame)), len(frame), len(frame))
}

// The lines that the traces below are made of. W is a write of record 0 to the log.
func traceOf(flags string, lines ...string) string {
	log, dir, root := hexed("/data/wal/1"), hexed("/data/wal"), hexed("/data")
	data := mark(0).text() + "…" + mark(1).text()
	write := fmt.Sprintf(`pwrite64(5<%s>, "%s", %d, 4096`, log, hexed(data), len(data))
	known := map[string]string{
		"mkdir":      fmt.Sprintf(`1 mkdirat(3<%s>, "%s", 0755) = 0`, root, hexed("wal")),
		"open":       fmt.Sprintf(`1 openat(4<%s>, "%s", O_RDWR|O_CREAT|%s, 0644) = 5<%s>`, dir, hexed("1"), flags, log),
		"sync dir":   fmt.Sprintf(`1 fsync(4<%s>) = 0`, dir),
		"sync root":  fmt.Sprintf(`1 fsync(3<%s>) = 0`, root),
		"write":      fmt.Sprintf(`1 %s) = %d`, write, len(data)),
		"short":      fmt.Sprintf(`1 %s) = 20`, write),
		"failed":     fmt.Sprintf(`1 %s) = -1 EIO (Input/output error)`, write),
		"write…":     fmt.Sprintf(`1 %s <unfinished ...>`, write),
		"…write":     fmt.Sprintf(`1 <... pwrite64 resumed>) = %d`, len(data)),
		"sync":       fmt.Sprintf(`1 fdatasync(5<%s>) = 0`, log),
		"sync fails": fmt.Sprintf(`1 fdatasync(5<%s>) = -1 EIO (Input/output error)`, log),
		"sync…":      fmt.Sprintf(`3 fdatasync(5<%s> <unfinished ...>`, log),
		"…sync":      `3 <... fdatasync resumed>) = 0`,
		"syncfs":     fmt.Sprintf(`1 syncfs(3<%s>) = 0`, root),
		"answer":     answer(40),
		"exit":       `1 +++ killed by SIGKILL +++`,
	}
	var b strings.Builder
	for _, l := range append([]string{"mkdir", "open"}, lines...) {
		if known[l] == "" {
			panic(l)
		}
		b.WriteString(known[l] + "\n")
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags string
		lines string
		want  string // what the first violation says; none when empty
	}{
		{"synchronous write", "O_DSYNC", "sync dir,sync root,write,answer,exit", ""},
		{"write and sync", "O_CLOEXEC", "sync dir,sync root,write,sync,answer", ""},
		{"write and syncfs", "O_CLOEXEC", "write,syncfs,answer", ""},
		{"a write that takes time", "O_DSYNC", "sync dir,sync root,write…,…write,answer", ""},
		{"answer before the write", "O_DSYNC", "sync dir,sync root,answer,write", "not written to any file"},
		{"answer while writing", "O_DSYNC", "sync dir,sync root,write…,answer,…write", "not written to any file"},
		{"no sync", "O_CLOEXEC", "sync dir,sync root,write,answer,sync", "not synced since"},
		{"answer while syncing", "O_CLOEXEC", "sync dir,sync root,write,sync…,answer,…sync", "not synced since"},
		{"a sync that began before", "O_CLOEXEC", "sync dir,sync root,sync…,write,…sync,answer", "not synced since"},
		{"a sync that failed", "O_CLOEXEC", "sync dir,sync root,write,sync fails,answer", "not synced since"},
		{"a write that failed", "O_DSYNC", "sync dir,sync root,failed,answer", "not written to any file"},
		{"half a write", "O_DSYNC", "sync dir,sync root,short,answer", "not written to any file"},
		{"file not named", "O_DSYNC", "sync root,write,answer", "the directory of /data/wal/1"},
		{"directory not named", "O_DSYNC", "sync dir,write,answer", "the directory of /data/wal,"},
	} {
		k := newCheck(1)
		if err := readTrace(strings.NewReader(traceOf(c.flags, strings.Split(c.lines, ",")...)), k); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := strings.Join(k.violations, "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || len(k.answered) != 1 {
			t.Errorf("%s: violations %q, want %q; %d answers", c.name, got, c.want, len(k.answered))
		}
	}
}

func TestReadTraceRefuses(t *testing.T) {
	for _, text := range []string{
		"1 fsync(4<\\x2f>)\n",
		"1 <... fsync resumed>) = 0\n",
		`1 write(4<\x2f>, "\x61"..., 100) = 100` + "\n",
		"1 io_uring_enter(3<\\x2f>, 1, 0, 0, NULL, 8) = 1\n",
	} {
		if err := readTrace(strings.NewReader(text), newCheck(1)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// TestSend cuts a stream of two answers at every place.
func TestSend(t *testing.T) {
	stream := ""
	for i := range 2 {
		frame := binary.BigEndian.AppendUint32(nil, 10)
		frame = binary.BigEndian.AppendUint32(frame, uint32(answerNumbers+i))
		stream += string(frame) + "123456"
	}
	for cut := range len(stream) {
		k := newCheck(2)
		k.send(&call{}, "socket", []byte(stream[:cut]))
		k.send(&call{}, "socket", []byte(stream[cut:]))
		if len(k.answered) != 2 {
			t.Errorf("cut at %d: %d answers", cut, len(k.answered))
		}
	}
}
