package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// lineBytesMax is where lines are cut, so that a record stays below a broker's default limit of about a megabyte.
const lineBytesMax = 900_000

// source is the text to load.
type source struct {
	root  string
	files []string // paths below root, slash-separated, sorted
	lines int      // how many lines to load at most, 0 for all
}

// goSource finds the .go files of the Go distribution.
func goSource(ctx context.Context, lines int) (*source, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for its source: %w", err)
	}
	s := &source{root: filepath.Join(strings.TrimSpace(string(out)), "src"), lines: lines}
	err = filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".go") {
			rel, err := filepath.Rel(s.root, path)
			if err != nil {
				return err
			}
			s.files = append(s.files, filepath.ToSlash(rel))
		}
		return err
	})
	return s, err
}

// each calls fn for every line, in order. The line is fn's to keep.
func (s *source) each(fn func(key string, line []byte) error) error {
	left := s.lines
	for _, name := range s.files {
		f, err := os.Open(filepath.Join(s.root, name))
		if err != nil {
			return err
		}
		err = eachLine(f, func(line []byte) error {
			if err := fn(name, line); err != nil {
				return err
			}
			if left--; left == 0 {
				return errEnough
			}
			return nil
		})
		f.Close()
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

var errEnough = errors.New("enough lines")

func eachLine(r io.Reader, fn func([]byte) error) error {
	b := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			line = bytes.ReplaceAll(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"), nil)
			if err := fn(line[:min(len(line), lineBytesMax)]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
