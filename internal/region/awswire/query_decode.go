package awswire

import (
	"encoding/base64"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// queryDecoder fills an input from the parameters of AWS Query or EC2 Query.
type queryDecoder struct {
	codec queryCodec
}

// structure decodes the members that are there and checks that those which are
// required are.
func (d queryDecoder) structure(s *shape, n *node, path string, v reflect.Value) error {
	for _, f := range s.fields {
		name := join(path, f.in)
		child := n.child(f.in)
		if child == nil || f.required && d.codec.blankIsMissing && child.blank() && f.shape.kind != kindList {
			if f.required {
				return d.codec.missing(name)
			}
			continue
		}
		if err := d.value(f.shape, child, name, v.Field(f.index)); err != nil {
			return err
		}
	}
	return d.noOthers(s, n, path)
}

// noOthers refuses members that the structure does not have, where the service does:
// the first one by name.
func (d queryDecoder) noOthers(s *shape, n *node, path string) error {
	if d.codec.unrecognized == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if !slices.ContainsFunc(s.fields, func(f shapeField) bool { return f.in == name }) {
			return d.codec.unrecognized(join(path, name))
		}
	}
	return nil
}

func (n *node) blank() bool { return n.value == "" && len(n.children) == 0 }

// value decodes one parameter into v, through a pointer if v is one.
func (d queryDecoder) value(s *shape, n *node, path string, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if s.kind == kindStructure && n.blank() {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.kind {
	case kindStructure:
		if n.given && n.value != "" {
			return d.codec.invalid(path, n.value, "Structure")
		}
		return d.structure(s, n, path, v)
	case kindList:
		return d.list(s, n, path, v)
	case kindMap:
		return d.mapping(s, n, path, v)
	}
	if !n.given {
		return malformed("The parameter %s is a single value, it has no members.", path)
	}
	return d.scalar(s, n.value, path, v)
}

// list decodes Name.Item.1, whatever the item is called, and Name.1; Name= alone
// is the empty list.
func (d queryDecoder) list(s *shape, n *node, path string, v reflect.Value) error {
	if n.given && n.value != "" {
		return d.codec.invalid(path, n.value, "List")
	}
	elements, ok := n.elements()
	if !ok {
		if len(n.children) > 1 {
			return malformed("The list %s is not well-formed.", path)
		}
		for name, child := range n.children {
			if elements, ok = child.elements(); !ok || child.given && child.value != "" {
				return malformed("The list %s is not well-formed.", join(path, name))
			}
			path = join(path, name)
		}
	}
	slices.SortFunc(elements, func(a, b indexed) int { return a.index - b.index })
	list := reflect.MakeSlice(s.goType, len(elements), len(elements))
	for i, e := range elements {
		if err := d.value(s.elem, e.node, join(path, strconv.Itoa(e.index)), list.Index(i)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// mapping decodes Name.entry.1.key and Name.entry.1.value; SNS calls them Name and
// Value in one of its maps.
func (d queryDecoder) mapping(s *shape, n *node, path string, v reflect.Value) error {
	entries := n
	if inner := n.child("entry"); inner != nil {
		entries, path = inner, join(path, "entry")
	}
	elements, ok := entries.elements()
	if !ok {
		return malformed("The map %s is not well-formed.", path)
	}
	result := reflect.MakeMapWithSize(s.goType, len(elements))
	for _, e := range elements {
		name := join(path, strconv.Itoa(e.index))
		key, value := e.node.child("key"), e.node.child("value")
		if key == nil && value == nil {
			key, value = e.node.child("Name"), e.node.child("Value")
		}
		if key == nil || value == nil {
			return malformed("The entry %s needs a key and a value.", name)
		}
		decoded := reflect.New(s.goType.Elem()).Elem()
		if err := d.value(s.elem, value, join(name, "value"), decoded); err != nil {
			return err
		}
		result.SetMapIndex(reflect.ValueOf(key.value).Convert(s.goType.Key()), decoded)
	}
	v.Set(result)
	return nil
}

func (d queryDecoder) scalar(s *shape, text, path string, v reflect.Value) error {
	switch s.kind {
	case kindString:
		v.SetString(text)
	case kindBoolean:
		if text != "true" && text != "false" {
			return d.codec.invalid(path, text, "Boolean")
		}
		v.SetBool(text == "true")
	case kindInteger:
		i, err := strconv.ParseInt(text, 10, s.goType.Bits())
		if err != nil {
			return d.codec.invalid(path, text, "Integer")
		}
		v.SetInt(i)
	case kindFloat:
		f, err := strconv.ParseFloat(text, s.goType.Bits())
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return d.codec.invalid(path, text, "Double")
		}
		v.SetFloat(f)
	case kindTimestamp:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return d.codec.invalid(path, text, "Timestamp")
		}
		v.Set(reflect.ValueOf(t.UTC()))
	case kindBlob:
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return d.codec.invalid(path, text, "Blob")
		}
		v.SetBytes(data)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
