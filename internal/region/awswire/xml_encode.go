package awswire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timestampFormat is that of AWS's XML answers, always in UTC.
const timestampFormat = "2006-01-02T15:04:05.000Z"

// tag is an element's name as it stands before and after what is in it.
type tag struct{ open, close string }

func newTag(name string) tag { return tag{"<" + name + ">", "</" + name + ">"} }

// xmlWriter builds an answer. Nothing empty is written but lists and strings: an
// empty number or structure breaks clients.
type xmlWriter struct {
	buf []byte
}

func (x *xmlWriter) write(s string) { x.buf = append(x.buf, s...) }

func (x *xmlWriter) open(name, namespace string) {
	x.write("<" + name)
	if namespace != "" {
		x.write(` xmlns="`)
		x.escape(namespace)
		x.write(`"`)
	}
	x.write(">")
}

func (x *xmlWriter) close(name string) { x.write("</" + name + ">") }

func (x *xmlWriter) text(name, value string) {
	x.open(name, "")
	x.escape(value)
	x.close(name)
}

func (x *xmlWriter) escape(s string) {
	if plain(s) {
		x.write(s)
		return
	}
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	x.buf = append(x.buf, b.Bytes()...)
}

// special are the characters that do not stand in XML as they are.
var special = func() (table [256]bool) {
	for c := range table {
		table[c] = c < ' ' || c > '~' || strings.IndexByte(`<>&"'`, byte(c)) >= 0
	}
	return table
}()

// plain is true for text that stands in XML as it is, which nearly all does.
func plain(s string) bool {
	for i := range len(s) {
		if special[s[i]] {
			return false
		}
	}
	return true
}

// output writes the members of an action's output. Its lists are written also
// when there is nothing in them: clients count on them.
func (x *xmlWriter) output(s *shape, v reflect.Value) {
	for i := range s.fields {
		f := &s.fields[i]
		if f.shape.kind == kindList && v.Field(f.index).IsNil() {
			x.write(f.outTag.open)
			x.write(f.outTag.close)
			continue
		}
		x.member(f, v.Field(f.index))
	}
}

// member writes a structure's member if it has a value.
func (x *xmlWriter) member(f *shapeField, v reflect.Value) {
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
	x.value(f.shape, f.outTag, f.itemTag, v)
}

// value writes one element; item is what the elements of a list are called.
func (x *xmlWriter) value(s *shape, name, item tag, v reflect.Value) {
	start := len(x.buf)
	x.write(name.open)
	inside := len(x.buf)
	switch s.kind {
	case kindStructure:
		for i := range s.fields {
			x.member(&s.fields[i], v.Field(s.fields[i].index))
		}
		if len(x.buf) == inside {
			x.buf = x.buf[:start]
			return
		}
	case kindList:
		for i := range v.Len() {
			x.element(s.elem, item, v.Index(i))
		}
	case kindMap:
		x.mapping(s, v)
	default:
		x.scalar(s, v)
	}
	x.write(name.close)
}

// element writes an item of a list, also an empty structure: positions count.
func (x *xmlWriter) element(s *shape, item tag, v reflect.Value) {
	before := len(x.buf)
	x.value(s, item, item, v)
	if len(x.buf) == before {
		x.write(item.open)
		x.write(item.close)
	}
}

func (x *xmlWriter) mapping(s *shape, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		x.open("entry", "")
		x.text("key", key.String())
		x.value(s.elem, newTag("value"), newTag("member"), v.MapIndex(key))
		x.close("entry")
	}
}

func (x *xmlWriter) scalar(s *shape, v reflect.Value) {
	switch s.kind {
	case kindString:
		x.escape(v.String())
	case kindBoolean:
		x.buf = strconv.AppendBool(x.buf, v.Bool())
	case kindInteger:
		x.buf = strconv.AppendInt(x.buf, v.Int(), 10)
	case kindFloat:
		x.buf = strconv.AppendFloat(x.buf, v.Float(), 'f', -1, s.goType.Bits())
	case kindTimestamp:
		x.buf = v.Interface().(time.Time).UTC().AppendFormat(x.buf, timestampFormat)
	case kindBlob:
		x.buf = base64.StdEncoding.AppendEncode(x.buf, v.Bytes())
	default:
		panic(fmt.Sprintf("awswire: %s is no scalar", s.goType))
	}
}
