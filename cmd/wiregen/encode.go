package main

import "fmt"

// encode writes the method that appends a structure.
func (w *writer) encode(s *structure) {
	m := s.message
	if s == m.root {
		w.line("// Encode appends that version to w; fields that it lacks are left out.")
		w.line("func (m *%s) Encode(w *Writer, version int16) {", s.goName)
		w.line("w.flexible = %s", m.flexible.condition(m.valid))
	} else {
		w.line("func (m *%s) encode(w *Writer, version int16) {", s.goName)
	}
	w.each(s, w.encodeField)
	w.when(flexibleCondition(s), func() { w.encodeTagged(s) })
	w.line("}\n")
}

func (w *writer) encodeField(f *field) {
	null := f.nullable.condition(f.present)
	switch {
	case f.array && f.base == "struct":
		w.line("encodeArray(w, version, m.%s, %s)", f.name, null)
	case f.array:
		w.line("w.%sArray(m.%s, %s)", methodName(f), f.name, null)
	case f.taggedPointer():
		w.line("encodeTaggedNullable(w, version, m.%s)", f.name)
	case f.base == "struct" && null == "true":
		w.line("encodeNullable(w, version, m.%s)", f.name)
	case f.base == "struct":
		w.line("m.%s.encode(w, version)", f.name)
	case f.base == "string" && !f.nullable.empty():
		w.line("w.NullableString(m.%s, %s)", f.name, null)
	case f.base == "bytes" || f.base == "records":
		w.line("w.%s(m.%s, %s)", methodName(f), f.name, null)
	default:
		w.line("w.%s(m.%s)", methodName(f), f.name)
	}
}

// encodeTagged writes the tagged fields that differ from their default, after
// counting them.
func (w *writer) encodeTagged(s *structure) {
	if len(s.tagged) == 0 {
		w.line("w.noTagged()")
		return
	}
	flexible := s.message.flexible.and(s.within)
	w.line("n := 0")
	for _, f := range s.tagged {
		w.when(f.written(flexible), func() { w.line("n++") })
	}
	w.line("w.taggedCount(n)")
	for _, f := range s.tagged {
		w.when(f.written(flexible), func() {
			w.line("at := w.beginTagged(%d)", f.tag)
			w.encodeField(f)
			w.line("w.endTagged(at)")
		})
	}
}

// written is true when a tagged field has to be on the wire.
func (f *field) written(within versions) string {
	changed := f.changed()
	if changed == "true" {
		return f.present.condition(within)
	}
	if c := f.present.condition(within); c != "true" {
		return c + " && " + changed
	}
	return changed
}

func (f *field) changed() string {
	name := "m." + f.name
	switch {
	case f.taggedPointer():
		return "true" // absent does not say null
	case (f.array || f.base == "bytes") && f.nullable.empty():
		return fmt.Sprintf("len(%s) > 0", name)
	case !f.nullable.empty():
		return name + " != nil"
	case f.base == "bool":
		if f.def == "true" {
			return "!" + name
		}
		return name
	case f.base == "uuid":
		return name + " != (UUID{})"
	case f.base == "struct":
		return fmt.Sprintf("%s != (%s)", name, f.elem.defaults())
	case f.base == "string":
		return name + ` != ""`
	case f.def != "":
		return name + " != " + f.def
	}
	return name + " != 0"
}
