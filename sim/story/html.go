package story

import "io"

// HTML writes the story as a page.
func HTML(w io.Writer, t *Tale, v *Verdict) error { return Page(w, t, v) }
