package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a config's value, with the numbers that DescribeConfigs uses.
type Kind int8

// The kinds of values.
const (
	Boolean  Kind = 1
	String   Kind = 2
	Int      Kind = 3
	Short    Kind = 4
	Long     Kind = 5
	Double   Kind = 6
	List     Kind = 7
	Class    Kind = 8
	Password Kind = 9
)

// String is Kafka's name of the kind.
func (k Kind) String() string {
	names := [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}
	if k < 0 || int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Key is one config.
type Key struct {
	Name string
	Kind Kind
	// Default is the value if nothing is set; Null says that there is none.
	Default string
	Null    bool
	// Brokers are the names of the broker configs to which a topic's config falls back, the finest first.
	Brokers []fallback
	// Fixed says of a broker config that it can only be set in the properties file.
	Fixed bool
	// Doc is what the config is for, in one or two sentences.
	Doc   string
	check check
}

// BrokerNames lists the broker configs to which a topic's or group's config falls back, the finest first.
func (k *Key) BrokerNames() []string {
	var names []string
	for _, f := range k.Brokers {
		names = append(names, f.name)
	}
	return names
}

// fallback is a broker config behind a topic config, and the factor between their units.
type fallback struct {
	name   string
	factor int64
}

// Invalid says why a value was refused. Its text is what Kafka's clients show.
type Invalid struct {
	Name, Value, Why string
}

func (e *Invalid) Error() string {
	if e.Why == whyNoTiering || strings.HasPrefix(e.Why, "Illegal client matching pattern") {
		return e.Why
	}
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", e.Value, e.Name, e.Why)
}

// Sensitive says that the value is not told to anybody: a password, or a config of which nobody knows what it holds.
func (k *Key) Sensitive() bool { return k.Kind == Password || k.Kind == 0 }

// Canonical checks a value and returns it in the form in which it is kept: trimmed, lists without spaces and doubles.
func (k *Key) Canonical(value string) (string, error) {
	refuse := func(shown, why string) (string, error) { return "", &Invalid{k.Name, shown, why} }
	trimmed := strings.TrimSpace(value)
	switch k.Kind {
	case Boolean:
		switch {
		case strings.EqualFold(trimmed, "true"):
			trimmed = "true"
		case strings.EqualFold(trimmed, "false"):
			trimmed = "false"
		default:
			return refuse(value, "Expected value to be either true or false")
		}
	case Int, Short, Long:
		bits := map[Kind]int{Short: 16, Int: 32, Long: 64}[k.Kind]
		n, err := strconv.ParseInt(trimmed, 10, bits)
		if err != nil {
			return refuse(value, "Not a number of type "+k.Kind.String())
		}
		trimmed = strconv.FormatInt(n, 10)
	case Double:
		f, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || math.IsNaN(f) {
			return refuse(value, "Not a number of type DOUBLE")
		}
	case List:
		trimmed = strings.Join(split(trimmed), ",")
	}
	if k.check != nil {
		if shown, why := k.check(k, trimmed); why != "" {
			return refuse(shown, why)
		}
	}
	return trimmed, nil
}

// split takes a list apart: trimmed, without empty and repeated elements.
func split(list string) []string {
	var parts []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return parts
}

// check looks at a canonical value and returns why it cannot be, with the value as it is to be shown, or "".
type check func(k *Key, value string) (shown, why string)

func atLeast(low int64) check { return between(low, math.MaxInt64) }

func between(low, high int64) check {
	return func(_ *Key, value string) (string, string) {
		n, _ := strconv.ParseInt(value, 10, 64)
		switch {
		case n < low:
			return value, fmt.Sprintf("Value must be at least %d", low)
		case n > high:
			return value, fmt.Sprintf("Value must be no more than %d", high)
		}
		return "", ""
	}
}

func ratio(_ *Key, value string) (string, string) {
	switch f, _ := strconv.ParseFloat(value, 64); {
	case f < 0:
		return value, "Value must be at least 0"
	case f > 1:
		return value, "Value must be no more than 1"
	}
	return "", ""
}

// oneOf allows the given values, for lists for each element.
func oneOf(allowed ...string) check {
	return func(k *Key, value string) (string, string) {
		parts := []string{value}
		if k.Kind == List {
			parts = split(value)
		}
		for _, part := range parts {
			if !slices.Contains(allowed, part) {
				return part, "String must be one of: " + strings.Join(allowed, ", ")
			}
		}
		return "", ""
	}
}

func gzipLevel(_ *Key, value string) (string, string) {
	if n, _ := strconv.Atoi(value); n != -1 && (n < 1 || n > 9) {
		return value, "Value must be between 1 and 9 or equal to -1"
	}
	return "", ""
}

// throttled allows "*" or partition:broker pairs.
func throttled(k *Key, value string) (string, string) {
	if value == "" || value == "*" {
		return "", ""
	}
	for _, pair := range split(value) {
		partition, broker, ok := strings.Cut(pair, ":")
		if _, err := strconv.Atoi(partition); err != nil || !ok {
			return "[" + value + "]", k.throttledWhy()
		}
		if _, err := strconv.Atoi(broker); err != nil {
			return "[" + value + "]", k.throttledWhy()
		}
	}
	return "", ""
}

func (k *Key) throttledWhy() string {
	return k.Name + " must be the literal '*' or a list of replicas in the following format: " +
		"[partitionId]:[brokerId],[partitionId]:[brokerId],..."
}

// find returns the key of that name in a sorted table, nil if there is none.
func find(table []Key, name string) *Key {
	i, ok := slices.BinarySearchFunc(table, name, func(k Key, name string) int { return strings.Compare(k.Name, name) })
	if !ok {
		return nil
	}
	return &table[i]
}
