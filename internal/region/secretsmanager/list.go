package secretsmanager

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// ListSecrets answers the secrets of the caller's account and region that pass
// all filters, the oldest first.
func (a *API) ListSecrets(ctx context.Context, in *api.ListSecretsInput) (*api.ListSecretsOutput, error) {
	for _, f := range in.Filters {
		if !slices.Contains(types.FilterNameStringTypeName.Values(), f.Key) {
			return nil, awswire.BadRequestf("ValidationException", "There is no filter %.50s.", f.Key)
		}
	}
	if in.SortBy != "" && in.SortBy != types.SortByTypeCreatedDate && in.SortBy != types.SortByTypeName {
		return nil, invalidParameter("Secrets can be sorted by created-date and name in this region.")
	}
	items, _, err := a.secrets.List(ctx, placeOf(ctx).record(""))
	if err != nil {
		return nil, err
	}
	var secrets []Secret
	for _, item := range items {
		s := item.Value
		if s.DeleteAt != nil && !time.Now().Before(*s.DeleteAt) || s.DeleteAsked != nil && !aws.ToBool(in.IncludePlannedDeletion) {
			continue
		}
		if !slices.ContainsFunc(in.Filters, func(f types.Filter) bool { return !s.passes(f) }) {
			secrets = append(secrets, s)
		}
	}
	page, next, err := awswire.Page(secrets, in.NextToken, in.MaxResults, pages(), sortKey(in.SortBy, in.SortOrder))
	out := &api.ListSecretsOutput{NextToken: next}
	for _, s := range page {
		out.SecretList = append(out.SecretList, s.entry())
	}
	return out, err
}

// sortKey is what pages are sorted by; its order is that of the text.
func sortKey(by types.SortByType, order types.SortOrderType) func(Secret) string {
	return func(s Secret) string {
		key := fmt.Sprintf("%020d", s.Created.UnixMilli())
		switch {
		case by == types.SortByTypeName && order == types.SortOrderTypeDesc:
			inverted := []byte(s.Name)
			for i := range inverted {
				inverted[i] = 0xff - inverted[i]
			}
			return string(inverted) + "\xff"
		case by == types.SortByTypeName:
			return s.Name
		case order == types.SortOrderTypeDesc:
			key = fmt.Sprintf("%020d", math.MaxInt64-s.Created.UnixMilli())
		}
		return key + s.Name
	}
}

// passes says whether one of a filter's values matches. A value matches what
// begins with it; after "!" what does not.
func (s Secret) passes(f types.Filter) bool {
	var texts []string
	keys, values := slices.Collect(maps.Keys(s.Tags)), slices.Collect(maps.Values(s.Tags))
	switch f.Key {
	case types.FilterNameStringTypeName:
		texts = []string{s.Name}
	case types.FilterNameStringTypeDescription:
		texts = []string{s.Description}
	case types.FilterNameStringTypeTagKey:
		texts = keys
	case types.FilterNameStringTypeTagValue:
		texts = values
	case types.FilterNameStringTypeAll:
		texts = slices.Concat([]string{s.Name, s.Description}, keys, values)
	}
	return slices.ContainsFunc(f.Values, func(value string) bool {
		value, negated := strings.CutPrefix(value, "!")
		begins := slices.ContainsFunc(texts, func(text string) bool {
			if f.Key == types.FilterNameStringTypeDescription || f.Key == types.FilterNameStringTypeAll {
				return hasWord(text, value)
			}
			return strings.HasPrefix(text, value)
		})
		return begins != negated
	})
}

// hasWord says whether a word of the text begins with value, in any case.
func hasWord(text, value string) bool {
	text, value = strings.ToLower(text), strings.ToLower(value)
	return strings.HasPrefix(text, value) || slices.ContainsFunc(strings.FieldsFunc(text, func(r rune) bool {
		return strings.ContainsRune(" /_+=.@-", r)
	}), func(word string) bool { return strings.HasPrefix(word, value) })
}

func (s Secret) entry() types.SecretListEntry {
	e := types.SecretListEntry{
		ARN: aws.String(s.ARN()), Name: &s.Name, CreatedDate: &s.Created, LastChangedDate: &s.Changed, DeletedDate: s.DeleteAsked,
		Tags: wireTags(s.Tags), SecretVersionsToStages: s.stages(),
	}
	if s.Description != "" {
		e.Description = &s.Description
	}
	if s.KmsKeyID != "" {
		e.KmsKeyId = &s.KmsKeyID
	}
	if !s.Accessed.IsZero() {
		e.LastAccessedDate = &s.Accessed
	}
	if s.Owner.Service != "" {
		e.OwningService, e.RotationEnabled, e.LastRotatedDate = &s.Owner.Service, aws.Bool(true), &s.Rotated
	}
	return e
}
