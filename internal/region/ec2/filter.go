package ec2

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// attributes are what a resource can be filtered by: a filter's name → the
// resource's values. A name without values is known and never matches.
type attributes map[string][]string

// tagged adds the filters that every resource with tags has.
func (a attributes) tagged(tags []aurora.Tag) attributes {
	a["tag-key"] = nil
	for _, tag := range tags {
		a["tag-key"] = append(a["tag-key"], tag.Key)
		a["tag:"+tag.Key] = []string{tag.Value}
	}
	return a
}

// filtered returns the items that match all filters.
func filtered[T any](items []T, filters []types.Filter, of func(T) attributes) ([]T, error) {
	var zero T
	known := of(zero)
	for _, f := range filters {
		name := aws.ToString(f.Name)
		if _, ok := known[name]; !ok && !(strings.HasPrefix(name, "tag:") && hasTags(known)) {
			return nil, awswire.InvalidParameterValue("The filter '%s' is invalid", name)
		}
	}
	kept := make([]T, 0, len(items))
	for _, item := range items {
		if matches(of(item), filters) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

func hasTags(a attributes) bool {
	_, ok := a["tag-key"]
	return ok
}

// matches is true if of each filter one value matches.
func matches(a attributes, filters []types.Filter) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(a[aws.ToString(f.Name)], func(value string) bool {
			return slices.ContainsFunc(f.Values, func(pattern string) bool { return wildcard(pattern, value) })
		}) {
			return false
		}
	}
	return true
}

// wildcard matches * (any text), ? (any character) and \ before either. After a
// mismatch it goes back to the last * only, so that its time stays bounded.
func wildcard(pattern, value string) bool {
	p, v, star, mark := 0, 0, -1, 0
	for v < len(value) {
		escaped := p+1 < len(pattern) && pattern[p] == '\\'
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, v
			p++
		case escaped && pattern[p+1] == value[v]:
			p, v = p+2, v+1
		case p < len(pattern) && !escaped && (pattern[p] == '?' || pattern[p] == value[v]):
			p, v = p+1, v+1
		case star >= 0:
			mark++
			p, v = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
