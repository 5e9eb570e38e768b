package awswire

import (
	"fmt"
	"reflect"
	"time"

	rdsdata "github.com/aws/aws-sdk-go-v2/service/rdsdata/types"
)

// kind is what a value is on the wire.
type kind int

const (
	kindStructure kind = iota
	kindUnion          // a structure of which one member is there
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
	fields []shapeField // of a structure, in the order of the Go type; of a union, its members
	elem   *shape       // of a list or a map
}

type shapeField struct {
	member
	outTag, itemTag tag // in answers
	index           int
	shape           *shape
	goType          reflect.Type // that a member of a union is, without pointer
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
	case reflect.Interface:
		m.union(s)
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

// union fills in the members of a union: types of the SDK with the one field Value.
func (m *model) union(s *shape) {
	s.kind = kindUnion
	for _, t := range UnionMembers(s.goType) {
		s.fields = append(s.fields, shapeField{
			member: m.member(s.goType.Name(), t.Name()), goType: t, shape: m.shapeOf(t.Field(0).Type),
		})
	}
	if len(s.fields) == 0 {
		panic(fmt.Sprintf("awswire: the members of %s are not known", s.goType))
	}
}

// UnionMembers are the types that a union of the SDK can be. Go does not tell them.
func UnionMembers(union reflect.Type) []reflect.Type {
	var members []reflect.Type
	for _, t := range []reflect.Type{
		reflect.TypeFor[rdsdata.FieldMemberArrayValue](), reflect.TypeFor[rdsdata.FieldMemberBlobValue](),
		reflect.TypeFor[rdsdata.FieldMemberBooleanValue](), reflect.TypeFor[rdsdata.FieldMemberDoubleValue](),
		reflect.TypeFor[rdsdata.FieldMemberIsNull](), reflect.TypeFor[rdsdata.FieldMemberLongValue](),
		reflect.TypeFor[rdsdata.FieldMemberStringValue](),
		reflect.TypeFor[rdsdata.ArrayValueMemberArrayValues](), reflect.TypeFor[rdsdata.ArrayValueMemberBooleanValues](),
		reflect.TypeFor[rdsdata.ArrayValueMemberDoubleValues](), reflect.TypeFor[rdsdata.ArrayValueMemberLongValues](),
		reflect.TypeFor[rdsdata.ArrayValueMemberStringValues](),
	} {
		if reflect.PointerTo(t).Implements(union) {
			members = append(members, t)
		}
	}
	return members
}
