package rds

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// maxChanges is how many parameters one request changes at most.
const maxChanges = 20

// parameterChange is one checked change of a group.
type parameterChange struct {
	name string
	groupParameter
}

// checkChanges checks what a request wants to set.
func checkChanges(kind groupKind, given []types.Parameter) ([]parameterChange, error) {
	if len(given) == 0 {
		return nil, awswire.InvalidParameterValue("The parameter Parameters must be provided and must not be blank.")
	}
	return checkEach(kind, given, func(p *parameter.Parameter, change *parameterChange, g types.Parameter) error {
		if g.ParameterValue == nil {
			return awswire.InvalidParameterValue("The parameter ParameterValue must be provided for %s.", p.Name)
		}
		change.Value = *g.ParameterValue
		if err := p.Check(change.Value); err != nil {
			return awswire.InvalidParameterValue("Invalid parameter value: %.200s for: %s allowed values are: %s (%v)", change.Value, p.Name, p.Allowed, err)
		}
		if p.Name == "shared_preload_libraries" && !libraryList.MatchString(change.Value) {
			return awswire.InvalidParameterValue("Invalid parameter value: %.200s for: %s: names of libraries, separated by commas, are allowed", change.Value, p.Name)
		}
		return nil
	})
}

var libraryList = regexp.MustCompile(`^[A-Za-z0-9_, ]*$`)

// checkResets checks what a request wants to have its default again: all that the
// group sets when no parameter is named.
func checkResets(g *ParameterGroup, given []types.Parameter, all *bool) ([]parameterChange, error) {
	if len(given) > 0 && aws.ToBool(all) {
		return nil, awswire.InvalidParameterCombination("ResetAllParameters can't be used if Parameters are specified.")
	}
	if len(given) > 0 {
		return checkEach(g.Kind, given, func(_ *parameter.Parameter, change *parameterChange, _ types.Parameter) error {
			change.Reset = true
			return nil
		})
	}
	if all != nil && !*all {
		return nil, awswire.InvalidParameterCombination("Specify Parameters, or ResetAllParameters.")
	}
	var changes []parameterChange
	for name := range g.Parameters {
		method := applyPendingReboot
		if p, ok := parameter.Find(name); ok && !p.Static {
			method = applyImmediate
		}
		changes = append(changes, parameterChange{name, groupParameter{Reset: true, ApplyMethod: method}})
	}
	return changes, nil
}

func checkEach(kind groupKind, given []types.Parameter, check func(*parameter.Parameter, *parameterChange, types.Parameter) error) ([]parameterChange, error) {
	if len(given) > maxChanges {
		return nil, awswire.InvalidParameterValue("A request changes at most %d parameters.", maxChanges)
	}
	var changes []parameterChange
	for _, g := range given {
		p, err := checkNamed(kind, aws.ToString(g.ParameterName))
		if err != nil {
			return nil, err
		}
		change := parameterChange{p.Name, groupParameter{ApplyMethod: string(g.ApplyMethod)}}
		switch {
		case change.ApplyMethod != applyImmediate && change.ApplyMethod != applyPendingReboot:
			return nil, awswire.InvalidParameterValue("Invalid ApplyMethod %q for %s. Valid values: immediate, pending-reboot.", change.ApplyMethod, p.Name)
		case p.Static && change.ApplyMethod == applyImmediate:
			return nil, awswire.InvalidParameterCombination("cannot use immediate apply method for static parameter %s", p.Name)
		case slices.ContainsFunc(changes, func(have parameterChange) bool { return have.name == p.Name }):
			return nil, awswire.InvalidParameterCombination("The parameter %s is given twice.", p.Name)
		}
		if err := check(p, &change, g); err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// checkNamed finds a parameter that groups of the kind can set.
func checkNamed(kind groupKind, name string) (*parameter.Parameter, error) {
	p, ok := parameter.Find(name)
	switch {
	case !ok:
		return nil, awswire.InvalidParameterValue("Could not find parameter with name: %.100s", name)
	case !kind.has(p):
		other := instanceGroup
		if kind == instanceGroup {
			other = clusterGroup
		}
		return nil, awswire.InvalidParameterValue("Could not find parameter with name: %s in a %s; set it in a %s.", p.Name, kind.title(), other.title())
	case p.Use == parameter.Service:
		return nil, awswire.InvalidParameterValue("The parameter %s cannot be modified: the service sets it.", p.Name)
	case p.Use == parameter.Absent:
		return nil, awswire.InvalidParameterValue("The parameter %s cannot be modified: what it controls is not available in this region.", p.Name)
	}
	return p, nil
}

// change changes the group's parameters and tells of it. What changes nothing is no
// change.
func (g *ParameterGroup) change(changes []parameterChange) ([]aurora.Event, error) {
	parameters := map[string]groupParameter{}
	for name, p := range g.Parameters {
		parameters[name] = p
	}
	var events []aurora.Event
	for _, c := range changes {
		have, known := parameters[c.name]
		if c.Reset && (!known || have.Reset) || known && have.Value == c.Value && have.Reset == c.Reset && have.ApplyMethod == c.ApplyMethod {
			continue
		}
		c.Revision = g.Revision + 1
		parameters[c.name] = c.groupParameter
		events = append(events, g.changed(c))
	}
	if len(events) == 0 {
		return nil, state.ErrUnchanged
	}
	g.Parameters, g.Revision = parameters, g.Revision+1
	return events, nil
}

// changed tells of a parameter's change.
func (g *ParameterGroup) changed(c parameterChange) aurora.Event {
	value := c.Value
	if p, ok := parameter.Find(c.name); ok && c.Reset {
		value = strings.TrimSpace("its default " + p.Default)
	}
	return aurora.Event{
		Account: g.Account, Region: g.Region, SourceType: string(types.SourceTypeDbParameterGroup), SourceID: g.Name,
		EventID: "RDS-EVENT-0037", Categories: []string{"configuration change"},
		Message: fmt.Sprintf("Updated parameter %s to %s with apply method %s", c.name, value, c.ApplyMethod),
	}
}
