package node

import (
	"fmt"
	"strconv"
	"strings"
)

// fileShares says how the file descriptors of the process are to be used, so that neither clients nor segments take those
// that the write-ahead log needs.
type fileShares struct {
	// Connections of clients; Open and Writing are the segments that are kept open for readers, and by each of the writers.
	Connections, Open, Writing int
}

const (
	// fixedFiles are for what is always there: the write-ahead log, connections between nodes, HTTP, the runtime's own.
	fixedFiles = 160
	// segmentFiles are as many as segments make use of, each with its index, read and written; segmentWriters are the tasks
	// among which those that are written are divided.
	segmentFiles   = 4000
	segmentWriters = 4
	// fetchFiles are as many as fetches under way may hold beside those that are kept open: segments that were closed for
	// others meanwhile.
	fetchFiles = 4096
)

// shareFiles divides so many descriptors; none, when the number is not known, leaves everything as it is by default. A
// quarter is for segments, up to what they can use; of the rest half is for fetches, up to what they can use, and connections
// have what is left.
func shareFiles(files int) fileShares {
	if files <= 0 {
		return fileShares{}
	}
	segments := min(segmentFiles, files/4)
	rest := files - segments - fixedFiles
	return fileShares{
		Connections: max(rest-min(rest/2, fetchFiles), 8),
		Open:        max(segments/4, 8),
		Writing:     max(segments/4/segmentWriters, 2),
	}
}

// perAddress reads max.connections.per.ip.overrides: "address:count,address:count".
func perAddress(list string) (map[string]int, error) {
	bounds := make(map[string]int)
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		i := strings.LastIndexByte(entry, ':')
		n, err := strconv.ParseUint(entry[i+1:], 10, 31)
		if i <= 0 || err != nil {
			return nil, fmt.Errorf("%w: max.connections.per.ip.overrides: %q is not address:count", ErrConfig, entry)
		}
		bounds[strings.TrimSuffix(strings.TrimPrefix(entry[:i], "["), "]")] = int(n)
	}
	return bounds, nil
}
