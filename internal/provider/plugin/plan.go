package plugin

import (
	"reflect"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// A planner turns a configuration and what is there into what will be there.
type planner struct {
	rules  Rules
	legacy bool
}

// block plans one block. prior is nil when there is none yet.
func (p *planner) block(path string, b *tfprotov5.SchemaBlock, config, prior Object) Object {
	planned := Object{}
	for _, a := range b.Attributes {
		planned[a.Name] = p.attribute(join(path, a.Name), a, config[a.Name], prior[a.Name], prior != nil)
	}
	for _, n := range b.BlockTypes {
		planned[n.TypeName] = p.nested(join(path, n.TypeName), n, config[n.TypeName], prior[n.TypeName])
	}
	return planned
}

func (p *planner) attribute(path string, a *tfprotov5.SchemaAttribute, config, prior any, exists bool) any {
	rule := p.rules[path]
	if a.WriteOnly {
		return nil
	}
	if config == nil {
		config = rule.Default
	}
	switch {
	case config == nil && a.Computed && exists:
		return prior
	case config == nil && a.Computed:
		return Unknown{}
	case isUnknown(config):
		return config
	}
	if p.legacy {
		config = p.stored(path, a.Type, config)
		if a.Type.Is(tftypes.Set{}) && slices.ContainsFunc(list(config), isUnknown) {
			return Unknown{}
		}
		if a.Type.Is(tftypes.Set{}) && !a.Computed && !exists && blank(config) {
			return nil
		}
		if exists && blank(prior) && blank(config) {
			return prior
		}
	}
	if exists && (equal(a.Type, prior, config) || p.legacy && rule.Keep != nil && rule.Keep(prior, config)) {
		return prior
	}
	return config
}

// stored gives the form in which a configured value is kept: the elements of sets are complete, because a set
// knows its elements by their content.
func (p *planner) stored(path string, t tftypes.Type, v any) any {
	if state := p.rules[path].State; state != nil {
		if s, ok := v.(string); ok {
			return state(s)
		}
	}
	set, isSet := t.(tftypes.Set)
	list, isList := v.([]any)
	if !isSet || !isList || !set.ElementType.Is(tftypes.Object{}) {
		return v
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e
		if o, ok := e.(Object); ok {
			out[i] = p.complete(path, set.ElementType.(tftypes.Object), o)
		}
	}
	return out
}

// complete replaces nulls in an element of a set by the zeros of their types.
func (p *planner) complete(path string, t tftypes.Object, o Object) Object {
	out := Object{}
	for name, et := range t.AttributeTypes {
		v := p.stored(join(path, name), et, o[name])
		if v == nil {
			v = zero(et)
		}
		out[name] = v
	}
	return out
}

func zero(t tftypes.Type) any {
	switch {
	case t.Is(tftypes.String):
		return ""
	case t.Is(tftypes.Bool):
		return false
	case t.Is(tftypes.Number):
		return 0.0
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}):
		return []any{}
	}
	return nil
}

func (p *planner) nested(path string, n *tfprotov5.SchemaNestedBlock, config, prior any) any {
	if config == nil || isUnknown(config) {
		return config
	}
	if n.Nesting == tfprotov5.SchemaNestedBlockNestingModeSingle {
		priorObject, _ := prior.(Object)
		return p.block(path, n.Block, config.(Object), priorObject)
	}
	elements, before := config.([]any), list(prior)
	if keep := p.rules[path].Keep; keep != nil && before != nil && keep(prior, config) {
		return prior
	}
	planned := make([]any, len(elements))
	for i, e := range elements {
		element, ok := e.(Object)
		if !ok {
			planned[i] = e
			continue
		}
		if n.Nesting == tfprotov5.SchemaNestedBlockNestingModeSet {
			planned[i] = p.block(path, n.Block, element, nil)
			if p.legacy {
				planned[i] = p.complete(path, n.Block.ValueType().(tftypes.Object), planned[i].(Object))
			}
			continue
		}
		var was Object
		if i < len(before) {
			was, _ = before[i].(Object)
		}
		planned[i] = p.block(path, n.Block, element, was)
	}
	if equal(n.ValueType(), prior, planned) {
		return prior
	}
	return planned
}

func list(v any) []any { l, _ := v.([]any); return l }

// replaced lists the attributes whose change forces a replacement.
func (p *planner) replaced(b *tfprotov5.SchemaBlock, prior, planned Object) []*tftypes.AttributePath {
	var out []*tftypes.AttributePath
	changed := func(name string, t tftypes.Type) {
		rule := p.rules[name]
		if rule.Replace && !equal(t, prior[name], planned[name]) && (rule.Keep == nil || !rule.Keep(prior[name], planned[name])) {
			out = append(out, tftypes.NewAttributePath().WithAttributeName(name))
		}
	}
	for _, a := range b.Attributes {
		changed(a.Name, a.Type)
	}
	for _, n := range b.BlockTypes {
		changed(n.TypeName, n.ValueType())
	}
	return out
}

// settle keeps what a change or a refresh found apart from what was there only where they mean different
// things: null and empty are the same in the legacy semantics.
func settle(found, before any, t tftypes.Type, applying bool) any {
	if before == nil {
		if l, ok := found.([]any); ok && applying && len(l) == 0 {
			return nil
		}
		if o, ok := found.(Object); ok && applying && len(o) == 0 {
			return nil
		}
		return found
	}
	if found == nil && blank(before) {
		switch before.(type) {
		case string:
			return before
		case []any, Object:
			if applying || t.Is(tftypes.List{}) {
				return before
			}
		}
	}
	if object, ok := t.(tftypes.Object); ok {
		f, okf := found.(Object)
		b, okb := before.(Object)
		if okf && okb {
			for name, et := range object.AttributeTypes {
				f[name] = settle(f[name], b[name], et, applying)
			}
		}
	}
	return found
}

// sameValue compares without a type, where order decides nothing that matters.
func sameValue(a, b any) bool {
	if blank(a) && blank(b) {
		return true
	}
	as, oka := a.([]any)
	bs, okb := b.([]any)
	if !oka || !okb {
		return reflect.DeepEqual(a, b)
	}
	return len(as) == len(bs) && within(as, bs) && within(bs, as)
}

func within(small, large []any) bool {
	for _, s := range small {
		found := false
		for _, l := range large {
			found = found || reflect.DeepEqual(s, l)
		}
		if !found {
			return false
		}
	}
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
