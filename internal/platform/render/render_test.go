package render

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"
)

// places are the places that a value can stand in. Each file has one attribute
// "got" and one block; the expression gives the value with what is around it.
var places = []struct {
	name, src     string
	before, after string
}{
	{"string", `got = "{{ $var.x }}"`, "", ""},
	{"after a percent sign", `got = "%{{ $var.x }}"`, "%", ""},
	{"after dollars", `got = "$${{ $var.x }}"`, "$$", ""},
	{"after a backslash that is escaped", `got = "\\{{ $var.x }}"`, `\`, ""},
	{"after a dollar in a heredoc", "got = <<EOT\na $%${{ $var.x }}{\nEOT", "a $%$", "{\n"},
	{"whole line of a flush heredoc", "got = <<-EOT\n  {{ $var.x }}\n  EOT", "", "\n"},
	{"part of a string", `got = "a-{{ $var.x }}-b"`, "a-", "-b"},
	{"after a dollar", `got = "${{ $var.x }}"`, "$", ""},
	{"before a brace", `got = "{{ $var.x }}{a}"`, "", "{a}"},
	{"twice", `got = "{{ $var.x }}{{ $var.x }}"`, "", ""},
	{"heredoc", "got = <<EOT\n{{ $var.x }}\nEOT", "", "\n"},
	{"heredoc next to its marker", "got = <<-EOT\n  EO{{ $var.x }}\n  EOT", "EO", "\n"},
	{"string in an interpolation", `got = "${upper("") == "" ? "{{ $var.x }}" : "no"}"`, "", ""},
	{"after strings and comments", "# \"{{ $var.x }}\n/* \" ${ */ // <<EOT\nother = \"\\\"$${%%{\"\ngot = \"{{ $var.x }}\"", "", ""},
}

var parts = []string{`"`, `\`, "\n", "\r\n", "${", "%{", "}", "{", "$", "%", "$${", "EOT", "\nEOT\n", "<<EOT\n", "#", "/*", "*/", "{{ $var.x }}", `file("/etc/passwd")`, "é", "T", "\t", "\x1b", "\u2028", "a"}

func anyValue() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "random") {
			return strings.ReplaceAll(rapid.String().Draw(t, "text"), "\x00", "")
		}
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 6).Draw(t, "parts"), "")
	})
}

// TestInvariant10ATenantsInputNeverBecomesCode renders any value into every
// place: the file's structure stays, and the attribute is exactly that value.
func TestInvariant10ATenantsInputNeverBecomesCode(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				value := anyValue().Draw(t, "value")
				checkPlace(t, place.src, value, place.before, place.after, place.name == "twice")
			})
		})
	}
}

type failer interface{ Fatalf(string, ...any) }

func checkPlace(t failer, src, value, before, after string, twice bool) {
	src = "block {\n" + src + "\n}\nlast = 1\n"
	out, err := File("main.tf", src, Scope{"var": map[string]any{"x": value}})
	if err != nil {
		t.Fatalf("render %q: %v", value, err)
	}
	file, diags := hclsyntax.ParseConfig([]byte(out), "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("value %q gives a file that does not parse: %v\n%s", value, diags, out)
	}
	body := file.Body.(*hclsyntax.Body)
	if len(body.Blocks) != 1 || len(body.Attributes) != 1 || body.Attributes["last"] == nil {
		t.Fatalf("value %q changed the structure:\n%s", value, out)
	}
	inner := body.Blocks[0].Body
	for name := range inner.Attributes {
		if name != "got" && name != "other" {
			t.Fatalf("value %q made an attribute %s:\n%s", value, name, out)
		}
	}
	got, diags := inner.Attributes["got"].Expr.Value(evalContext())
	if diags.HasErrors() {
		t.Fatalf("value %q does not evaluate: %v\n%s", value, diags, out)
	}
	want := before + value + after
	if twice {
		want = value + value
	}
	if !got.RawEquals(cty.StringVal(want)) {
		t.Fatalf("value %q reads %#v, want %q\n%s", value, got, want, out)
	}
}

func FuzzValueStaysInItsPlace(f *testing.F) {
	for _, p := range parts {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if _, err := asText(value); err != nil {
			return
		}
		for _, place := range places {
			checkPlace(t, place.src, value, place.before, place.after, place.name == "twice")
		}
	})
}

func FuzzSourceNeverPanics(f *testing.F) {
	for _, place := range places {
		f.Add(place.src)
	}
	f.Add("<<EOT\n")
	f.Add(`"${"`)
	f.Fuzz(func(t *testing.T, src string) {
		scope := Scope{"var": map[string]any{"x": "v"}}
		_, _ = File("a.tf.json", src, scope)
		checkStructure(t, src, "v\"\n${}")
		_, _ = Text(src, scope)
	})
}

