package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// mark is one end of one record: twice the record's number, plus one for the end behind.
type mark int

// text is the mark as it stands in a record.
func (m mark) text() string { return fmt.Sprintf("<<mark %08d>>", int(m)) }

// marksIn finds the marks in what was written.
func marksIn(data []byte) []mark {
	const before, digits, after = "<<mark ", 8, ">>"
	var all []mark
	for {
		i := bytes.Index(data, []byte(before))
		if i < 0 || len(data) < i+len(before)+digits+len(after) {
			return all
		}
		data = data[i+len(before):]
		if n, err := strconv.Atoi(string(data[:digits])); err == nil && string(data[digits:digits+len(after)]) == after {
			all = append(all, mark(n))
		}
	}
}

// answerNumbers is what the numbers of our requests begin with, so that no other answer is taken for one of ours.
const answerNumbers = 0x4d520000

// check walks over a trace and judges each answer as it leaves.
type check struct {
	files   *files
	records int // how many were sent

	sockets    map[string]*outgoing
	answered   map[int]bool
	violations []string
}

// outgoing is the stream of one connection: the bytes sent and not yet understood.
type outgoing struct {
	rest []byte
	skip int // bytes of the present frame still to come
}

func newCheck(records int) *check {
	return &check{files: newFiles(), records: records, sockets: map[string]*outgoing{}, answered: map[int]bool{}}
}

// begin judges answers: what they acknowledge must be on disk before the call that sends them begins.
func (k *check) begin(c *call) error {
	switch c.name {
	case "write", "writev", "sendto", "sendmsg", "sendmmsg":
		_, name, ok := file(c.args)
		if !ok || !strings.HasPrefix(name, "socket:") {
			return nil
		}
		data, err := joined(c.args)
		if err != nil {
			return err
		}
		k.send(c, name, data)
	case "fsync", "fdatasync":
		_, name, _ := file(c.args)
		k.files.syncBegins(c.thread, name, false)
	case "syncfs", "sync":
		k.files.syncBegins(c.thread, "", true)
	case "io_uring_enter", "io_submit":
		return fmt.Errorf("the broker uses %s, whose writes strace does not show", c.name)
	}
	return nil
}

// end notes what a call did.
func (k *check) end(c *call) error {
	n, ok := c.returned()
	switch c.name {
	case "fsync", "fdatasync", "syncfs", "sync":
		k.files.syncEnds(c)
		return nil
	}
	if !ok {
		return nil
	}
	switch c.name {
	case "open", "openat", "openat2", "creat":
		k.files.opened(c)
	case "dup", "dup2", "dup3":
		old, _, _ := file(c.args)
		k.files.synchronous[int(n)] = k.files.synchronous[old]
	case "fcntl":
		if strings.Contains(c.args, "F_DUPFD") {
			old, _, _ := file(c.args)
			k.files.synchronous[int(n)] = k.files.synchronous[old]
		}
	case "mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat":
		return k.name(c)
	case "write", "writev", "pwrite64", "pwritev", "pwritev2":
		fd, name, isFile := file(c.args)
		if !isFile || strings.HasPrefix(name, "socket:") {
			return nil
		}
		data, err := joined(c.args)
		if err != nil {
			return err
		}
		k.files.wrote(c, fd, name, data[:min(int64(len(data)), n)])
	}
	return nil
}

// directoryOrName finds the paths among the arguments: a directory as -y prints it, and the string that is relative to it.
var directoryOrName = regexp.MustCompile(`(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>|"((?:\\x[0-9a-f]{2})*)"`)

func (k *check) name(c *call) error {
	var names []string
	dir := ""
	for _, m := range directoryOrName.FindAllStringSubmatch(c.args, -1) {
		if m[1] != "" {
			dir = string(unhex(nil, m[1]))
			continue
		}
		name := string(unhex(nil, m[2]))
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		names = append(names, name)
	}
	switch {
	case strings.HasPrefix(c.name, "mkdir") && len(names) == 1:
		k.files.named(names[0], c.line)
	case strings.HasPrefix(c.name, "rename") && len(names) == 2:
		k.files.renamed(names[0], names[1], c.line)
	case strings.HasPrefix(c.name, "link") && len(names) == 2:
		k.files.named(names[1], c.line)
	default:
		return fmt.Errorf("%s with %d paths", c.name, len(names))
	}
	return nil
}

// send follows the frames of a connection and judges those of ours that begin to leave.
func (k *check) send(c *call, socket string, data []byte) {
	s := k.sockets[socket]
	if s == nil {
		s = &outgoing{}
		k.sockets[socket] = s
	}
	for len(data) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(data))
			s.skip, data = s.skip-n, data[n:]
			continue
		}
		n := min(8-len(s.rest), len(data))
		s.rest, data = append(s.rest, data[:n]...), data[n:]
		if len(s.rest) < 8 {
			return
		}
		size, id := binary.BigEndian.Uint32(s.rest), binary.BigEndian.Uint32(s.rest[4:])
		s.skip, s.rest = int(size)-4, nil
		if i := int(id) - answerNumbers; i >= 0 && i < k.records {
			k.judge(c, i)
		}
	}
}

func (k *check) judge(c *call, record int) {
	if k.answered[record] {
		k.violate("record %d was answered twice, the second time at line %d of the trace", record, c.line)
	}
	k.answered[record] = true
	for end := range 2 {
		if why := k.files.missing(mark(2*record + end)); why != "" {
			k.violate("the answer to record %d left at line %d of the trace, but %s", record, c.line, why)
			return
		}
	}
}

func (k *check) violate(format string, args ...any) {
	k.violations = append(k.violations, fmt.Sprintf(format, args...))
}

func itoa(n int) string { return strconv.Itoa(n) }
