package config

import (
	"fmt"
	"slices"
	"strings"
)

// Op is what IncrementalAlterConfigs does to one config, with the protocol's numbers.
type Op int8

// The operations.
const (
	Set      Op = 0
	Delete   Op = 1
	Append   Op = 2
	Subtract Op = 3
)

// String is Kafka's name of the operation.
func (o Op) String() string {
	names := [...]string{"SET", "DELETE", "APPEND", "SUBTRACT"}
	if o < 0 || int(o) >= len(names) {
		return fmt.Sprintf("operation %d", int8(o))
	}
	return names[o]
}

// Alter applies an operation to a config that has the value current, nil when it is not set. It returns the new
// canonical value, nil when the config is no longer set. k is nil for a name that is not known: only Delete works then.
func (k *Key) Alter(op Op, current *string, value string) (*string, error) {
	if op == Delete {
		return nil, nil
	}
	if op == Append || op == Subtract {
		if k.Kind != List {
			//lint:ignore ST1005 clients are shown this sentence, in Kafka's words
			return nil, fmt.Errorf("Can't %v to key %s because its type is not LIST.", op, k.Name)
		}
		old := k.Default
		if current != nil {
			old = *current
		}
		parts := split(old)
		if op == Append {
			parts = append(parts, split(value)...)
		} else {
			gone := split(value)
			parts = slices.DeleteFunc(parts, func(p string) bool { return slices.Contains(gone, p) })
		}
		value = strings.Join(parts, ",")
	}
	canonical, err := k.Canonical(value)
	if err != nil {
		return nil, err
	}
	return &canonical, nil
}
