package plugin

import (
	"math/big"
	"reflect"
	"strconv"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// An Object is a value with named parts: a resource, a nested block, a map. Its values are nil,
// [Unknown], string, bool, float64, []any (lists and sets) and Object.
type Object map[string]any

// Unknown stands for a value that will be known after apply.
type Unknown struct{}

// String returns a string, empty when it is null or unknown.
func (o Object) String(name string) string { s, _ := o[name].(string); return s }

// Bool returns a boolean, false when it is null or unknown.
func (o Object) Bool(name string) bool { b, _ := o[name].(bool); return b }

// Float returns a number, 0 when it is null or unknown.
func (o Object) Float(name string) float64 { f, _ := o[name].(float64); return f }

// Int returns a whole number, 0 when it is null or unknown.
func (o Object) Int(name string) int32 { return int32(o.Float(name)) }

// Strings returns the strings of a list or set.
func (o Object) Strings(name string) []string {
	var out []string
	for _, v := range o.list(name) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Objects returns the elements of a list or set of objects or blocks.
func (o Object) Objects(name string) []Object {
	var out []Object
	for _, v := range o.list(name) {
		if e, ok := v.(Object); ok {
			out = append(out, e)
		}
	}
	return out
}

// Map returns a map of strings.
func (o Object) Map(name string) map[string]string {
	m, _ := o[name].(Object)
	out := make(map[string]string, len(m))
	for k := range m {
		out[k] = m.String(k)
	}
	return out
}

// Has says whether a value is known and neither null nor the zero of its type.
func (o Object) Has(name string) bool { return !isUnknown(o[name]) && !blank(o[name]) }

func (o Object) list(name string) []any { l, _ := o[name].([]any); return l }

// Set stores an API's value: pointers are followed, a nil pointer is the zero of what it points to, named
// string types are strings, numbers of any kind are numbers.
func (o Object) Set(name string, value any) { o[name] = plain(reflect.ValueOf(value)) }

func plain(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return plain(reflect.Zero(v.Type().Elem()))
		}
		return plain(v.Elem())
	case reflect.Interface:
		return plain(v.Elem())
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return float64(v.Int())
	case reflect.Float64:
		return v.Float()
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Map:
		o := Object{}
		for _, k := range v.MapKeys() {
			o[k.String()] = plain(v.MapIndex(k))
		}
		return o
	}
	return v.Interface()
}

func isUnknown(v any) bool { _, ok := v.(Unknown); return ok }

// hasUnknown looks for an unknown part.
func hasUnknown(v any) bool {
	switch v := v.(type) {
	case Unknown:
		return true
	case []any:
		for _, e := range v {
			if hasUnknown(e) {
				return true
			}
		}
	case Object:
		for _, e := range v {
			if hasUnknown(e) {
				return true
			}
		}
	}
	return false
}

// blank says whether a value is null or the zero of its type. hashicorp/aws tells these apart only where
// it is forced to.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case Object:
		return len(v) == 0
	}
	return false
}

// equal compares two values of a type; sets have no order.
func equal(t tftypes.Type, a, b any) bool {
	if a == nil || b == nil || isUnknown(a) || isUnknown(b) {
		return a == nil && b == nil || isUnknown(a) && isUnknown(b)
	}
	switch t := t.(type) {
	case tftypes.Set:
		as, bs := a.([]any), b.([]any)
		return len(as) == len(bs) && contains(t.ElementType, as, bs) && contains(t.ElementType, bs, as)
	case tftypes.List:
		as, bs := a.([]any), b.([]any)
		for i := range as {
			if len(as) != len(bs) || !equal(t.ElementType, as[i], bs[i]) {
				return false
			}
		}
		return len(as) == len(bs)
	case tftypes.Map:
		as, bs := a.(Object), b.(Object)
		for k := range as {
			if _, ok := bs[k]; !ok || !equal(t.ElementType, as[k], bs[k]) {
				return false
			}
		}
		return len(as) == len(bs)
	case tftypes.Object:
		as, bs := a.(Object), b.(Object)
		for k, et := range t.AttributeTypes {
			if !equal(et, as[k], bs[k]) {
				return false
			}
		}
		return true
	}
	return a == b
}

// contains says whether each element of small is in big.
func contains(t tftypes.Type, large, small []any) bool {
	for _, s := range small {
		found := false
		for _, l := range large {
			found = found || equal(t, l, s)
		}
		if !found {
			return false
		}
	}
	return true
}

func clone(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	case Object:
		out := make(Object, len(v))
		for k := range v {
			out[k] = clone(v[k])
		}
		return out
	}
	return v
}

// known returns a copy in which what is unknown is null.
func known(v any) any {
	switch v := v.(type) {
	case Unknown:
		return nil
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			out = append(out, known(e))
		}
		return out
	case Object:
		out := make(Object, len(v))
		for k := range v {
			out[k] = known(v[k])
		}
		return out
	}
	return v
}

func decode(v tftypes.Value) any {
	if !v.IsKnown() {
		return Unknown{}
	}
	if v.IsNull() {
		return nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		return must[string](v)
	case t.Is(tftypes.Bool):
		return must[bool](v)
	case t.Is(tftypes.Number):
		n := must[big.Float](v)
		f, _ := n.Float64()
		return f
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}):
		parts := must[[]tftypes.Value](v)
		list := make([]any, len(parts))
		for i := range parts {
			list[i] = decode(parts[i])
		}
		return list
	default:
		parts := must[map[string]tftypes.Value](v)
		o := make(Object, len(parts))
		for k := range parts {
			o[k] = decode(parts[k])
		}
		return o
	}
}

// must reads a known value of a type that was checked.
func must[T any](v tftypes.Value) T {
	var out T
	if err := v.As(&out); err != nil {
		panic(err)
	}
	return out
}

func encode(t tftypes.Type, v any) tftypes.Value {
	switch v := v.(type) {
	case nil:
		return tftypes.NewValue(t, nil)
	case Unknown:
		return tftypes.NewValue(t, tftypes.UnknownValue)
	case float64:
		return tftypes.NewValue(t, number(v))
	case []any:
		et := elementType(t)
		parts := make([]tftypes.Value, len(v))
		for i := range v {
			parts[i] = encode(et, v[i])
		}
		return tftypes.NewValue(t, parts)
	case Object:
		parts := map[string]tftypes.Value{}
		if object, ok := t.(tftypes.Object); ok {
			for k, et := range object.AttributeTypes {
				parts[k] = encode(et, v[k])
			}
		} else {
			for k := range v {
				parts[k] = encode(elementType(t), v[k])
			}
		}
		return tftypes.NewValue(t, parts)
	}
	return tftypes.NewValue(t, v)
}

func elementType(t tftypes.Type) tftypes.Type {
	switch t := t.(type) {
	case tftypes.List:
		return t.ElementType
	case tftypes.Set:
		return t.ElementType
	case tftypes.Map:
		return t.ElementType
	}
	return nil
}

// number has the value that Terraform reads from the same digits, so that 70.1 is one number on both sides.
func number(f float64) *big.Float {
	const terraformsPrecision = 512
	n, _, err := big.ParseFloat(strconv.FormatFloat(f, 'f', -1, 64), 10, terraformsPrecision, big.ToNearestEven)
	if err != nil {
		panic(err)
	}
	return n
}
