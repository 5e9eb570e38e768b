// Package random is the part of Terraform's hashicorp/random that database stacks use: random_password,
// random_string and random_id, with the same schemas and the same stored state as version 3.7.
package random

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// Version is the version of hashicorp/random that this package stands in for.
const Version = "3.7.2"

//go:embed schemas.txt
var schemasText string

// New makes the provider.
func New() (*plugin.Provider, error) {
	schemas, err := plugin.ParseSchemas(schemasText)
	if err != nil {
		return nil, fmt.Errorf("random: %w", err)
	}
	return &plugin.Provider{
		Schemas: schemas,
		Resources: map[string]plugin.Resource{
			"random_id":       idResource(),
			"random_password": text(password),
			"random_string":   text(plainString),
		},
	}, nil
}

// stored completes a resource that lives in the state alone.
func stored(r plugin.Resource) plugin.Resource {
	r.Read = func(context.Context, plugin.Object) (bool, error) { return true, nil }
	r.Update = func(context.Context, *plugin.Change) error { return nil }
	r.Delete = func(context.Context, plugin.Object, time.Duration) error { return nil }
	return r
}

// keepers replaces a resource when its keepers change, unless only nulls come or go.
var keepers = plugin.Rule{Replace: true, Keep: func(prior, config any) bool {
	before, _ := prior.(plugin.Object)
	now, _ := config.(plugin.Object)
	return len(before) == 0 && len(now) == 0 && (prior == nil) != (config == nil)
}}
