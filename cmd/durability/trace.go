package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
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

var (
	wholeLine   = regexp.MustCompile(`^(\d+) +([a-z0-9_]+)\((.*)\) += (.*)$`)
	unfinished  = regexp.MustCompile(`^(\d+) +([a-z0-9_]+)\((.*) <unfinished \.\.\.>$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. ([a-z0-9_]+) resumed>(.*)\) += (.*)$`)
	otherLine   = regexp.MustCompile(`^\d+ +(\+\+\+ .* \+\+\+|--- .* ---|<\.\.\. .* resumed>.*<unfinished \.\.\.>|\?\?\?\?.*|.*<(detached|unavailable).*)$`)
)

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

func readLine(n int, text string, pending map[int]*call, v visitor) error {
	if m := wholeLine.FindStringSubmatch(text); m != nil {
		c := &call{line: n, thread: number(m[1]), name: m[2], args: m[3]}
		if err := v.begin(c); err != nil {
			return err
		}
		c.result = m[4]
		return v.end(c)
	}
	if m := unfinished.FindStringSubmatch(text); m != nil {
		c := &call{line: n, thread: number(m[1]), name: m[2], args: m[3]}
		pending[c.thread] = c
		return v.begin(c)
	}
	if m := resumedLine.FindStringSubmatch(text); m != nil {
		c := pending[number(m[1])]
		if c == nil || c.name != m[2] {
			return fmt.Errorf("%s ends but did not begin", m[2])
		}
		delete(pending, c.thread)
		c.line, c.args, c.result = n, c.args+m[3], m[4]
		return v.end(c)
	}
	if otherLine.MatchString(text) {
		return nil
	}
	return fmt.Errorf("what does this mean: %.200s", text)
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

var (
	descriptor = regexp.MustCompile(`^(\d+)<((?:\\x[0-9a-f]{2})*)>`)
	quoted     = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?`)
)

// file splits a descriptor as -y prints it into its number and path; ok is false where there is none.
func file(s string) (fd int, path string, ok bool) {
	m := descriptor.FindStringSubmatch(s)
	if m == nil {
		return 0, "", false
	}
	return number(m[1]), string(unhex(m[2])), true
}

// stringsOf returns the strings among the arguments. It fails when one was cut.
func stringsOf(args string) ([][]byte, error) {
	var all [][]byte
	for _, m := range quoted.FindAllStringSubmatch(args, -1) {
		if m[2] != "" {
			return nil, fmt.Errorf("strace cut a string after %d bytes", len(m[1])/4)
		}
		all = append(all, unhex(m[1]))
	}
	return all, nil
}

// unhex decodes \x68\x69.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return nil
	}
	return b
}

// returned is the number that a call returned; ok is false when it failed.
func (c *call) returned() (n int64, ok bool) {
	field, _, _ := strings.Cut(c.result, " ")
	field, _, _ = strings.Cut(field, "<")
	n, err := strconv.ParseInt(field, 0, 64)
	return n, err == nil && n >= 0
}
