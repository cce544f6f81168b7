// Package outside is under no rule.
package outside

import "os"

func list(m map[string]int) {
	for k := range m {
		os.Remove(k)
	}
}
