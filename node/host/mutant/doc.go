// Package mutant names the planted bugs by which the simulator's power to detect is measured.
//
// A mutant alters one decision of production code: `if mutant.On("wal-ack-before-sync") {…}`. In an ordinary build On is
// the constant false and the compiler removes the branch. In a build with the tag "mutants" the simulator's main enables
// at most one by name before anything runs. A mutant must be found by history, durable state or liveness, never by an
// assertion inside what it alters.
package mutant

// Mutant is one planted bug.
type Mutant struct {
	Name string
	// Alters says in one sentence which decision is wrong.
	Alters string
	// Room says that the tests of its room find it, and that whole simulated runs are not searched for it.
	Room bool
}
