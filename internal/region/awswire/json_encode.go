package awswire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// appendJSON appends the answer of a JSON service. As in XML, the lists of the
// output itself are there also when they are empty.
func appendJSON(buf []byte, s *shape, v reflect.Value) []byte {
	object := jsonStructure(s, v)
	for _, f := range s.fields {
		if f.shape.kind == kindList && object[f.out] == nil {
			object[f.out] = []any{}
		}
	}
	text, _ := json.Marshal(object) // of texts, numbers and booleans, which always have JSON
	return append(buf, text...)
}

func jsonError(e *Error) []byte {
	body, _ := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	return body
}

func jsonStructure(s *shape, v reflect.Value) map[string]any {
	object := map[string]any{}
	for _, f := range s.fields {
		if member := v.Field(f.index); !absent(member) {
			object[f.out] = jsonValue(f.shape, member)
		}
	}
	return object
}

// absent says that a member is not written: nil, or an empty enum.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func jsonValue(s *shape, v reflect.Value) any {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil // of a list that may have gaps
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
	}
	switch s.kind {
	case kindUnion:
		member := v.Elem().Elem()
		for _, f := range s.fields {
			if f.goType == member.Type() {
				return map[string]any{f.out: jsonValue(f.shape, member.Field(0))}
			}
		}
		panic(fmt.Sprintf("awswire: %s is no member of %s", member.Type(), s.goType))
	case kindStructure:
		return jsonStructure(s, v)
	case kindList:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = jsonValue(s.elem, v.Index(i))
		}
		return list
	case kindMap:
		object := make(map[string]any, v.Len())
		for key, value := range v.Seq2() {
			object[key.String()] = jsonValue(s.elem, value)
		}
		return object
	}
	return jsonScalar(s, v)
}

func jsonScalar(s *shape, v reflect.Value) any {
	switch s.kind {
	case kindString:
		return v.String()
	case kindBoolean:
		return v.Bool()
	case kindInteger:
		return v.Int()
	case kindFloat:
		switch f := v.Float(); {
		case math.IsNaN(f):
			return "NaN"
		case math.IsInf(f, 1):
			return "Infinity"
		case math.IsInf(f, -1):
			return "-Infinity"
		default:
			return f
		}
	case kindTimestamp:
		seconds := float64(v.Interface().(time.Time).UnixMilli()) / 1000
		return json.Number(strconv.FormatFloat(seconds, 'f', -1, 64))
	case kindBlob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	panic(fmt.Sprintf("awswire: %s is no scalar", s.goType))
}