func TestBareValuesAreOneLiteral(t *testing.T) {
	scope := Scope{"var": map[string]any{
		"n": "3", "text": `a" + file("x`, "yes": "true", "octal": "007",
		"list": []any{"1", map[string]any{"k": 2.0}}, "none": nil,
	}}
	for expr, want := range map[string]cty.Value{
		"$var.n":     cty.NumberIntVal(3),
		"$var.text":  cty.StringVal(`a" + file("x`),
		"$var.yes":   cty.True,
		"$var.octal": cty.StringVal("007"),
		"$var.list":  cty.TupleVal([]cty.Value{cty.StringVal("1"), cty.ObjectVal(map[string]cty.Value{"k": cty.NumberIntVal(2)})}),
	} {
		out, err := File("main.tf", "got = {{ "+expr+" }}\n", scope)
		if err != nil {
			t.Fatal(err)
		}
		file, diags := hclsyntax.ParseConfig([]byte(out), "main.tf", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", out, diags)
		}
		got, diags := file.Body.(*hclsyntax.Body).Attributes["got"].Expr.Value(nil)
		if diags.HasErrors() || !got.RawEquals(want) {
			t.Errorf("%s gives %#v, want %#v", out, got, want)
		}
	}
}

func TestExpressionsWalkTheScope(t *testing.T) {
	scope := Scope{"sys": System{ID: "instance-1", PublicSubnetIDs: []string{"subnet-a", "subnet-b"}}.Tree()}
	for expr, want := range map[string]string{
		"{{ $sys.id }}": "instance-1",
		"{{$sys.deploymentCell.publicSubnetIDs[1].id}}": "subnet-b",
		`{{ $sys["id"] }}`: "instance-1",
		"{{ $sys.deploymentCell.publicSubnetIDs[*].id }}":  `["subnet-a","subnet-b"]`,
		"{{ $func.base64encode($sys.id) }}":                "aW5zdGFuY2UtMQ==",
		"docker ps --format '{{.Names}}' in {{ $sys.id }}": "docker ps --format '{{.Names}}' in instance-1",
	} {
		got, err := Text(expr, scope)
		if err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", expr, got, err, want)
		}
	}
}

