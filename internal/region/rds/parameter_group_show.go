package rds

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// findParameterGroups are the groups of a kind: the named one, or all, the default
// one among them.
func (s *service) findParameterGroups(c scope, kind groupKind, name *string) ([]ParameterGroup, error) {
	if name != nil {
		g, _, err := s.parameterGroup(c, kind, *name)
		return []ParameterGroup{g}, err
	}
	g, _, _ := s.parameterGroup(c, kind, defaultParameterGroup)
	groups := []ParameterGroup{g}
	for _, item := range s.parameterGroups.All() {
		if v := item.Value; v.Kind == kind && v.Account == c.account && v.Region == c.region {
			groups = append(groups, v)
		}
	}
	return groups, nil
}

func pageOfGroups(groups []ParameterGroup, marker *string, size *int32) ([]ParameterGroup, *string, error) {
	return awswire.Page(groups, marker, size, awswire.RDSPages(), func(g ParameterGroup) string { return g.Name })
}

// Sources of a parameter's value.
const (
	sourceUser   = "user"
	sourceSystem = "system"         // the service's default
	sourceEngine = "engine-default" // PostgreSQL's
)

// showParameters are a page of a group's parameters from a source, or from any.
func showParameters(g *ParameterGroup, source string, marker *string, size *int32) ([]types.Parameter, *string, error) {
	if source != "" && !slices.Contains([]string{sourceUser, sourceSystem, sourceEngine}, source) {
		return nil, nil, awswire.InvalidParameterValue("Invalid source %s. Valid values: user, system, engine-default.", source)
	}
	var all []types.Parameter
	for _, p := range parameter.All() {
		if !g.Kind.has(p) {
			continue
		}
		if shown := showParameter(g, p); source == "" || *shown.Source == source {
			all = append(all, shown)
		}
	}
	return awswire.Page(all, marker, size, awswire.RDSPages(), func(p types.Parameter) string { return *p.ParameterName })
}

func showParameter(g *ParameterGroup, p *parameter.Parameter) types.Parameter {
	out := types.Parameter{
		ParameterName: &p.Name, DataType: &p.Type, AllowedValues: optional(p.Allowed), IsModifiable: aws.Bool(p.Modifiable()),
		ApplyType: aws.String("dynamic"), ApplyMethod: types.ApplyMethodPendingReboot, Description: aws.String(describe(p)),
		Source: aws.String(sourceEngine),
	}
	if p.Static {
		out.ApplyType = aws.String("static")
	}
	if p.Default != "" {
		out.Source, out.ParameterValue = aws.String(sourceSystem), &p.Default
	}
	if set, ok := g.Parameters[p.Name]; ok && !set.Reset {
		out.Source, out.ParameterValue, out.ApplyMethod = aws.String(sourceUser), &set.Value, types.ApplyMethod(set.ApplyMethod)
	}
	return out
}

// describe says what a parameter is, in a line.
func describe(p *parameter.Parameter) string {
	unit := ""
	if p.Unit != "" {
		unit = "(" + p.Unit + ") "
	}
	switch p.Use {
	case parameter.Postgres:
		return unit + "The setting " + p.Name + " of PostgreSQL 15."
	case parameter.Extension:
		return unit + "A setting of an extension of PostgreSQL."
	case parameter.Stored:
		return unit + "Kept and shown, without effect in this region."
	case parameter.Service:
		return unit + "Set by the service."
	case parameter.Absent:
		return unit + "Of a feature that this region does not have."
	}
	return unit + "Carried out by the service."
}
