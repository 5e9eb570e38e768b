package wiretest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// rounds is how often each operation is called with random values.
const rounds = 8

// Roundtrip calls every registered operation of the service with the real client,
// which newClient makes: with every field filled, with an empty answer, and with
// random values. The action must be given what the client was given, and the
// client must get what the action answered.
func Roundtrip[C any](t *testing.T, s *awswire.Service, newClient func(aws.Config) C) {
	t.Helper()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
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
			inType, outType := method.Type().In(1).Elem(), method.Type().Out(0).Elem()
			type pair struct{ in, out reflect.Value }
			pairs := []pair{{f.filled(inType), f.filled(outType)}, {f.filled(inType), reflect.New(outType)}}
			for range rounds {
				pairs = append(pairs, pair{randomValue(random, inType, false), randomValue(random, outType, true)})
			}
			for _, p := range pairs {
				in, out := p.in, p.out
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

// unionMembers are what a union can be within parents.
func unionMembers(union reflect.Type, parents []reflect.Type) []reflect.Type {
	return slices.DeleteFunc(awswire.UnionMembers(union), func(t reflect.Type) bool { return slices.Contains(parents, t) })
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
	case reflect.Interface:
		members := unionMembers(v.Type(), parents)
		member := reflect.New(members[f.n%len(members)])
		f.fill(member.Elem().Field(0), append(parents[:len(parents):len(parents)], member.Type().Elem()))
		v.Set(member)
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

// difference says where two values differ. Nothing, an empty list and an empty
// structure are the same, and what the SDK adds of its own is left out.
func difference(a, b reflect.Value, path string) string {
	switch a.Kind() {
	case reflect.Pointer:
		if void(a) && void(b) {
			return ""
		}
		if a.IsNil() != b.IsNil() {
			return fmt.Sprintf("%s: nil %v and nil %v", path, a.IsNil(), b.IsNil())
		}
		return difference(a.Elem(), b.Elem(), path)
	case reflect.Interface:
		if a.IsNil() || b.IsNil() || a.Elem().Type() != b.Elem().Type() {
			if a.IsNil() && b.IsNil() {
				return ""
			}
			return fmt.Sprintf("%s: %#v and %#v", path, a, b)
		}
		return difference(a.Elem(), b.Elem(), path)
	case reflect.Struct:
		// The SDK reads JSON's seconds as a float, and so may lose a millisecond.
		if t, ok := a.Interface().(time.Time); ok && t.Sub(b.Interface().(time.Time)).Abs() > time.Millisecond {
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
		if a.Type().Elem().Kind() == reflect.Uint8 {
			if !bytes.Equal(a.Bytes(), b.Bytes()) {
				return fmt.Sprintf("%s: %q and %q", path, a.Bytes(), b.Bytes())
			}
			return ""
		}
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d elements", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d entries", path, a.Len(), b.Len())
		}
		for key, value := range a.Seq2() {
			other := b.MapIndex(key)
			if !other.IsValid() {
				return fmt.Sprintf("%s: no %q", path, key)
			}
			if d := difference(value, other, path+"["+key.String()+"]"); d != "" {
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

// void says that there is nothing in a value.
func void(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() || v.Elem().Kind() == reflect.Struct && void(v.Elem())
	case reflect.Interface:
		return v.IsNil()
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if travels(v.Type().Field(i)) && !void(v.Field(i)) {
				return false
			}
		}
		return v.Type() != reflect.TypeFor[time.Time]()
	}
	return v.IsZero()
}

// Fill sets every field of a value of the SDK's types.
func Fill(v any) {
	var f filler
	f.fill(reflect.ValueOf(v).Elem(), nil)
}
