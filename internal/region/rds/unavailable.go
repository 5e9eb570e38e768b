package rds

import (
	"reflect"
	"slices"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// unavailable returns the first parameter of a request that asks for something
// and that is not among those that the action honours. What is off, zero or
// empty asks for nothing. So no option is silently ignored, not even those that
// the SDK learns later.
func unavailable(in any, honoured ...string) (parameter string, asked bool) {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.IsExported() && !slices.Contains(honoured, field.Name) && asks(v.Field(i)) {
			return field.Name, true
		}
	}
	return "", false
}

func asks(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && (v.Elem().Kind() == reflect.Struct || asks(v.Elem()))
	case reflect.Slice:
		return v.Len() > 0
	}
	return !v.IsZero()
}

// refuseOthers refuses requests for options that the region does not have.
func refuseOthers(in any, honoured ...string) error {
	if parameter, asked := unavailable(in, honoured...); asked {
		return awswire.InvalidParameterCombination("The parameter %s is not available for aurora-postgresql in this region yet. Leave it out.", parameter)
	}
	return nil
}
