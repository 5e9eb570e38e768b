package plugin

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const testSchema = `
provider 0
resource thing 2
  id "string" optional,computed
  name "string" required
  note "string" optional
  on "bool" optional
  ratio "number" optional
  secret "string" optional,write_only
  window "string" optional,computed
  groups ["set","string"] optional,computed
  rules ["set",["object",{"port":"number","who":["list","string"],"text":"string"}]] optional,computed
  scaling block list 0 1
    max "number" required
    pause "number" optional,computed
  parameter block set 0 0
    method "string" optional
    name "string" required
`

func testRules() Rules {
	return Rules{
		"name":             {Replace: true},
		"on":               {Default: true},
		"window":           {State: strings.ToLower},
		"parameter.method": {Default: "immediate"},
		"scaling":          {Keep: func(prior, config any) bool { return len(list(prior)) == 1 && len(list(config)) == 0 }},
	}
}

func schemaOf(t *testing.T) *tfprotov5.Schema {
	t.Helper()
	s, err := ParseSchemas(testSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s.Resources["thing"]
}

func TestPlans(t *testing.T) {
	unknown := Unknown{}
	there := Object{
		"id": "1", "name": "a", "note": "", "on": true, "ratio": 70.1, "window": "sun:01", "groups": []any{"x", "y"},
		"rules": []any{}, "scaling": []any{}, "parameter": []any{},
	}
	with := func(o Object, pairs ...any) Object {
		out := clone(o).(Object)
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	config := Object{"name": "a", "ratio": 70.1, "scaling": []any{}, "parameter": []any{}}
	for _, c := range []struct {
		name          string
		config, prior Object
		want          Object
		replace       int
	}{
		{"a new one has defaults, and what the API will say is unknown", config, nil,
			Object{"id": unknown, "name": "a", "note": nil, "on": true, "ratio": 70.1, "secret": nil, "window": unknown, "groups": unknown, "rules": unknown, "scaling": []any{}, "parameter": []any{}}, 0},
		{"nothing changes", config, there, with(there, "secret", nil), 0},
		{"a write-only value is not kept", with(config, "secret", "s"), there, with(there, "secret", nil), 0},
		{"what differs is taken", with(config, "note", "n", "on", false), there, with(there, "secret", nil, "note", "n", "on", false), 0},
		{"a value that is removed becomes null", config, with(there, "note", "n"), with(there, "secret", nil, "note", nil), 0},
		{"empty and null are one", with(config, "note", ""), with(there, "note", nil), with(there, "secret", nil, "note", nil), 0},
		{"a set has no order", with(config, "groups", []any{"y", "x"}), there, with(there, "secret", nil), 0},
		{"a set with an unknown element is unknown", with(config, "groups", []any{"y", unknown}), there, with(there, "secret", nil, "groups", unknown), 0},
		{"a value is compared as it is stored", with(config, "window", "Sun:01"), there, with(there, "secret", nil), 0},
		{"elements of sets are complete", with(config, "rules", []any{Object{"port": 1.0, "who": nil, "text": nil}}), there,
			with(there, "secret", nil, "rules", []any{Object{"port": 1.0, "who": []any{}, "text": ""}}), 0},
		{"blocks in sets have their defaults", with(config, "parameter", []any{Object{"name": "p", "method": nil}}), there,
			with(there, "secret", nil, "parameter", []any{Object{"name": "p", "method": "immediate"}}), 0},
		{"what a block computes stays", with(config, "scaling", []any{Object{"max": 2.0, "pause": nil}}), with(there, "scaling", []any{Object{"max": 1.0, "pause": 300.0}}),
			with(there, "secret", nil, "scaling", []any{Object{"max": 2.0, "pause": 300.0}}), 0},
		{"a block that may be left out stays", config, with(there, "scaling", []any{Object{"max": 1.0, "pause": 300.0}}),
			with(there, "secret", nil, "scaling", []any{Object{"max": 1.0, "pause": 300.0}}), 0},
		{"some changes replace", with(config, "name", "b"), there, with(there, "secret", nil, "name", "b"), 1},
		{"an unknown name replaces", with(config, "name", unknown), there, with(there, "secret", nil, "name", unknown), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := schemaOf(t)
			p := &planner{rules: testRules(), legacy: true}
			got := p.block("", schema.Block, c.config, c.prior)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("planned\n%v, want\n%v", got, c.want)
			}
			if c.prior != nil {
				if replace := p.replaced(schema.Block, c.prior, got); len(replace) != c.replace {
					t.Errorf("replaced for %v", replace)
				}
			}
		})
	}
}

func TestNumbersAreThoseThatTerraformReads(t *testing.T) {
	const text = "70.1"
	theirs, err := tfprotov5.RawState{JSON: []byte(text)}.Unmarshal(tftypes.Number)
	if err != nil {
		t.Fatal(err)
	}
	if ours := encode(tftypes.Number, decode(theirs)); !ours.Equal(theirs) {
		t.Errorf("%s is not the same number on both sides", text)
	}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	schema := schemaOf(t)
	o := Object{
		"id": Unknown{}, "name": "a", "note": nil, "on": false, "ratio": 0.5, "secret": nil, "window": "w", "groups": []any{"x", Unknown{}},
		"rules": []any{Object{"port": 1.0, "who": []any{"w"}, "text": ""}}, "scaling": []any{}, "parameter": Unknown{},
	}
	dv, err := dynamic(schema, o)
	if err != nil {
		t.Fatal(err)
	}
	back, err := object(schema, dv)
	if err != nil || !reflect.DeepEqual(back, o) {
		t.Errorf("%v\n%v, %v", o, back, err)
	}
}

func TestSchemasWithMistakesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown flag":        "resource a 0\n  b \"string\" optional,odd",
		"a type that is none":    "resource a 0\n  b string optional",
		"too far in":             "resource a 0\n    b \"string\" optional",
		"no version":             "resource a",
		"a nesting that is none": "resource a 0\n  b block heap 0 0",
	} {
		if _, err := ParseSchemas(text); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
