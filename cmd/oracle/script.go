package main

import (
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"millrace/net/wire"
)

//go:embed script/*.txt
var scripts embed.FS

// suite is one script.
type suite struct {
	name  string
	steps []step
}

// step is one line of a script.
type step struct {
	line string // as it stands, for messages
	verb string // ask, send, take, raw, topic, group, producers, sleep, close
	args []string
	conn string
	key  int16
	// versions are those that are asked in turn.
	versions []int16
	name     string
	body     any
	frame    []byte
	keep     []keep
}

// keep says that a field of the answer is kept as a variable.
type keep struct{ name, path string }

// loadScripts reads all suites, by name; only those in chosen if there are any.
func loadScripts(chosen []string) ([]suite, error) {
	files, err := fs.Glob(scripts, "script/*.txt")
	if err != nil {
		return nil, err
	}
	var all []suite
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".txt")
		if len(chosen) > 0 && !slices.Contains(chosen, name) {
			continue
		}
		text, err := scripts.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s := suite{name: name}
		for _, line := range logicalLines(string(text)) {
			st, err := parseStep(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", file, line, err)
			}
			s.steps = append(s.steps, st)
		}
		all = append(all, s)
	}
	return all, nil
}

// logicalLines joins continued lines and leaves comments out.
func logicalLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
		case line[0] == ' ' && len(lines) > 0:
			lines[len(lines)-1] += "\n" + line
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

func parseStep(line string) (step, error) {
	s := step{line: line, verb: "ask", conn: "main"}
	first, rest, _ := strings.Cut(line, " ")
	switch first {
	case "topic", "group", "producers", "sleep", "close":
		s.verb, s.args = first, strings.Fields(rest)
		return s, nil
	case "raw":
		s.verb, line = "raw", rest
	}
	if conn, ok := strings.CutPrefix(first, "@"); ok {
		line = rest
		s.conn = strings.TrimRight(conn, "<>")
		if strings.HasSuffix(conn, ">") {
			s.verb = "send"
		} else if strings.HasSuffix(conn, "<") {
			s.verb = "take"
			return s, nil
		}
	}
	parts := strings.SplitN(line, "|", 3)
	if len(parts) != 3 {
		return s, fmt.Errorf("not API VERSIONS | case | BODY")
	}
	s.name = strings.TrimSpace(parts[1])
	if err := s.parseAPI(parts[0]); err != nil {
		return s, err
	}
	return s, s.parseBody(parts[2])
}

func (s *step) parseAPI(text string) error {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return fmt.Errorf("an API and its versions are expected, not %q", text)
	}
	i := slices.IndexFunc(wire.APIs(), func(a wire.API) bool { return a.Name == fields[0] })
	if i < 0 {
		return fmt.Errorf("there is no API %s", fields[0])
	}
	s.key = wire.APIs()[i].Key
	for part := range strings.SplitSeq(fields[1], ",") {
		low, high, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseInt(low, 10, 16)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseInt(high, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("version %q: %w", part, err)
		}
		for v := from; v <= to; v++ {
			s.versions = append(s.versions, int16(v))
		}
	}
	return nil
}

func (s *step) parseBody(text string) error {
	text, keeps, _ := strings.Cut(text, "=>")
	for _, k := range strings.Fields(keeps) {
		name, path, ok := strings.Cut(k, "=")
		if !ok {
			return fmt.Errorf("%q does not say what to keep", k)
		}
		s.keep = append(s.keep, keep{name, path})
	}
	if s.verb == "raw" {
		var err error
		s.frame, err = hex.DecodeString(strings.Join(strings.Fields(text), ""))
		return err
	}
	body, rest, err := parseValue(text)
	if err == nil && rest != "" {
		err = fmt.Errorf("%q follows the body", rest)
	}
	s.body = body
	return err
}
