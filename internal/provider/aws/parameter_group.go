package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// A parameterGroupAPI is one of the two kinds of parameter groups: of clusters and of instances. They differ in
// the names of their actions only.
type parameterGroupAPI interface {
	kind() string
	create(ctx context.Context, name, family, description string, tags []types.Tag) (arn *string, err error)
	// find returns nil when there is no such group.
	find(ctx context.Context, name string) (*parameterGroup, error)
	parameters(ctx context.Context, name, source string) ([]types.Parameter, error)
	modify(ctx context.Context, name string, parameters []types.Parameter) error
	reset(ctx context.Context, name string, parameters []types.Parameter) error
	remove(ctx context.Context, name string) error
}

type parameterGroup struct{ arn, name, family, description *string }

// atOnce is how many parameters a request may change.
const atOnce = 20

const groupNotFound = "DBParameterGroupNotFound"

func (c *client) parameterGroup(api parameterGroupAPI) plugin.Resource {
	rules := plugin.Rules{
		"description":            {Default: managed, Replace: true},
		"family":                 {Replace: true},
		"name":                   {Replace: true, Conflicts: []string{"name_prefix"}, Check: groupName},
		"name_prefix":            {Replace: true, Conflicts: []string{"name"}, Check: groupName},
		"parameter.apply_method": {Default: "immediate", State: strings.ToLower},
		"parameter.name":         {State: strings.ToLower},
		"skip_destroy":           {Default: false},
	}
	return plugin.Resource{
		Rules:     rules,
		Customize: c.planTags,
		Import:    importID,
		Create: func(ctx context.Context, change *plugin.Change) error {
			o := change.State
			name := c.names.choose(o, "name", "name_prefix", "terraform-")
			arn, err := api.create(ctx, name, o.String("family"), o.String("description"), rdsTags(c.newTags(change)))
			if err != nil {
				return fmt.Errorf("creating RDS %s (%s): %w", api.kind(), name, err)
			}
			o["id"] = name
			o.Set("arn", arn)
			return changeParameters(ctx, api, change)
		},
		Read: func(ctx context.Context, o plugin.Object) (bool, error) { return c.readParameterGroup(ctx, api, o) },
		Update: func(ctx context.Context, change *plugin.Change) error {
			if err := c.updateRDSTags(ctx, change); err != nil {
				return fmt.Errorf("updating tags for RDS %s (%s): %w", api.kind(), change.State.String("id"), err)
			}
			return changeParameters(ctx, api, change)
		},
		Delete: func(ctx context.Context, state plugin.Object, _ time.Duration) error {
			if state.Bool("skip_destroy") {
				return nil
			}
			name := state.String("id")
			inUse := func(err error) bool { return failed(err, "InvalidDBParameterGroupState") }
			err := plugin.Retry(ctx, goneWithin, inUse, func(ctx context.Context) error { return api.remove(ctx, name) })
			if failed(err, groupNotFound) {
				return nil
			}
			return wrap(err, "deleting RDS %s (%s)", api.kind(), name)
		},
	}
}

func (c *client) readParameterGroup(ctx context.Context, api parameterGroupAPI, o plugin.Object) (bool, error) {
	name := o.String("id")
	g, err := api.find(ctx, name)
	if err != nil || g == nil {
		return false, wrap(err, "reading RDS %s (%s)", api.kind(), name)
	}
	o.Set("arn", g.arn)
	o.Set("description", g.description)
	o.Set("family", g.family)
	o.Set("name", g.name)
	o["name_prefix"] = prefixOf(aws.ToString(g.name))
	parameters, err := api.parameters(ctx, name, "user")
	if err != nil {
		return false, fmt.Errorf("reading RDS %s (%s) parameters: %w", api.kind(), name, err)
	}
	// A parameter that is configured with its default counts as the system's.
	named := o.Objects("parameter")
	if len(named) > 0 {
		system, err := api.parameters(ctx, name, "system")
		if err != nil {
			return false, fmt.Errorf("reading RDS %s (%s) parameters: %w", api.kind(), name, err)
		}
		for _, p := range system {
			if slices.ContainsFunc(named, func(n plugin.Object) bool { return n.String("name") == aws.ToString(p.ParameterName) }) {
				parameters = append(parameters, p)
			}
		}
	}
	list := []any{}
	for _, p := range parameters {
		if p.ParameterName != nil {
			list = append(list, plugin.Object{
				"name": strings.ToLower(*p.ParameterName), "value": aws.ToString(p.ParameterValue), "apply_method": strings.ToLower(string(p.ApplyMethod)),
			})
		}
	}
	o["parameter"] = list
	return true, wrap(c.readRDSTags(ctx, o), "listing tags for RDS %s (%s)", api.kind(), name)
}

// changeParameters sets what is new or different, and resets what is no longer named.
func changeParameters(ctx context.Context, api parameterGroupAPI, change *plugin.Change) error {
	name := change.State.String("id")
	was, now := parametersOf(change.Prior), parametersOf(change.State)
	var immediate, later, gone []types.Parameter
	for _, key := range sortedKeys(now) {
		if p := now[key]; same(was[key], p) {
			continue
		} else if p.ApplyMethod == types.ApplyMethodPendingReboot {
			later = append(later, p)
		} else {
			immediate = append(immediate, p)
		}
	}
	for _, key := range sortedKeys(was) {
		if _, still := now[key]; !still {
			gone = append(gone, was[key])
		}
	}
	for _, list := range [][]types.Parameter{immediate, later} {
		for chunk := range slices.Chunk(list, atOnce) {
			if err := api.modify(ctx, name, chunk); err != nil {
				return fmt.Errorf("modifying RDS %s (%s): %w", api.kind(), name, err)
			}
		}
	}
	pending := func(err error) bool { return failed(err, "InvalidDBParameterGroupState", "has pending changes") }
	for chunk := range slices.Chunk(gone, atOnce) {
		err := plugin.Retry(ctx, goneWithin, pending, func(ctx context.Context) error { return api.reset(ctx, name, chunk) })
		if err != nil {
			return fmt.Errorf("resetting RDS %s (%s): %w", api.kind(), name, err)
		}
	}
	return nil
}

func parametersOf(o plugin.Object) map[string]types.Parameter {
	out := map[string]types.Parameter{}
	for _, p := range o.Objects("parameter") {
		out[p.String("name")] = types.Parameter{
			ParameterName: aws.String(p.String("name")), ParameterValue: aws.String(p.String("value")),
			ApplyMethod: types.ApplyMethod(p.String("apply_method")),
		}
	}
	return out
}

func same(a, b types.Parameter) bool {
	return a.ParameterName != nil && aws.ToString(a.ParameterValue) == aws.ToString(b.ParameterValue) && a.ApplyMethod == b.ApplyMethod
}
