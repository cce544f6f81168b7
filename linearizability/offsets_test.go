package linearizability

import (
	"strings"
	"testing"
)

// commit and look make a history of one committed offset.
func commit(client int, call, ret int64, id uint64) Operation {
	return Operation{Log: "g/t-0", Client: client, Kind: Commit, Call: call, Return: ret, Offset: int64(id), Records: []uint64{id}}
}

func look(client int, call, ret int64, id uint64) Operation {
	op := Operation{Log: "g/t-0", Client: client, Kind: Committed, Call: call, Return: ret, Offset: -1}
	if id > 0 {
		op.Offset, op.Records = int64(id), []uint64{id}
	}
	return op
}

func forget(client int, call, ret int64) Operation {
	return Operation{Log: "g/t-0", Client: client, Kind: Forget, Call: call, Return: ret}
}

func unknown(op Operation) Operation { op.Unknown = true; return op }
func refused(op Operation) Operation { op.Refused = true; return op }

func TestCommittedOffsets(t *testing.T) {
	for _, c := range []struct {
		name    string
		history []Operation
		want    string // the kind of violation, "" for none
	}{
		{"in order", []Operation{look(1, 0, 1, 0), commit(2, 2, 3, 5), look(1, 4, 5, 5), commit(2, 6, 7, 6), look(1, 8, 9, 6)}, ""},
		{"concurrent, seen early", []Operation{commit(2, 2, 9, 5), look(1, 3, 4, 5), look(1, 5, 6, 5)}, ""},
		{"concurrent, gone again", []Operation{commit(2, 2, 9, 5), look(1, 3, 4, 5), look(1, 5, 6, 0)}, NotLinearizable},
		{"a commit is forgotten", []Operation{commit(2, 2, 3, 5), look(1, 4, 5, 0)}, StaleCommit},
		{"an older one comes back", []Operation{commit(2, 2, 3, 5), commit(2, 4, 5, 6), look(1, 6, 7, 5)}, StaleCommit},
		{"without an answer, never seen", []Operation{commit(2, 0, 1, 5), unknown(commit(2, 2, 3, 6)), look(1, 4, 5, 5)}, ""},
		{"without an answer, seen late", []Operation{commit(2, 0, 1, 5), unknown(commit(2, 2, 3, 6)), look(1, 4, 5, 5), look(1, 6, 7, 6)}, ""},
		{"without an answer, gone again", []Operation{commit(2, 0, 1, 5), unknown(commit(2, 2, 3, 6)), look(1, 4, 5, 6), look(1, 6, 7, 5)}, NotLinearizable},
		{"without an answer, over a later one", []Operation{unknown(commit(2, 2, 3, 6)), commit(3, 4, 5, 7), look(1, 6, 7, 6)}, ""},
		{"refused and seen", []Operation{refused(commit(2, 2, 3, 5)), look(1, 4, 5, 5)}, AbortedRead},
		{"never committed", []Operation{look(1, 4, 5, 5)}, NeverSent},
		{"forgotten", []Operation{commit(2, 0, 1, 5), forget(2, 2, 3), look(1, 4, 5, 0), commit(2, 6, 7, 6), look(1, 8, 9, 6)}, ""},
		{"forgotten, and it comes back", []Operation{commit(2, 0, 1, 5), forget(2, 2, 3), look(1, 4, 5, 5)}, StaleCommit},
		{"forgotten before it was committed", []Operation{forget(2, 0, 1), commit(2, 2, 3, 5), look(1, 4, 5, 0)}, StaleCommit},
		{"forgotten meanwhile", []Operation{commit(2, 0, 1, 5), forget(2, 2, 9), look(1, 3, 4, 5), look(1, 5, 6, 0), look(1, 7, 8, 0)}, ""},
		{"forgotten meanwhile, and it comes back", []Operation{commit(2, 0, 1, 5), forget(2, 2, 9), look(1, 3, 4, 0), look(1, 5, 6, 5)}, NotLinearizable},
		{"forgotten without an answer", []Operation{commit(2, 0, 1, 5), unknown(forget(2, 2, 3)), look(1, 4, 5, 5), look(1, 6, 7, 0)}, ""},
		{"forgotten without an answer, then committed", []Operation{unknown(forget(2, 0, 1)), commit(3, 2, 3, 5), look(1, 4, 5, 0)}, ""},
		{"not to be forgotten", []Operation{commit(2, 0, 1, 5), refused(forget(2, 2, 3)), look(1, 4, 5, 0)}, StaleCommit},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := Verify(c.history, Options{})
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found %v", found)
			case c.want != "" && (len(found) != 1 || found[0].Kind != c.want):
				t.Errorf("found %v instead of %s", found, c.want)
			case c.want != "" && !strings.Contains(found[0].Log, "g/t-0"):
				t.Errorf("found in %s", found[0].Log)
			}
		})
	}
}
