package wiretest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// Roundtrip calls every registered operation of the service with the real client,
// which newClient makes, with every field filled: the action must be given what
// the client was given, and the client must get what the action answered.
func Roundtrip[C any](t *testing.T, s *awswire.Service, newClient func(aws.Config) C) {
	t.Helper()
	var f filler
	var got, answer any
	cfg := Serve(t, s.Replace(func(_ context.Context, _ string, in any) (any, error) {
		got = in
		return answer, nil
	}))
	client := reflect.ValueOf(newClient(cfg))
	for _, operation := range s.Operations() {
		t.Run(operation, func(t *testing.T) {
			method := client.MethodByName(operation)
			in := f.filled(method.Type().In(1).Elem())
			for _, out := range []reflect.Value{f.filled(method.Type().Out(0).Elem()), reflect.New(method.Type().Out(0).Elem())} {
				got, answer = nil, out.Interface()
				results := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
				if err, _ := results[1].Interface().(error); err != nil {
					t.Fatal(err)
				}
				if diff := difference(in, reflect.ValueOf(got), operation+"Input"); diff != "" {
					t.Errorf("the action was given something else: %s", diff)
				}
				if diff := difference(out, results[0], operation+"Output"); diff != "" {
					t.Errorf("the client was given something else: %s", diff)
				}
			}
		})
	}
}

// filler makes values of the SDK's types with every field set.
type filler struct {
	n int
}

// travels says whether the SDK sends a field: SourceRegion only makes it sign a URL.
func travels(f reflect.StructField) bool {
	return f.IsExported() && !f.Anonymous && f.Name != "ResultMetadata" && f.Name != "SourceRegion"
}

func (f *filler) filled(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	f.fill(v.Elem(), nil)
	return v
}

func (f *filler) fill(v reflect.Value, parents []reflect.Type) {
	f.n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), parents)
	case reflect.Struct:
		f.structure(v, parents)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(fmt.Append(nil, "blob\x00", f.n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(v.Index(i), parents)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		f.fill(value, parents)
		v.SetMapIndex(reflect.ValueOf(fmt.Sprint("key ", f.n)).Convert(v.Type().Key()), value)
	case reflect.String:
		v.SetString(fmt.Sprintf("%d <&\"'>+%% é\n=", f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	}
}

func (f *filler) structure(v reflect.Value, parents []reflect.Type) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, f.n%1000*1e6, time.UTC)))
		return
	}
	for _, parent := range parents {
		if parent == v.Type() {
			return
		}
	}
	parents = append(parents[:len(parents):len(parents)], v.Type())
	for i := range v.NumField() {
		if travels(v.Type().Field(i)) {
			f.fill(v.Field(i), parents)
		}
	}
}

// difference says where two values differ. Nothing and an empty list are the
// same, and what the SDK adds of its own is left out.
func difference(a, b reflect.Value, path string) string {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() != b.IsNil() {
			return fmt.Sprintf("%s: nil %v and nil %v", path, a.IsNil(), b.IsNil())
		}
		if a.IsNil() {
			return ""
		}
		return difference(a.Elem(), b.Elem(), path)
	case reflect.Struct:
		if t, ok := a.Interface().(time.Time); ok && !t.Equal(b.Interface().(time.Time)) {
			return fmt.Sprintf("%s: %v and %v", path, t, b)
		}
		var all []string
		for i := range a.NumField() {
			if f := a.Type().Field(i); travels(f) {
				if d := difference(a.Field(i), b.Field(i), path+"."+f.Name); d != "" {
					all = append(all, d)
				}
			}
		}
		return strings.Join(all, "; ")
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d elements", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i)); d != "" {
				return d
			}
		}
		return ""
	}
	if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		return fmt.Sprintf("%s: %v and %v", path, a, b)
	}
	return ""
}

// Fill sets every field of a value of the SDK's types.
func Fill(v any) {
	var f filler
	f.fill(reflect.ValueOf(v).Elem(), nil)
}
