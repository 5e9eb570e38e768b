package aws

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// A picker fills the optional fields of a request: with what is set for a creation, with what changed for a
// modification, where a cleared value must be sent too.
type picker struct {
	o    plugin.Object
	pick func(name string) bool
}

func (p picker) str(name string) *string {
	if !p.pick(name) {
		return nil
	}
	return aws.String(p.o.String(name))
}

func (p picker) boolean(name string) *bool {
	if !p.pick(name) {
		return nil
	}
	return aws.Bool(p.o.Bool(name))
}

func (p picker) int32(name string) *int32 {
	if !p.pick(name) {
		return nil
	}
	return aws.Int32(p.o.Int(name))
}

func (p picker) int64(name string) *int64 {
	if !p.pick(name) {
		return nil
	}
	return aws.Int64(int64(p.o.Int(name)))
}

func (p picker) strings(name string) []string {
	if !p.pick(name) {
		return nil
	}
	return append([]string{}, p.o.Strings(name)...)
}

// copyFields copies the fields that two request structures share, and returns the names of those set fields
// that the second one lacks.
func copyFields(to, from any) (lacking []string) {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range src.NumField() {
		name, v := src.Type().Field(i).Name, src.Field(i)
		if !src.Type().Field(i).IsExported() || v.IsZero() {
			continue
		}
		if f := dst.FieldByName(name); f.IsValid() && f.Type() == v.Type() {
			f.Set(v)
		} else {
			lacking = append(lacking, name)
		}
	}
	return lacking
}
