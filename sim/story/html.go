package story

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"px": func(x float64) string { return fmt.Sprintf("%.1f", x) },
	"points": func(l line, byTime bool) string {
		var b strings.Builder
		for _, p := range l.Points {
			x := p.At.A
			if byTime {
				x = p.At.B
			}
			fmt.Fprintf(&b, "%.1f,%.1f ", x, p.Y)
		}
		return strings.TrimSpace(b.String())
	},
	"seconds": func(e Event) string { return fmt.Sprintf("%.6f", e.At.Seconds()) },
	"first":   firstLine,
	"add":     func(a, b int) int { return a + b },
}).Parse(pageText))

// HTML writes the story as one page that needs nothing else: the text, lanes for clients, nodes, disks and links with
// the faults as marks, the offsets of each partition as lines, and the violation in its place.
func HTML(w io.Writer, t *Tale, v *Verdict) error {
	var text strings.Builder
	if err := Page(&text, t, v); err != nil {
		return err
	}
	d := draw(t, v)
	err := pageTemplate.Execute(w, map[string]any{"Tale": t, "Verdict": v, "Meaning": Explain(t.Failure), "Text": text.String(), "D": d,
		"LaneHeight": laneHeight, "Size": plural(t.Nodes, "node") + ", " + plural(len(t.Events), "event")})
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
