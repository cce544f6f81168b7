package linearizability

import (
	"os"
	"strings"
	"testing"
)

// TestHistoryPage: the example of docs/history.md can be read and holds nothing wrong, and the page names every kind of
// operation and of violation.
func TestHistoryPage(t *testing.T) {
	text, err := os.ReadFile("../docs/history.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	_, example, _ := strings.Cut(page, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	history, err := Read(strings.NewReader(example))
	if err != nil || len(history) != 4 {
		t.Fatalf("%d operations, %v", len(history), err)
	}
	if v := Verify(history, Options{}); len(v) > 0 {
		t.Errorf("the example: %v", v)
	}
	for _, name := range []string{string(Produce), string(End), string(Fetch), string(Final), string(Commit), string(Committed), string(Create), string(Delete),
		string(Describe), InconsistentOffsets, Duplicate, LostWrite, Unseen, AbortedRead, NeverSent, NonmonotonicSend, IntNonmonotonicSend,
		NonmonotonicPoll, IntNonmonotonicPoll, PollSkip, IntPollSkip, StaleEnd, StaleOffset, StaleCommit, EpochBack, Divergent, NotLinearizable,
		NoAnswer, Malformed} {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not name %s", name)
		}
	}
}
