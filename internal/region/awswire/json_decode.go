package awswire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"time"
)

// parseJSON reads the object that a request's body is; no body is an empty one.
func parseJSON(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, serialization("The request's body is not valid JSON.")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, serialization("There is something after the request's JSON.")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, serialization("The request's body must be a JSON object.")
	}
	return object, nil
}

func serialization(format string, args ...any) *Error {
	return BadRequestf("SerializationException", format, args...)
}

// jsonDecoder fills an input from JSON. A null is nothing, and members that the
// input does not have are left out, as AWS does.
type jsonDecoder struct {
	missing func(name string) *Error // the error for a required member
}

func (d jsonDecoder) structure(s *shape, object map[string]any, path string, v reflect.Value) error {
	for _, f := range s.fields {
		name := join(path, f.in)
		value := object[f.in]
		if value == nil {
			if f.required {
				return d.missing(name)
			}
			continue
		}
		if err := d.value(f.shape, value, name, v.Field(f.index)); err != nil {
			return err
		}
	}
	return nil
}

// value decodes one value into v, through a pointer if v is one.
func (d jsonDecoder) value(s *shape, value any, path string, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.kind {
	case kindStructure:
		object, ok := value.(map[string]any)
		if !ok {
			return mistyped(path, value, "Structure")
		}
		return d.structure(s, object, path, v)
	case kindUnion:
		object, ok := value.(map[string]any)
		if !ok {
			return mistyped(path, value, "Structure")
		}
		return d.union(s, object, path, v)
	case kindList:
		list, ok := value.([]any)
		if !ok {
			return mistyped(path, value, "List")
		}
		return d.list(s, list, path, v)
	case kindMap:
		object, ok := value.(map[string]any)
		if !ok {
			return mistyped(path, value, "Map")
		}
		return d.mapping(s, object, path, v)
	}
	return d.scalar(s, value, path, v)
}

// union decodes the one member that is there.
func (d jsonDecoder) union(s *shape, object map[string]any, path string, v reflect.Value) error {
	for _, f := range s.fields {
		value := object[f.in]
		if value == nil {
			continue
		}
		if !v.IsNil() {
			return serialization("%.100s is a union and can have one member only.", path)
		}
		member := reflect.New(f.goType)
		if err := d.value(f.shape, value, join(path, f.in), member.Elem().Field(0)); err != nil {
			return err
		}
		v.Set(member)
	}
	if v.IsNil() {
		return serialization("%.100s is a union and must have one of its members.", path)
	}
	return nil
}

func (d jsonDecoder) list(s *shape, list []any, path string, v reflect.Value) error {
	v.Set(reflect.MakeSlice(s.goType, len(list), len(list)))
	for i, value := range list {
		if value == nil && v.Index(i).Kind() == reflect.Pointer && s.elem.kind != kindStructure {
			continue // a list that may have gaps
		}
		if err := d.value(s.elem, value, join(path, strconv.Itoa(i+1)), v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (d jsonDecoder) mapping(s *shape, object map[string]any, path string, v reflect.Value) error {
	v.Set(reflect.MakeMapWithSize(s.goType, len(object)))
	for key, value := range object {
		decoded := reflect.New(s.goType.Elem()).Elem()
		if err := d.value(s.elem, value, join(path, key), decoded); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(s.goType.Key()), decoded)
	}
	return nil
}

func (d jsonDecoder) scalar(s *shape, value any, path string, v reflect.Value) error {
	switch s.kind {
	case kindString, kindBlob:
		text, ok := value.(string)
		if !ok {
			return mistyped(path, value, "String")
		}
		if s.kind == kindString {
			v.SetString(text)
			return nil
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return mistyped(path, value, "Blob")
		}
		v.SetBytes(data)
	case kindBoolean:
		b, ok := value.(bool)
		if !ok {
			return mistyped(path, value, "Boolean")
		}
		v.SetBool(b)
	default:
		if special, ok := specialNumber(value); ok && s.kind == kindFloat {
			v.SetFloat(special)
			return nil
		}
		number, ok := value.(json.Number)
		if !ok {
			return mistyped(path, value, "Number")
		}
		return d.number(s, number.String(), path, v)
	}
	return nil
}

// specialNumber is what JSON has no number for.
func specialNumber(value any) (float64, bool) {
	switch value {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

func (d jsonDecoder) number(s *shape, text, path string, v reflect.Value) error {
	if s.kind == kindInteger {
		i, err := strconv.ParseInt(text, 10, s.goType.Bits())
		if err != nil {
			return mistyped(path, json.Number(text), "Integer")
		}
		v.SetInt(i)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return mistyped(path, json.Number(text), "Double")
	}
	if s.kind == kindFloat {
		v.SetFloat(f)
		return nil
	}
	// A time is seconds since 1970; AWS keeps milliseconds. The year must have
	// four digits, as in every other protocol.
	if f < -62135596800 || f > 253402300799 {
		return mistyped(path, json.Number(text), "Timestamp")
	}
	v.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(f * 1000))).UTC()))
	return nil
}

// mistyped says which member has a value of another type, and not the value: it
// may be a secret.
func mistyped(path string, value any, want string) *Error {
	return serialization("%s cannot be converted to %s, which %.100s must be.", jsonType(value), want, path)
}

func jsonType(value any) string {
	switch value.(type) {
	case nil:
		return "NULL_VALUE"
	case string:
		return "STRING_VALUE"
	case bool:
		return "BOOLEAN_VALUE"
	case json.Number:
		return "NUMBER_VALUE"
	case []any:
		return "LIST_VALUE"
	case map[string]any:
		return "STRUCTURE_VALUE"
	}
	return fmt.Sprintf("%T", value)
}
