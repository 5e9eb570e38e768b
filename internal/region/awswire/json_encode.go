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

// encodeJSON is the answer of a JSON service. As in XML, the lists of the output
// itself are there also when they are empty.
func encodeJSON(s *shape, v reflect.Value) ([]byte, error) {
	object, err := jsonStructure(s, v)
	if err != nil {
		return nil, err
	}
	for _, f := range s.fields {
		if f.shape.kind == kindList && object[f.out] == nil {
			object[f.out] = []any{}
		}
	}
	return json.Marshal(object)
}

func jsonError(e *Error) []byte {
	body, _ := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	return body
}

func jsonStructure(s *shape, v reflect.Value) (map[string]any, error) {
	object := map[string]any{}
	for _, f := range s.fields {
		member := v.Field(f.index)
		if absent(member) {
			continue
		}
		value, err := jsonValue(f.shape, member)
		if err != nil {
			return nil, err
		}
		object[f.out] = value
	}
	return object, nil
}

// absent says that a member is not written: nil, or an empty enum.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func jsonValue(s *shape, v reflect.Value) (any, error) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch s.kind {
	case kindStructure:
		return jsonStructure(s, v)
	case kindList:
		list := make([]any, v.Len())
		for i := range list {
			value, err := jsonValue(s.elem, v.Index(i))
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case kindMap:
		object := make(map[string]any, v.Len())
		for key, value := range v.Seq2() {
			encoded, err := jsonValue(s.elem, value)
			if err != nil {
				return nil, err
			}
			object[key.String()] = encoded
		}
		return object, nil
	}
	return jsonScalar(s, v)
}

func jsonScalar(s *shape, v reflect.Value) (any, error) {
	switch s.kind {
	case kindString:
		return v.String(), nil
	case kindBoolean:
		return v.Bool(), nil
	case kindInteger:
		return v.Int(), nil
	case kindFloat:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%v is no number in JSON", f)
		}
		return f, nil
	case kindTimestamp:
		seconds := float64(v.Interface().(time.Time).UnixMilli()) / 1000
		return json.Number(strconv.FormatFloat(seconds, 'f', -1, 64)), nil
	case kindBlob:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	}
	return nil, fmt.Errorf("awswire: %s is no scalar", s.goType)
}
