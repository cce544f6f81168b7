package wire

import (
	"math/rand/v2"
	"reflect"

	"millrace/node/host"
)

// scramble fills v with random values by reflection: all fields, also those
// that a version lacks, with empty and null ones among them. It works on our
// messages and on the oracle's.
func scramble(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(randomInt(rng)))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(randomInt(rng))
	case reflect.Float64:
		v.SetFloat(rng.NormFloat64())
	case reflect.String:
		v.SetString(randomText(rng))
	case reflect.Array:
		if rng.IntN(4) > 0 {
			for i := range v.Len() {
				scramble(rng, v.Index(i))
			}
		}
	case reflect.Pointer:
		if rng.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scramble(rng, v.Elem())
		}
	case reflect.Slice:
		scrambleSlice(rng, v)
	case reflect.Struct:
		scrambleStruct(rng, v)
	}
}

func scrambleSlice(rng *rand.Rand, v reflect.Value) {
	if rng.IntN(4) == 0 {
		return
	}
	n := rng.IntN(4)
	if v.Type().Elem().Kind() == reflect.Uint8 && rng.IntN(3) == 0 {
		n = 2*spliceFrom - rng.IntN(2*spliceFrom)
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		scramble(rng, v.Index(i))
	}
}

func scrambleStruct(rng *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[Records]() {
		v.Set(reflect.ValueOf(randomRecords(rng)))
		return
	}
	for i := range v.NumField() {
		// The oracle keeps unknown tags and the version in fields.
		if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
			scramble(rng, v.Field(i))
		}
	}
}

// randomInt is often a number at which an encoding changes.
func randomInt(rng *rand.Rand) uint64 {
	switch rng.IntN(4) {
	case 0:
		return uint64(rng.IntN(3)) - 1
	case 1:
		return uint64(1)<<rng.IntN(64) - uint64(rng.IntN(2))
	}
	return rng.Uint64()
}

func randomText(rng *rand.Rand) string {
	letters := []rune("abcXYZ09._-äß世\x00")
	text := make([]rune, rng.IntN(6))
	if rng.IntN(20) == 0 {
		text = make([]rune, 130) // a length of two bytes
	}
	for i := range text {
		text[i] = letters[rng.IntN(len(letters))]
	}
	return string(text)
}

func randomRecords(rng *rand.Rand) Records {
	if rng.IntN(5) == 0 {
		return Records{Null: true}
	}
	var r Records
	for range rng.IntN(3) {
		b := make([]byte, rng.IntN(2*spliceFrom))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		r.Parts = append(r.Parts, host.Part{Bytes: b})
	}
	return r
}

// one fills m with one element in every array and nothing null.
func one(m Record) { fillOne(reflect.ValueOf(m).Elem()) }

func fillOne(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.String:
		v.SetString("a")
	case reflect.Array:
		v.Index(0).SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillOne(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillOne(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Records]() {
			v.Set(reflect.ValueOf(RecordBytes([]byte("a"))))
			return
		}
		for i := range v.NumField() {
			fillOne(v.Field(i))
		}
	}
}
