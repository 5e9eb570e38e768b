package wiretest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"
)

// randomValue is a random value of one of the SDK's structures. With gaps some
// members are missing; without, all are there, since the SDK sends no request
// that lacks a required one.
func randomValue(r *rand.Rand, t reflect.Type, gaps bool) reflect.Value {
	v := reflect.New(t)
	randomizer{r, gaps}.set(v.Elem(), nil)
	return v
}

type randomizer struct {
	*rand.Rand
	gaps bool
}

func (r randomizer) set(v reflect.Value, parents []reflect.Type) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.set(v.Elem(), parents)
	case reflect.Struct:
		r.structure(v, parents)
	case reflect.Interface:
		members := unionMembers(v.Type(), parents)
		member := reflect.New(members[r.IntN(len(members))])
		r.set(member.Elem().Field(0), append(parents[:len(parents):len(parents)], member.Type().Elem()))
		v.Set(member)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(r.text()))
			return
		}
		n := 1 + r.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			r.set(v.Index(i), parents)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range 1 + r.IntN(3) {
			value := reflect.New(v.Type().Elem()).Elem()
			r.set(value, parents)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprint(i, r.text())).Convert(v.Type().Key()), value)
		}
	case reflect.String:
		v.SetString(r.text())
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int32:
		v.SetInt(int64(int32(r.Uint32())))
	case reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64))
	case reflect.Float32:
		v.SetFloat(float64(float32(r.NormFloat64())))
	case reflect.Float64:
		v.SetFloat(r.NormFloat64() * 1000)
	}
}

func (r randomizer) structure(v reflect.Value, parents []reflect.Type) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.UnixMilli(r.Int64N(4e12)).UTC()))
		return
	}
	for _, parent := range parents {
		if parent == v.Type() {
			return
		}
	}
	parents = append(parents[:len(parents):len(parents)], v.Type())
	for i := range v.NumField() {
		if travels(v.Type().Field(i)) && (!r.gaps || r.IntN(3) > 0) {
			r.set(v.Field(i), parents)
		}
	}
}

// text is never empty, and has what needs care in forms, XML and JSON.
func (r randomizer) text() string {
	alphabet := []rune("aZ09 .,-_~/\\<>&'\"+%=;:?#{}[]()\t\n\ré漢\u2028😀")
	text := make([]rune, 1+r.IntN(12))
	for i := range text {
		text[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(text)
}
