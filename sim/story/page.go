package story

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Verdict is what was found out beyond one run of a plan.
type Verdict struct {
	// Before and After are the sizes of the plan that failed first and of the one that is told of.
	Before, After Size
	Runs          int
	Took          time.Duration
	// Odds say how often the failure came again when everything after a time was drawn anew, ascending by time.
	Odds []Odds
	// Command repeats the failure.
	Command string
}

// Size counts what a plan has.
type Size struct{ Faults, Clients, Topics, Nodes int }

func (s Size) String() string {
	return fmt.Sprintf("%s, %s, %s and %s", plural(s.Faults, "fault"), plural(s.Clients, "client"), plural(s.Topics, "topic"), plural(s.Nodes, "node"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// Odds is one point of the curve.
type Odds struct {
	At     time.Duration `json:"at"`
	Tries  int           `json:"tries"`
	Failed int           `json:"failed"`
}

func (o Odds) share() float64 {
	if o.Tries == 0 {
		return 0
	}
	return float64(o.Failed) / float64(o.Tries)
}

// Decided is the step of the curve at which it rises most: the failure was decided between the two.
func (v *Verdict) Decided() (from, to time.Duration, ok bool) {
	best := 0.0
	for i := 1; i < len(v.Odds); i++ {
		a, b := v.Odds[i-1], v.Odds[i]
		if rise := b.share() - a.share(); rise > best+1e-9 || rise > 0.3 && rise >= best-1e-9 && b.At-a.At < to-from {
			best, from, to, ok = rise, a.At, b.At, true
		}
	}
	return from, to, ok && best >= 0.3
}

// page is a story being written.
type page struct {
	t   *Tale
	v   *Verdict
	w   io.Writer
	log string
}

// Page writes the story.
func Page(w io.Writer, t *Tale, v *Verdict) error {
	p := &page{t: t, v: v, w: w, log: t.about().log}
	p.wrong()
	p.world()
	p.faults()
	p.moment()
	p.replicas()
	p.course()
	_, err := fmt.Fprintf(w, "\nAGAIN\n  %s\n", v.Command)
	return err
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

func at(d time.Duration) string { return fmt.Sprintf("%10.6f s", d.Seconds()) }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func (p *page) wrong() {
	m := Explain(p.t.Failure)
	p.line("WHAT IS WRONG")
	for _, l := range wrap(firstLine(p.t.Failure), 110) {
		p.line("  %s", l)
	}
	if m.Rule != "" {
		p.line("  Check %s fell: %s.", m.Check, m.Rule)
		p.line("  That means: %s.", m.Means)
	}
}

func (p *page) world() {
	p.line("\nWHERE")
	b, a := p.v.Before, p.v.After
	p.line("  The plan that failed had %v. After %d runs in %v there are %v left:", b, p.v.Runs, p.v.Took.Round(time.Second), a)
	for _, s := range p.t.Setting {
		p.line("    %s", s)
	}
}

func (p *page) faults() {
	p.line("\nTHE FAULTS THAT MATTER")
	if len(p.t.Faults)+len(p.t.Weather) == 0 {
		p.line("  none: it goes wrong without any")
	}
	for _, text := range p.t.Weather {
		p.line("  *  all the time: %s", text)
	}
	for i, text := range p.t.Faults {
		when := "did not come"
		for _, e := range p.t.Events {
			if e.Fault == i+1 && e.Kind == Fault {
				when = "at" + at(e.At)
			}
			if e.Fault == i+1 && e.Kind == Armed {
				when = "from" + at(e.At) + " on"
				if end := p.endAfter(e); end != nil {
					when = "at" + at(end.At)
				}
			}
		}
		for j, l := range wrap(fmt.Sprintf("%d. %s (%s)", i+1, text, when), 112) {
			p.line("  %s%s", strings.Repeat("   ", min(j, 1)), l)
		}
	}
}

// endAfter is the end of the process that a crash waited for.
func (p *page) endAfter(armed Event) *Event {
	for i := range p.t.Events {
		if e := &p.t.Events[i]; e.Number >= armed.Number && e.Kind == End && e.Node == armed.Node {
			return e
		}
	}
	return nil
}

func (p *page) moment() {
	p.line("\nWHEN IT WENT WRONG")
	if len(p.v.Odds) > 0 {
		p.line("  With everything drawn anew from a time on, the failure comes again in")
		odds := p.v.Odds
		if len(odds) > 9 { // around the rise
			from, _, _ := p.v.Decided()
			i := slices.IndexFunc(odds, func(o Odds) bool { return o.At == from })
			low := max(0, min(i-4, len(odds)-9))
			odds = odds[low : low+9]
		}
		for _, o := range odds {
			p.line("    %s  %3.0f %%  %s", at(o.At), 100*o.share(), strings.Repeat("#", int(20*o.share()+0.5)))
		}
	}
	from, to, ok := p.v.Decided()
	switch {
	case ok && from == 0:
		p.line("  It was decided before%s.", at(to))
	case ok:
		p.line("  It was decided between%s and%s.", at(from), at(to))
		p.events(p.t.near(from, to, p.log), 12)
	case len(p.v.Odds) > 0 && p.v.Odds[0].share() >= 0.7:
		p.line("  No moment decides it: it comes whatever is drawn.")
	}
	if Explain(p.t.Failure).Class == classProgress {
		p.standstill()
		return
	}
	x := p.t.lost()
	if x == nil {
		return
	}
	s := p.t.about()
	p.line("  %s offset %d was promised or shown at%s.", p.log, s.offset, at(x.witness.At))
	if x.before == nil {
		p.line("  The first bad event: at that moment %s of %d replicas held it durably%s.", count(len(x.has)), x.replicas, names(x.has))
		return
	}
	p.line("  The first bad event: until%s it was durable on %d of %d replicas%s; from%s on%s.", at(x.before.At), len(x.had), x.replicas, names(x.had),
		at(x.after.At), " on "+count(len(x.has))+names(x.has))
	p.events(p.t.near(x.before.At, x.after.At, p.log), 8)
}

// standstill says what was the last that went on.
func (p *page) standstill() {
	for _, e := range slices.Backward(p.t.Events) {
		if e.Kind == Ack {
			p.line("  The last acknowledgement came at%s; after it nothing more.", at(e.At))
			p.events(p.t.near(e.At, e.At+5*time.Second, ""), 8)
			return
		}
	}
}

func count(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func names(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// replicas says what each replica held at the telling moment and at the end.
func (p *page) replicas() {
	if len(p.t.Looks) == 0 {
		return
	}
	looks := []*Look{&p.t.Looks[len(p.t.Looks)-1]}
	if x := p.t.lost(); x != nil && x.after != looks[0] {
		looks = []*Look{x.after, looks[0]}
	} else if _, to, ok := p.v.Decided(); ok {
		for i := range p.t.Looks {
			if look := &p.t.Looks[i]; look.At >= to && look != looks[0] {
				looks = []*Look{look, looks[0]}
				break
			}
		}
	}
	for i, look := range looks {
		what := "THEN"
		if i == len(looks)-1 {
			what = "AT THE END"
		}
		p.line("\nWHAT EACH REPLICA HELD %s (%s)", what, strings.TrimSpace(at(look.At)))
		shown := 0
		for j := range look.Replicas {
			r := &look.Replicas[j]
			if p.log != "" && r.Log != p.log {
				continue
			}
			if shown++; shown > 6 {
				p.line("  ...")
				break
			}
			p.line("  %s %s (%s): term %d, commit index %d, checkpoint at offset %d", r.Node, r.Log, r.State, r.Term, r.Commit, r.Checkpoint)
			for _, l := range wrap("holds "+r.words(), 108) {
				p.line("     %s", l)
			}
		}
	}
}

// course tells what happened, from shortly before the witness to the violation.
func (p *page) course() {
	p.line("\nTHE COURSE OF IT")
	from := time.Duration(0)
	s := p.t.about()
	if w := p.t.witness(s); w != nil {
		from = w.At
	} else if f, _, ok := p.v.Decided(); ok {
		from = f
	}
	var list []Event
	for _, e := range p.t.Events {
		big := slices.Contains([]Kind{Fault, End, Boot, Pause, Resume, Gone, Violation}, e.Kind) || e.Kind == Lead && (p.log == "" || e.Log == p.log)
		mine := p.log != "" && e.Log == p.log && e.At >= from && slices.Contains([]Kind{Ack, Refused, Read, Ends}, e.Kind) &&
			s.offset >= 0 && e.From <= s.offset && s.offset <= e.To
		if e.Node == "c" && e.Kind == Boot {
			continue
		}
		if big && (e.At >= from || e.Kind == Fault || e.Kind == End) || mine {
			list = append(list, e)
		}
	}
	p.events(list, 28)
}

// events writes events, the first and the last ones when there are too many.
func (p *page) events(list []Event, most int) {
	if n := len(list); n > most {
		p.rows(list[:most/3])
		p.line("    %12s  ... %d more ...", "", n-most/3-(most-most/3))
		list = list[n-(most-most/3):]
	}
	p.rows(list)
}

func (p *page) rows(list []Event) {
	for _, e := range list {
		text := firstLine(e.Text)
		if e.Kind == Violation {
			text = "VIOLATION: " + strings.TrimPrefix(text, "failed: ")
		}
		for i, l := range wrap(text, 98) {
			if i == 0 {
				p.line("    %s  %s", at(e.At), l)
			} else {
				p.line("    %12s    %s", "", l)
			}
		}
	}
}

// wrap breaks a line at spaces.
func wrap(text string, width int) []string {
	var lines []string
	for len(text) > width {
		i := strings.LastIndexByte(text[:width], ' ')
		if i <= 0 {
			break
		}
		lines, text = append(lines, text[:i]), strings.TrimLeft(text[i:], " ")
	}
	return append(lines, text)
}
