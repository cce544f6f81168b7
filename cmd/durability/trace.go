package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// traced are the system calls that strace is asked for: all that write, send, sync or name.
const traced = "openat,openat2,open,creat,close,dup,dup2,dup3,fcntl,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg," +
	"sendfile,splice,copy_file_range,fsync,fdatasync,syncfs,sync,sync_file_range,msync,rename,renameat,renameat2,mkdir,mkdirat," +
	"link,linkat,io_uring_enter,io_submit"

// stringBytesMax is how much of a string strace prints: more than any one write here.
const stringBytesMax = 32 << 20

// straceArgs is the command line that runs another under strace. Strings and paths are printed in hexadecimal (-xx), so
// that nothing in them can be mistaken for syntax, and descriptors with their paths (-y).
func straceArgs(output string, args []string) []string {
	return append([]string{"strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", strconv.Itoa(stringBytesMax),
		"-e", "trace=" + traced, "-e", "signal=none", "-o", output, "--"}, args...)
}

// call is one system call, seen at its beginning or its end.
type call struct {
	line   int // of the trace
	thread int
	name   string
	args   string // at the end: of the beginning and the end together
	result string // at the end: what stands after the equals sign
}

// visitor is told each call as it begins and as it ends, in the order in which strace saw it.
type visitor interface {
	begin(c *call) error
	end(c *call) error
}

// readTrace reads what strace wrote.
func readTrace(r io.Reader, v visitor) error {
	lines := bufio.NewReaderSize(r, 1<<20)
	pending := map[int]*call{}
	for n := 1; ; n++ {
		text, err := lines.ReadString('\n')
		if err == io.EOF && text == "" {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		if err := readLine(n, strings.TrimSuffix(text, "\n"), pending, v); err != nil {
			return fmt.Errorf("line %d of the trace: %w", n, err)
		}
	}
}

// readLine understands the three forms of a line that tell of a call: whole, begun (when another thread comes between),
// and resumed. Lines are long, so they are taken apart by hand.
func readLine(n int, text string, pending map[int]*call, v visitor) error {
	id, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimLeft(rest, " ")
	thread, err := strconv.Atoi(id)
	switch {
	case err != nil:
		return fmt.Errorf("what does this mean: %.200s", text)
	case strings.HasPrefix(rest, "+++ "), strings.HasPrefix(rest, "--- "), strings.HasPrefix(rest, "????"):
		return nil // a thread ended, a signal came
	}
	if resumed, ok := strings.CutPrefix(rest, "<... "); ok {
		name, more, ok := strings.Cut(resumed, " resumed>")
		if strings.HasSuffix(more, "<unfinished ...>") {
			return nil // killed inside the call
		}
		c := pending[thread]
		if !ok || c == nil || c.name != name {
			return fmt.Errorf("%s ends but did not begin", name)
		}
		args, result, ok := cutResult(more)
		if !ok {
			return fmt.Errorf("what does this mean: %.200s", text)
		}
		delete(pending, thread)
		c.line, c.args, c.result = n, c.args+args, result
		return v.end(c)
	}
	name, args, ok := strings.Cut(rest, "(")
	if !ok {
		return fmt.Errorf("what does this mean: %.200s", text)
	}
	c := &call{line: n, thread: thread, name: name}
	if c.args, ok = strings.CutSuffix(args, " <unfinished ...>"); ok {
		pending[thread] = c
		return v.begin(c)
	}
	if c.args, c.result, ok = cutResult(args); !ok {
		return fmt.Errorf("what does this mean: %.200s", text)
	}
	if err := v.begin(c); err != nil {
		return err
	}
	return v.end(c)
}

// cutResult splits what follows the opening parenthesis at the closing one, after which the result stands.
func cutResult(s string) (args, result string, ok bool) {
	i := strings.LastIndex(s, ") ")
	for i >= 0 {
		after := strings.TrimLeft(s[i+2:], " ")
		if result, ok := strings.CutPrefix(after, "= "); ok {
			return s[:i], result, true
		}
		// An error's text in parentheses may end the line: look further to the front.
		i = strings.LastIndex(s[:i], ") ")
	}
	return "", "", false
}

// file splits a descriptor as -y prints it into its number and path; ok is false where there is none.
func file(s string) (fd int, path string, ok bool) {
	id, rest, found := strings.Cut(s, "<")
	fd, err := strconv.Atoi(id)
	hexed, _, closed := strings.Cut(rest, ">")
	if !found || !closed || err != nil {
		return 0, "", false
	}
	return fd, string(unhex(nil, hexed)), true
}

// joined returns the strings among the arguments as one: the pieces of a writing call are one stream. It fails when
// strace cut one.
func joined(args string) ([]byte, error) {
	data := make([]byte, 0, len(args)/4)
	for {
		_, rest, ok := strings.Cut(args, `"`)
		if !ok {
			return data, nil
		}
		text, after, ok := strings.Cut(rest, `"`)
		if !ok || strings.HasPrefix(after, "...") {
			return nil, fmt.Errorf("strace cut a string after %d bytes", len(text)/4)
		}
		data = unhex(data, text)
		args = after
	}
}

// unhex appends what \x68\x69 stands for.
func unhex(data []byte, s string) []byte {
	for ; len(s) >= 4; s = s[4:] {
		data = append(data, digit(s[2])<<4|digit(s[3]))
	}
	return data
}

func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// returned is the number that a call returned; ok is false when it failed.
func (c *call) returned() (n int64, ok bool) {
	field, _, _ := strings.Cut(c.result, " ")
	field, _, _ = strings.Cut(field, "<")
	n, err := strconv.ParseInt(field, 0, 64)
	return n, err == nil && n >= 0
}
