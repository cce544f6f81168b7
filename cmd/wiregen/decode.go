package main

import "fmt"

// decode writes the method that reads a structure. A root's is exported and
// says first which of the two encodings the version has; nested ones go on in
// the same.
func (w *writer) decode(s *structure) {
	m := s.message
	if s == m.root {
		w.line("// Decode reads that version from r; what it lacks gets its default.")
		w.line("func (m *%s) Decode(r *Reader, version int16) {", s.goName)
		w.line("r.flexible = %s", m.flexible.condition(m.valid))
	} else {
		w.line("func (m *%s) decode(r *Reader, version int16) {", s.goName)
	}
	w.line("m.SetDefaults()")
	w.each(s, w.decodeField)
	w.when(flexibleCondition(s), func() { w.decodeTagged(s) })
	w.line("}\n")
}

// each applies do to the fields that are not tagged, neighbours of the same
// versions under one condition.
func (w *writer) each(s *structure, do func(*field)) {
	for i := 0; i < len(s.fields); {
		present, next := s.fields[i].present, i
		w.when(present.condition(s.within), func() {
			for ; next < len(s.fields) && s.fields[next].present == present; next++ {
				do(s.fields[next])
			}
		})
		i = next
	}
}

// when writes what body writes, under a condition if there is one.
func (w *writer) when(condition string, body func()) {
	switch condition {
	case "false":
	case "true":
		body()
	default:
		w.line("if %s {", condition)
		body()
		w.line("}")
	}
}

// flexibleCondition is true in versions whose structures end in tagged fields.
// A structure may be nested in fields of which none is older than that.
func flexibleCondition(s *structure) string {
	return s.message.flexible.condition(s.within)
}

func (w *writer) decodeField(f *field) {
	null := f.nullable.condition(f.present)
	switch {
	case f.array && f.base == "struct":
		w.line("m.%s = decodeArray[%s](r, version, %d, %s)", f.name, f.elem.goName, f.elem.minimum(), null)
	case f.array:
		w.line("m.%s = r.%sArray(%s)", f.name, methodName(f), null)
	case f.taggedPointer():
		w.line("m.%s = decodeTaggedNullable[%s](r, version)", f.name, f.elem.goName)
	case f.base == "struct" && null == "true":
		w.line("m.%s = decodeNullable[%s](r, version)", f.name, f.elem.goName)
	case f.base == "struct":
		w.line("m.%s.decode(r, version)", f.name)
	case f.base == "string" && !f.nullable.empty():
		w.line("m.%s = r.NullableString(%s)", f.name, null)
	case f.base == "bytes" || f.base == "records":
		w.line("m.%s = r.%s(%s)", f.name, methodName(f), null)
	default:
		w.line("m.%s = r.%s()", f.name, methodName(f))
	}
}

func (w *writer) decodeTagged(s *structure) {
	if len(s.tagged) == 0 {
		w.line("r.skipTagged()")
		return
	}
	w.line("for n := r.taggedCount(); n > 0 && r.err == nil; n-- {")
	w.line("switch tag, outer := r.beginTagged(); {")
	for _, f := range s.tagged {
		condition := fmt.Sprintf("tag == %d", f.tag)
		if c := f.present.condition(s.message.flexible.and(s.within)); c != "true" {
			condition += " && " + c
		}
		w.line("case %s:", condition)
		w.decodeField(f)
		w.line("r.endTagged(outer)")
	}
	w.line("default:\nr.skipToEnd(outer)\n}\n}")
}

// methodName is how Reader and Writer call the field's type.
func methodName(f *field) string {
	switch {
	case f.base == "uuid":
		return "UUID"
	case f.base == "records" && !f.response():
		return "Bytes"
	}
	if !f.array && f.elemType() == "ErrorCode" {
		return "ErrorCode"
	}
	return exported(f.base)
}
