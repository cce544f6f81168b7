package main

import (
	"fmt"
	"strings"
)

// A value of a script is a word, a list, or an object.
type (
	// word is text as it stands in the script; only a word without quotes can be null or hold a variable.
	word struct {
		text   string
		quoted bool
	}
	list   []any
	object []pair
	pair   struct {
		name  string
		value any
	}
)

// get returns a field of an object, nil when it is not there.
func (o object) get(name string) any {
	for _, p := range o {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

// parser reads values.
type parser struct {
	text string
	at   int
}

// parseValue reads one value and returns what follows it.
func parseValue(text string) (v any, rest string, err error) {
	p := &parser{text: text}
	v, err = p.value()
	if err != nil {
		return nil, "", fmt.Errorf("%w at %q", err, text[min(p.at, len(text)):])
	}
	return v, strings.TrimSpace(text[p.at:]), nil
}

func (p *parser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\n' || p.text[p.at] == '\t') {
		p.at++
	}
}

// next takes a character if it is the one.
func (p *parser) next(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) value() (any, error) {
	switch {
	case p.next('{'):
		return p.object()
	case p.next('['):
		return p.list()
	case p.next('"'):
		return p.quoted()
	}
	w, err := p.word()
	return word{text: w}, err
}

func (p *parser) object() (any, error) {
	o := object{}
	for !p.next('}') {
		name, err := p.word()
		if err != nil {
			return nil, err
		}
		if !p.next(':') {
			return nil, fmt.Errorf("no colon after %s", name)
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		o = append(o, pair{name, v})
		if !p.next(',') {
			if !p.next('}') {
				return nil, fmt.Errorf("neither , nor } after %s", name)
			}
			break
		}
	}
	return o, nil
}

func (p *parser) list() (any, error) {
	l := list{}
	for !p.next(']') {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		l = append(l, v)
		if !p.next(',') {
			if !p.next(']') {
				return nil, fmt.Errorf("neither , nor ] in a list")
			}
			break
		}
	}
	return l, nil
}

func (p *parser) quoted() (any, error) {
	end := strings.IndexByte(p.text[p.at:], '"')
	if end < 0 {
		return nil, fmt.Errorf("no closing quote")
	}
	w := word{p.text[p.at : p.at+end], true}
	p.at += end + 1
	return w, nil
}

func (p *parser) word() (string, error) {
	p.space()
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(",]}{[: \n\t\"", rune(p.text[p.at])) {
		p.at++
	}
	if p.at == start {
		return "", fmt.Errorf("a value is missing")
	}
	return p.text[start:p.at], nil
}
