package awswire

import (
	"fmt"
	"reflect"
	"time"
)

// kind is what a value is on the wire.
type kind int

const (
	kindStructure kind = iota
	kindList
	kindMap
	kindString // also enums
	kindBoolean
	kindInteger
	kindFloat
	kindTimestamp
	kindBlob
)

// shape is a Go type of the SDK as the wire sees it. Pointers are left out:
// every value of the SDK is optional.
type shape struct {
	kind   kind
	goType reflect.Type // without pointer
	fields []shapeField // of a structure, in the order of the Go type
	elem   *shape       // of a list or a map
}

type shapeField struct {
	member
	outTag, itemTag tag // in answers
	index           int
	shape           *shape
}

// shapeOf builds the shape of a type once; shapes may be recursive.
func (m *model) shapeOf(t reflect.Type) *shape {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := m.shapes[t]; ok {
		return s
	}
	s := &shape{goType: t}
	m.shapes[t] = s
	switch t.Kind() {
	case reflect.String:
		s.kind = kindString
	case reflect.Bool:
		s.kind = kindBoolean
	case reflect.Int32, reflect.Int64:
		s.kind = kindInteger
	case reflect.Float32, reflect.Float64:
		s.kind = kindFloat
	case reflect.Slice:
		s.kind, s.elem = kindList, m.shapeOf(t.Elem())
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind = kindBlob
		}
	case reflect.Uint8: // only as the element of a blob
	case reflect.Map:
		s.kind, s.elem = kindMap, m.shapeOf(t.Elem())
	case reflect.Struct:
		m.structure(s)
	default:
		panic(fmt.Sprintf("awswire: %s has no form on the wire", t))
	}
	return s
}

func (m *model) structure(s *shape) {
	if s.goType == reflect.TypeFor[time.Time]() {
		s.kind = kindTimestamp
		return
	}
	for i := range s.goType.NumField() {
		f := s.goType.Field(i)
		if !f.IsExported() || f.Anonymous || f.Name == "ResultMetadata" {
			continue
		}
		wire := m.member(s.goType.Name(), f.Name)
		s.fields = append(s.fields, shapeField{
			member: wire,
			outTag: newTag(wire.out), itemTag: newTag(wire.item),
			index: i,
			shape: m.shapeOf(f.Type),
		})
	}
}
