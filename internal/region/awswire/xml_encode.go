package awswire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// timestampFormat is that of AWS's XML answers, always in UTC.
const timestampFormat = "2006-01-02T15:04:05.000Z"

// xmlWriter builds an answer. Nothing empty is written but lists and strings: an
// empty number or structure breaks clients.
type xmlWriter struct {
	buf bytes.Buffer
	err error
}

func (x *xmlWriter) open(name, namespace string) {
	x.buf.WriteByte('<')
	x.buf.WriteString(name)
	if namespace != "" {
		x.buf.WriteString(` xmlns="`)
		x.escape(namespace)
		x.buf.WriteByte('"')
	}
	x.buf.WriteByte('>')
}

func (x *xmlWriter) close(name string) {
	x.buf.WriteString("</")
	x.buf.WriteString(name)
	x.buf.WriteByte('>')
}

func (x *xmlWriter) text(name, value string) {
	x.open(name, "")
	x.escape(value)
	x.close(name)
}

func (x *xmlWriter) escape(s string) {
	if plain(s) {
		x.buf.WriteString(s)
		return
	}
	if err := xml.EscapeText(&x.buf, []byte(s)); err != nil {
		x.err = errors.Join(x.err, err)
	}
}

// plain is true for text that stands in XML as it is, which nearly all does.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '<' || c == '>' || c == '&' || c == '"' || c == '\'' {
			return false
		}
	}
	return true
}

func (x *xmlWriter) bytes() ([]byte, error) { return x.buf.Bytes(), x.err }

// output writes the members of an action's output. Its lists are written also
// when there is nothing in them: clients count on them.
func (x *xmlWriter) output(s *shape, v reflect.Value) {
	for _, f := range s.fields {
		if f.shape.kind == kindList && v.Field(f.index).IsNil() {
			x.open(f.out, "")
			x.close(f.out)
			continue
		}
		x.member(f, v.Field(f.index))
	}
}

// member writes a structure's member if it has a value.
func (x *xmlWriter) member(f shapeField, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		v = v.Elem()
	case reflect.Slice, reflect.Map:
		if v.IsNil() {
			return
		}
	case reflect.String: // an enum: empty is absent
		if v.Len() == 0 {
			return
		}
	}
	x.value(f.shape, f.out, f.item, v)
}

// value writes one element; item is what the elements of a list are called.
func (x *xmlWriter) value(s *shape, name, item string, v reflect.Value) {
	start := x.buf.Len()
	x.open(name, "")
	inside := x.buf.Len()
	switch s.kind {
	case kindStructure:
		for _, f := range s.fields {
			x.member(f, v.Field(f.index))
		}
		if x.buf.Len() == inside {
			x.buf.Truncate(start)
			return
		}
	case kindList:
		for i := range v.Len() {
			x.element(s.elem, item, v.Index(i))
		}
	case kindMap:
		x.mapping(s, v)
	default:
		x.escape(scalarText(s, v))
	}
	x.close(name)
}

// element writes an item of a list, also an empty structure: positions count.
func (x *xmlWriter) element(s *shape, item string, v reflect.Value) {
	before := x.buf.Len()
	x.value(s, item, item, v)
	if x.buf.Len() == before {
		x.open(item, "")
		x.close(item)
	}
}

func (x *xmlWriter) mapping(s *shape, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	for _, key := range keys {
		x.open("entry", "")
		x.text("key", key.String())
		x.value(s.elem, "value", "member", v.MapIndex(key))
		x.close("entry")
	}
}

func scalarText(s *shape, v reflect.Value) string {
	switch s.kind {
	case kindString:
		return v.String()
	case kindBoolean:
		return strconv.FormatBool(v.Bool())
	case kindInteger:
		return strconv.FormatInt(v.Int(), 10)
	case kindFloat:
		return strconv.FormatFloat(v.Float(), 'f', -1, s.goType.Bits())
	case kindTimestamp:
		return v.Interface().(time.Time).UTC().Format(timestampFormat)
	case kindBlob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	panic(fmt.Sprintf("awswire: %s is no scalar", s.goType))
}
