package main

import "fmt"

// table writes the keys, what is known of each API, and the constructors.
func (w *writer) table(apis []api) {
	w.line("// Keys of the APIs that a Kafka broker serves to clients.")
	w.line("const (")
	for _, a := range apis {
		w.line("Key%s int16 = %d", apiName(a.request), a.request.key)
	}
	w.line(")\n")

	w.line("// apis lists what Kafka has, by key.")
	w.line("var apis = [...]API{")
	for _, a := range apis {
		m := a.request
		unstable := ""
		if m.stable != m.valid {
			unstable = fmt.Sprintf(", Unstable: %d", m.valid.max)
		}
		flexible := int16(-1)
		if !m.flexible.empty() {
			flexible = m.flexible.min
		}
		w.line("{Key: Key%s, Name: %q, Min: %d, Max: %d%s, FlexibleFrom: %d},",
			apiName(m), apiName(m), m.stable.min, m.stable.max, unstable, flexible)
	}
	w.line("}\n")

	w.constructor("NewRequest", "request", apis, func(a api) string { return a.request.name })
	w.constructor("NewResponse", "response", apis, func(a api) string { return a.response.name })
}

func (w *writer) constructor(name, what string, apis []api, of func(api) string) {
	w.line("// %s returns a %s of the API with its defaults, nil for an unknown key.", name, what)
	w.line("func %s(key int16) Message {\nswitch key {", name)
	for _, a := range apis {
		w.line("case Key%s:\nreturn New%s()", apiName(a.request), of(a))
	}
	w.line("}\nreturn nil\n}")
}
