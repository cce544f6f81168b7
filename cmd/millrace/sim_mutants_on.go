//go:build mutants

package main

import "millrace/node/host/mutant"

// plant enables a planted bug for the rest of the process.
func plant(name string) { mutant.Enable(name) }