func TestUnknownPathNamesPlaceAndChoices(t *testing.T) {
	_, err := File("main.tf", "\n\na = \"{{ $sys.nope }}\"", Scope{"sys": System{}.Tree()})
	for _, want := range []string{"main.tf:3", "$sys.nope", "deploymentCell"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestPlacesWhereNoValueCanStandAreRefused(t *testing.T) {
	scope := Scope{"var": map[string]any{"x": "3", "empty": ""}}
	for name, src := range map[string]string{
		"part of a number":             "a = 1{{ $var.x }}",
		"two values side by side":      "a = {{ $var.x }}{{ $var.x }}",
		"part of a name":               "a = local.b_{{ $var.x }}",
		"attribute of something":       "a = local.{{ $var.x }}",
		"name of an attribute":         "{{ $var.x }} = 1",
		"type of a block":              "{{ $var.x }} {}",
		"label of a block":             "b {{ $var.x }} {}",
		"name of a function":           "a = {{ $var.x }}(1)",
		"marker of a heredoc":          "a = <<{{ $var.x }}\nEOT\n",
		"after a backslash":            `a = "\{{ $var.x }}"`,
		"between a dollar and a brace": `a = "${{ $var.empty }}{file(1)}"`,
		"two of them":                  `a = "%{{ $var.empty }}{{ $var.empty }}{file(1)}"`,
		"braces that are never closed": `a = "{{ $var.x }"`,
		"an expression without its $":  `a = "{{ var.x }}"`,
	} {
		if out, err := File("main.tf", src, scope); err == nil {
			t.Errorf("%s: %s became %s", name, src, out)
		}
	}
	const ours = `a = "{{ .Names }}" # {{ $var.nope }} {{ $var.nope`
	if out, err := File("main.tf", ours, scope); err != nil || out != ours {
		t.Errorf("braces that are not ours, and comments: %q, %v", out, err)
	}
}

func TestEveryProblemOfAStackComesAtOnce(t *testing.T) {
	_, err := Stack(map[string]string{
		"tf/main.tf":        "a = \"{{ $var.nope }}\"\nb = 1{{ $var.x }}\nmodule \"m\" {\n  source = \"../mod\"\n}\n",
		"mod/main.tf":       "c = \"{{ $sys.id }}\"",
		"elsewhere/main.tf": "d = \"{{ $var.ofAnotherPlan }}\"",
	}, "tf", Scope{"var": map[string]any{"x": "1"}})
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("%v, want three problems", err)
	}
	for _, want := range []string{"tf/main.tf:1:6: {{ $var.nope }}: ", "tf/main.tf:2:6: ", "mod/main.tf:1:6: {{ $sys.id }}: $sys is not known"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

func TestOnlyTheStacksFilesAreRendered(t *testing.T) {
	src := map[string]string{
		"tf/main.tf":        "a = \"{{ $var.x }}\"",
		"tf/b.tofu":         "b = \"{{ $var.x }}\"",
		"tf/script.sh":      "echo '{{ $var.x }}'",
		"elsewhere/main.tf": "d = \"{{ $var.ofAnotherPlan }}\"",
	}
	out, err := Stack(src, "tf", Scope{"var": map[string]any{"x": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"tf/main.tf": `a = "v"`, "tf/b.tofu": `b = "v"`, "tf/script.sh": src["tf/script.sh"], "elsewhere/main.tf": src["elsewhere/main.tf"]} {
		if out[name] != want {
			t.Errorf("%s is %q, want %q", name, out[name], want)
		}
	}
}

// TestInvariant10JSONFilesKeepTheirStructure reads every value back as HCL does:
// as a template, and as it is.
func TestInvariant10JSONFilesKeepTheirStructure(t *testing.T) {
	for _, place := range []struct{ src, before, after string }{
		{`"{{ $var.x }}"`, "", ""}, {`"a{{ $var.x }}$"`, "a", "$"}, {`"${{ $var.x }}"`, "$", ""}, {`"\\{{ $var.x }}{"`, `\`, "{"},
	} {
		rapid.Check(t, func(t *rapid.T) {
			value := anyValue().Draw(t, "value")
			out, err := File("main.tf.json", `{"before": 1, "got": `+place.src+`}`, Scope{"var": map[string]any{"x": value}})
			if err != nil {
				return
			}
			file, diags := json.Parse([]byte(out), "main.tf.json")
			if diags.HasErrors() {
				t.Fatalf("value %q gives a file that does not parse: %v\n%s", value, diags, out)
			}
			attributes, diags := file.Body.JustAttributes()
			if diags.HasErrors() || len(attributes) != 2 {
				t.Fatalf("value %q changed the structure: %v\n%s", value, diags, out)
			}
			for kind, context := range map[string]*hcl.EvalContext{"template": evalContext(), "text": nil} {
				got, diags := attributes["got"].Expr.Value(context)
				if want := cty.StringVal(place.before + value + place.after); diags.HasErrors() || !got.RawEquals(want) {
					t.Fatalf("value %q reads %#v as a %s, want %#v: %v\n%s", value, got, kind, want, diags, out)
				}
			}
		})
	}
}

func TestJSONFilesTakeNoTemplates(t *testing.T) {
	scope := Scope{"var": map[string]any{"x": "${file(1)}", "y": "a\"b<\n$1", "n": "2", "list": []any{"a", 1.0}}}
	for _, src := range []string{
		`{"a": "{{ $var.x }}"}`, `{"a": {{ $var.x }}}`, `{"{{ $var.y }}": 1}`, `{"a": 1{{ $var.n }}}`,
		`{"a": "${upper(\"{{ $var.y }}\")}"}`, `{"a": "\u00{{ $var.n }}"}`,
	} {
		if out, err := File("a.tf.json", src, scope); err == nil {
			t.Errorf("%s became %s", src, out)
		}
	}
	got, err := File("a.tf.json", `{"a": "{{ $var.y }}", "b": {{ $var.n }}, "c": {{ $var.list }}}`, scope)
	if err != nil || got != `{"a": "a\"b<\n$1", "b": 2, "c": ["a",1]}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestValuesThatNoFileCanHoldAreRefused(t *testing.T) {
	for name, value := range map[string]any{
		"NUL": "a\x00", "not UTF-8": "a\xff", "within a list": []any{"a\x00"}, "key of a map": map[string]any{"\xff": 1.0},
		"not a number": math.NaN(), "of a foreign type": []string{"${file(1)}"},
	} {
		for _, src := range []string{`a = "{{ $var.x }}"`, "a = {{ $var.x }}", "a = <<E\n{{ $var.x }}\nE\n"} {
			if out, err := File("main.tf", src, Scope{"var": map[string]any{"x": value}}); err == nil {
				t.Errorf("%s: %s became %q", name, src, out)
			}
		}
		if out, err := File("main.tf.json", `{"a": "{{ $var.x }}"}`, Scope{"var": map[string]any{"x": value}}); err == nil {
			t.Errorf("%s: JSON became %q", name, out)
		}
	}
}
