package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseProperties reads a file of names and values in the form of Java's properties, in which Kafka's configuration is
// written: a line is name=value, name:value or "name value"; # and ! begin comments; a backslash at the end joins
// lines; \n, \t, \r, \f, \\, \uXXXX and a backslash before any other character are known. The last of equal names wins.
func ParseProperties(text []byte) (map[string]string, error) {
	values := make(map[string]string)
	lines := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := 0; i < len(lines); i++ {
		line := strings.TrimLeft(lines[i], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continued(line) {
			line = line[:len(line)-1]
			if i++; i < len(lines) {
				line += strings.TrimLeft(lines[i], " \t\f")
			}
		}
		name, value := cutProperty(line)
		key, err := unescape(name)
		if err != nil {
			return nil, fmt.Errorf("property %q: %w", name, err)
		}
		if values[key], err = unescape(value); err != nil {
			return nil, fmt.Errorf("property %q: %w", name, err)
		}
	}
	return values, nil
}

// continued tells if a line ends in an odd number of backslashes.
func continued(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// cutProperty splits at the first =, : or space that is not escaped.
func cutProperty(line string) (name, value string) {
	end := len(line)
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' {
			i++
		} else if strings.IndexByte("=: \t\f", line[i]) >= 0 {
			end = i
			break
		}
	}
	value = strings.TrimLeft(line[end:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return line[:end], value
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			if i+5 > len(s) {
				return "", fmt.Errorf(`\u needs four hexadecimal digits`)
			}
			n, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
			if err != nil {
				return "", fmt.Errorf(`\u needs four hexadecimal digits`)
			}
			b.WriteRune(rune(n))
			i += 4
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// CheckProperties returns what a properties file sets, in canonical form, and the names in it that mean nothing here,
// sorted: Kafka's (see ForeignKey), or nobody's, which may be a plugin's. A known name with a value that cannot be is an
// error, and so is a name that is a typing error away from a known one.
func CheckProperties(values map[string]string) (known map[string]string, unknown []string, err error) {
	known = make(map[string]string)
	for _, name := range sortedNames(values) {
		k := BrokerKey(name)
		if k == nil {
			if ForeignKey(name) == nil {
				if meant := mistyped(name, brokerKeys); meant != "" {
					return nil, nil, fmt.Errorf("there is no config %s; did you mean %s?", name, meant)
				}
			}
			unknown = append(unknown, name)
			continue
		}
		if known[name], err = k.Canonical(values[name]); err != nil {
			return nil, nil, err
		}
	}
	return known, unknown, nil
}
