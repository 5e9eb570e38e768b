package rds

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// filtered keeps the items of which, for every filter, one value is among those
// that the filter names. values gives an item's values by the filter's name.
func filtered[T any](items []T, filters []types.Filter, values map[string]func(T) []string) ([]T, error) {
	for _, f := range filters {
		of, ok := values[aws.ToString(f.Name)]
		if !ok {
			return nil, awswire.InvalidParameterValue("Unrecognized filter name: %s", aws.ToString(f.Name))
		}
		items = slices.DeleteFunc(items, func(item T) bool {
			return !slices.ContainsFunc(of(item), func(have string) bool { return slices.Contains(f.Values, have) })
		})
	}
	return items, nil
}
