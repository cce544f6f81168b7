package config

import (
	"maps"
	"slices"
)

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
