package wal

import (
	"fmt"
	"strconv"
	"strings"

	"millrace/node/host"
)

// file is one file of the log in one of its uses. It never changes; when the file is recycled, another one is made.
type file struct {
	header fileHeader
	name   string
	handle host.File
	// ref is held by the log while the file is part of it, and by each reader.
	ref *host.Ref
}

// mode of every file of the log.
var mode = host.Mode{Direct: true, Durable: true}

const (
	logSuffix   = ".wal"   // a file with a durable header
	spareSuffix = ".spare" // a file whose contents mean nothing
)

func fileName(dir string, number uint64, suffix string) string {
	return fmt.Sprintf("%s/%016x%s", dir, number, suffix)
}

// parseFileName is the inverse of fileName for the last element of a name.
func parseFileName(base, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(base, suffix)
	if !ok || len(digits) != 16 || strings.ToLower(digits) != digits {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil
}

// files are the files of the log, in order.
type files []*file

// find returns the file of a number, or nil.
func (fs files) find(number uint64) *file {
	for i := len(fs) - 1; i >= 0; i-- {
		if fs[i].header.number == number {
			return fs[i]
		}
	}
	return nil
}

// view is what readers see of the log. It is published anew when it changes.
type view struct {
	files files
	// moved says where entries are that were copied out of older files, by the locations that their readers know.
	moved map[Location]Location
}

// locate returns where the record of a location lies now.
func (v *view) locate(at Location) Location {
	if to, ok := v.moved[at]; ok {
		return to
	}
	return at
}
