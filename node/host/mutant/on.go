//go:build mutants

package mutant

// Built says whether this build holds mutants.
const Built = true

var enabled string

// Enable turns one mutant on. Called once, before any task starts.
func Enable(name string) { enabled = name }

// On reports whether the named mutant is enabled.
func On(name string) bool { return enabled == name }
