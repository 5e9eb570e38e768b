package awswire

import (
	"encoding/base64"
	"sort"
)

// PageLimits bounds the page size that a client may ask for.
type PageLimits struct {
	Min, Max, Default int
	// Parameter is the name of the size in errors: MaxRecords, MaxResults.
	Parameter string
	// Code is that of errors; InvalidParameterValue if empty.
	Code string
}

func (l PageLimits) errorf(format string, args ...any) error {
	if l.Code == "" {
		return InvalidParameterValue(format, args...)
	}
	return BadRequestf(l.Code, format, args...)
}

// RDSPages are the limits of most Describe actions of RDS.
func RDSPages() PageLimits {
	return PageLimits{Min: 20, Max: 100, Default: 100, Parameter: "MaxRecords"}
}

// Page sorts items by key, which must be unique, and returns those after marker,
// at most size of them, with the marker of the next page: nil on the last one.
func Page[T any](items []T, marker *string, size *int32, limits PageLimits, key func(T) string) ([]T, *string, error) {
	limit := limits.Default
	if size != nil {
		limit = int(*size)
		if limit < limits.Min || limit > limits.Max {
			return nil, nil, limits.errorf("Invalid value %d for %s. Must be between %d and %d",
				limit, limits.Parameter, limits.Min, limits.Max)
		}
	}
	items = append([]T(nil), items...)
	sort.Slice(items, func(i, j int) bool { return key(items[i]) < key(items[j]) })
	if marker != nil && *marker != "" {
		after, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil {
			return nil, nil, limits.errorf("The marker is not one that this service gave out.")
		}
		items = items[sort.Search(len(items), func(i int) bool { return key(items[i]) > string(after) }):]
	}
	if len(items) <= limit {
		return items, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items[:limit], &next, nil
}
