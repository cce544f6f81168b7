package main

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"millrace/net/wire"
)

// variables are what a script may refer to on one broker, by name.
type variables map[string]string

// expand replaces $name by its value, and $now+5 by a sum.
func (v variables) expand(text string) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		end := 0
		for end < len(after) && (after[end] >= 'a' && after[end] <= 'z' || after[end] >= 'A' && after[end] <= 'Z' || after[end] >= '0' && after[end] <= '9') {
			end++
		}
		value, ok := v[after[:end]]
		if !ok {
			return "", fmt.Errorf("there is no $%s", after[:end])
		}
		text = after[end:]
		if n, rest, isSum := sum(value, text); isSum {
			value, text = n, rest
		}
		b.WriteString(value)
	}
}

// sum adds what follows a numeric variable, such as +5 or -1.
func sum(value, text string) (n, rest string, ok bool) {
	base, err := strconv.ParseInt(value, 10, 64)
	if err != nil || len(text) < 2 || text[0] != '+' && text[0] != '-' {
		return "", "", false
	}
	end := 1
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	d, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return "", "", false
	}
	return strconv.FormatInt(base+d, 10), text[end:], true
}

type hasDefaults interface{ SetDefaults() }

// fill sets dst from a script's value.
func (v variables) fill(dst reflect.Value, value any) error {
	w, isWord := value.(word)
	text := w.text
	if isWord {
		var err error
		if text, err = v.expand(text); err != nil {
			return err
		}
	}
	null := isWord && !w.quoted && w.text == "null"
	switch {
	case dst.Type() == reflect.TypeFor[wire.UUID]():
		return fillUUID(dst, text)
	case dst.Type() == reflect.TypeFor[[]byte]():
		return v.fillBytes(dst, value, text, null)
	}
	switch dst.Kind() {
	case reflect.Struct:
		return v.fillStruct(dst, value)
	case reflect.Slice:
		return v.fillSlice(dst, value, null)
	case reflect.Pointer:
		if null {
			dst.SetZero()
			return nil
		}
		dst.Set(reflect.New(dst.Type().Elem()))
		return v.fill(dst.Elem(), value)
	case reflect.String:
		if !isWord {
			return fmt.Errorf("%v is not text", value)
		}
		dst.SetString(text)
	case reflect.Bool:
		dst.SetBool(text == "true")
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || dst.OverflowInt(n) {
			return fmt.Errorf("%q is not a number that fits", text)
		}
		dst.SetInt(n)
	}
	return nil
}

func fillUUID(dst reflect.Value, text string) error {
	if text == "null" {
		dst.SetZero()
		return nil
	}
	id, err := wire.ParseUUID(text)
	dst.Set(reflect.ValueOf(id))
	return err
}

func (v variables) fillStruct(dst reflect.Value, value any) error {
	o, ok := value.(object)
	if !ok {
		return fmt.Errorf("%v is not a structure", value)
	}
	if d, ok := dst.Addr().Interface().(hasDefaults); ok {
		d.SetDefaults()
	}
	for _, p := range o {
		field := dst.FieldByName(p.name)
		if !field.IsValid() {
			return fmt.Errorf("%v has no field %s", dst.Type(), p.name)
		}
		if err := v.fill(field, p.value); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (v variables) fillSlice(dst reflect.Value, value any, null bool) error {
	if null {
		dst.SetZero()
		return nil
	}
	l, ok := value.(list)
	if !ok {
		return fmt.Errorf("%v is not a list", value)
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(l), len(l)))
	for i, e := range l {
		if err := v.fill(dst.Index(i), e); err != nil {
			return err
		}
	}
	return nil
}

func (v variables) fillBytes(dst reflect.Value, value any, text string, null bool) error {
	var b []byte
	var err error
	switch value := value.(type) {
	case word:
		if null {
			dst.SetZero()
			return nil
		}
		b = []byte(text)
		if digits, ok := strings.CutPrefix(text, "0x"); ok {
			b, err = hex.DecodeString(digits)
		}
	case list:
		b = []byte{}
		for _, e := range value {
			o, ok := e.(object)
			if !ok {
				return fmt.Errorf("%v is not a batch", e)
			}
			one, err := v.batch(o)
			if err != nil {
				return err
			}
			b = append(b, one...)
		}
	case object:
		switch {
		case value.get("subscription") != nil:
			b, err = v.subscription(value.get("subscription"))
		case value.get("assignment") != nil:
			b, err = v.assignment(value.get("assignment"))
		default:
			b, err = v.batch(value)
		}
	}
	dst.SetBytes(b)
	return err
}

// subscription is what a member of a consumer group says that it wants, in version 1 of the consumer protocol.
func (v variables) subscription(topics any) ([]byte, error) {
	s := wire.NewConsumerProtocolSubscription()
	if err := v.fill(reflect.ValueOf(&s.Topics).Elem(), topics); err != nil {
		return nil, err
	}
	return wire.AppendRecord([]byte{0, 1}, s, 1)
}

// assignment is what the leader of a consumer group gives to a member.
func (v variables) assignment(topics any) ([]byte, error) {
	a := wire.NewConsumerProtocolAssignment()
	o, _ := topics.(object)
	for _, p := range o {
		t := wire.ConsumerProtocolAssignmentTopicPartition{Topic: p.name}
		if err := v.fill(reflect.ValueOf(&t.Partitions).Elem(), p.value); err != nil {
			return nil, err
		}
		a.AssignedPartitions = append(a.AssignedPartitions, t)
	}
	return wire.AppendRecord([]byte{0, 1}, a, 1)
}
