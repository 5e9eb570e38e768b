package kms

import (
	"context"
	"reflect"
	"slices"
)

// resources are the ARNs of the keys and aliases that a call is about.
func (a *API) resources(ctx context.Context, in any) []string {
	v, p := reflect.ValueOf(in).Elem(), placeOf(ctx)
	var arns []string
	for _, name := range []string{"KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId", "AliasName"} {
		field := v.FieldByName(name)
		if !field.IsValid() || field.IsNil() {
			continue
		}
		given := field.Elem().String()
		if name == "AliasName" {
			arns = append(arns, p.arn(given))
		}
		if key, err := a.key(ctx, &given); err == nil {
			arns = append(arns, key.Value.ARN())
		} else if name != "AliasName" {
			arns = append(arns, p.arn("key/"+given)) // which is nobody's
		}
	}
	if field := v.FieldByName("CiphertextBlob"); field.IsValid() {
		if id, err := keyIDOf(field.Bytes()); err == nil {
			arns = append(arns, p.arn("key/"+id))
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}
