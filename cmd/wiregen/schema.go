package main

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// schema is one message as its JSON file has it.
type schema struct {
	APIKey         int16 `json:"apiKey"`
	Type           string
	Name           string
	Listeners      []string
	Valid          string `json:"validVersions"`
	Flexible       string `json:"flexibleVersions"`
	LatestUnstable bool   `json:"latestVersionUnstable"`
	Fields         []schemaField
	CommonStructs  []schemaStruct
}

type schemaStruct struct {
	Name     string
	Versions string
	Fields   []schemaField
}

type schemaField struct {
	Name     string
	Type     string
	Versions string
	Nullable string          `json:"nullableVersions"`
	Tagged   string          `json:"taggedVersions"`
	Tag      *int            `json:"tag"`
	Default  json.RawMessage `json:"default"`
	Fields   []schemaField
}

// readJars returns the schemas of every jar in dir whose name matches one of
// the patterns, by message name. Two jars may not define the same message.
func readJars(dir string, patterns ...string) (map[string]schema, error) {
	schemas := make(map[string]schema)
	for _, pattern := range patterns {
		jars, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(jars) != 1 {
			return nil, fmt.Errorf("%d jars match %s in %s, expected one", len(jars), pattern, dir)
		}
		if err := readJar(jars[0], schemas); err != nil {
			return nil, fmt.Errorf("read schemas of %s: %w", jars[0], err)
		}
	}
	return schemas, nil
}

func readJar(name string, into map[string]schema) error {
	jar, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer jar.Close()
	for _, entry := range jar.File {
		if ok, _ := path.Match("common/message/*.json", entry.Name); !ok {
			continue
		}
		file, err := entry.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			return err
		}
		var s schema
		if err := json.Unmarshal(stripComments(text), &s); err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
		if _, double := into[s.Name]; double {
			return fmt.Errorf("%s is defined twice", s.Name)
		}
		into[s.Name] = s
	}
	return nil
}

// stripComments blanks // comments outside strings; JSON knows none.
func stripComments(text []byte) []byte {
	out := make([]byte, 0, len(text))
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			out = append(out, c, text[i+1])
			i++
			continue
		case c == '"':
			inString = !inString
		case !inString && c == '/' && i+1 < len(text) && text[i+1] == '/':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			out = append(out, '\n')
			continue
		}
		out = append(out, text[i])
	}
	return out
}

// versions is an inclusive range; it is empty when min > max.
type versions struct{ min, max int16 }

var (
	noVersions  = versions{1, 0}
	allVersions = versions{0, 1<<15 - 1}
)

func parseVersions(s string) (versions, error) {
	if s == "" || s == "none" {
		return noVersions, nil
	}
	low, high, isRange := strings.Cut(s, "-")
	if base, open := strings.CutSuffix(s, "+"); open {
		low, high = base, strconv.Itoa(int(allVersions.max))
	} else if !isRange {
		high = low
	}
	min, errMin := strconv.ParseInt(low, 10, 16)
	max, errMax := strconv.ParseInt(high, 10, 16)
	if errMin != nil || errMax != nil {
		return noVersions, fmt.Errorf("version range %q is not understood", s)
	}
	return versions{int16(min), int16(max)}, nil
}

func (v versions) empty() bool            { return v.min > v.max }
func (v versions) has(version int16) bool { return v.min <= version && version <= v.max }

func (v versions) and(w versions) versions {
	return versions{max(v.min, w.min), min(v.max, w.max)}
}

// contains tells if every version of w is one of v.
func (v versions) contains(w versions) bool {
	return w.empty() || v.min <= w.min && w.max <= v.max
}

// condition is a Go expression that is true for the versions of v, given that
// the version is one of within; "true" and "false" when nothing is to ask.
func (v versions) condition(within versions) string {
	inside := v.and(within)
	switch {
	case inside.empty():
		return "false"
	case inside == within:
		return "true"
	case inside.min == inside.max:
		return fmt.Sprintf("version == %d", inside.min)
	case inside.max == within.max:
		return fmt.Sprintf("version >= %d", inside.min)
	case inside.min == within.min:
		return fmt.Sprintf("version <= %d", inside.max)
	}
	return fmt.Sprintf("version >= %d && version <= %d", inside.min, inside.max)
}

// String is the range as comments show it.
func (v versions) String() string {
	switch {
	case v.empty():
		return "none"
	case v.min == v.max:
		return strconv.Itoa(int(v.min))
	case v.max == allVersions.max:
		return fmt.Sprintf("%d+", v.min)
	}
	return fmt.Sprintf("%d-%d", v.min, v.max)
}
