package group

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"

	"millrace/net/wire"
)

// patternChange is what a heartbeat does to its member's regular expression.
type patternChange uint8

const (
	patternSame patternChange = iota
	patternChanged
	patternResolved // changed, and what the new one matches is known
)

// patternPause is the least time between two looks at all topics for a group's regular expressions.
const patternPause = 10_000 // milliseconds

// resolvePatterns is the operation that matches the topics with a group's regular expressions.
type resolvePatterns struct{ groupID string }

func (*resolvePatterns) request() {}

// updatePattern compares the member's regular expression with what it was. Topics are matched with it by an operation of
// its own, so that it is with the next heartbeat that the member gets partitions.
func (h *heartbeat) updatePattern(member, updated *consumerMember) (patternChange, *refusal) {
	g, c := h.g, h.c
	change, resolve := patternSame, false
	if before, after := member.pattern, updated.pattern; before != after {
		change = patternChanged
		if before != "" && g.byPattern[before] == 1 && g.members[member.id] != nil {
			h.patternTombstone(g.id, before)
		}
		_, known := g.patterns[after]
		switch {
		case after == "":
			change = patternResolved
		case g.byPattern[after] == 0:
			if _, refused := compilePattern(after); refused != nil {
				return change, refused
			}
			resolve = true
		case known:
			change = patternResolved
		}
	}
	if !resolve && len(g.byPattern) == 0 {
		return change, nil
	}
	newest, version := int64(0), int64(0)
	for _, r := range g.patterns { //door:ordered the newest is the same whatever comes first
		newest, version = max(newest, r.millis), max(version, r.version)
	}
	since := c.now.WallMillis - newest
	if since >= 0 && since <= patternPause {
		return change, nil
	}
	inUse := len(g.byPattern)
	if member.pattern != updated.pattern {
		if member.pattern != "" && g.byPattern[member.pattern] == 1 {
			inUse--
		}
		if updated.pattern != "" && g.byPattern[updated.pattern] == 0 {
			inUse++
		}
	}
	h.resolves = inUse > 0 && (resolve || inUse != len(g.patterns) || version < c.topicsVersion ||
		since > c.config.ConsumerPatternRefresh.Milliseconds())
	return change, nil
}

// Bounds of regular expressions: of one's program, and of a program's steps through the names of all topics.
const (
	maxPatternInstructions = 20_000
	maxPatternSteps        = 2_000_000_000
)

// pattern is a regular expression, to be matched with whole names.
type pattern struct {
	*regexp.Regexp
	instructions int
}

// compilePattern compiles a regular expression in the syntax of RE2.
func compilePattern(text string) (pattern, *refusal) {
	refused := func(why string) *refusal {
		return refuse(wire.ErrInvalidRegularExpression,
			fmt.Sprintf("SubscribedTopicRegex `%s` is not a valid regular expression: %s.", text, why))
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		if e, ok := err.(*syntax.Error); ok {
			return pattern{}, refused(e.Code.String())
		}
		return pattern{}, refused(err.Error())
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return pattern{}, refused(err.Error())
	}
	if len(program.Inst) > maxPatternInstructions {
		return pattern{}, refused("expression is too large")
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return pattern{}, refused(err.Error())
	}
	return pattern{whole, len(program.Inst)}, nil
}

// resolve matches the topics with the group's regular expressions. A group whose topics have changed by that begins a new
// epoch.
func (c *Coordinator) resolve(r *resolvePatterns) (outcome, *refusal) {
	g := c.consumers[r.groupID]
	if g == nil || len(g.byPattern) == 0 {
		return outcome{}, nil
	}
	texts := sortedKeys(g.byPattern)
	matched := matchTopics(c.cluster, texts)
	w := &writer{}
	after := g.clone()
	changed := false
	for i, text := range texts {
		resolved := resolvedPattern{topics: matched[i], version: c.cluster.Version(), millis: c.now.WallMillis}
		changed = changed || !slices.Equal(g.patterns[text].topics, matched[i])
		after.setPattern(text, resolved)
		w.pattern(g.id, text, resolved)
	}
	hash := metadataHash(c.cluster, after.subscribedWith(nil, nil))
	begins := changed || hash != g.metadataHash
	if begins {
		w.group(g.id, g.epoch+1, hash)
	}
	epoch := g.epoch + 1
	return w.encoded(outcome{accepted: func() {
		if begins {
			c.because(r.groupID, typeConsumer, epoch, "a regular expression that it subscribes with matches other topics")
		}
		if g := c.consumers[r.groupID]; g != nil {
			g.checked = c.cluster
		}
	}})
}

// matchTopics returns, for each regular expression, the topics that it matches as a whole. One that would take too long
// for this many topics matches none.
func matchTopics(cluster Cluster, texts []string) [][]string {
	patterns := make([]pattern, len(texts))
	for i, text := range texts {
		patterns[i], _ = compilePattern(text) // one that is not valid, from an older log, matches nothing
	}
	out := make([][]string, len(texts))
	steps := 0
	cluster.TopicNames(func(name string) bool {
		for i, p := range patterns {
			if p.Regexp == nil {
				continue
			}
			if steps += p.instructions * len(name) / 8; steps > maxPatternSteps {
				return false
			}
			if p.MatchString(name) {
				out[i] = append(out[i], name)
			}
		}
		return true
	})
	return out
}
