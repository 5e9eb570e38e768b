package render

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
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
		_, _ = File("a.tf", src, scope)
		_, _ = File("a.tf.json", src, scope)
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

func TestJSONFilesTakeNoTemplates(t *testing.T) {
	scope := Scope{"var": map[string]any{"x": "${file(1)}", "y": "a\"b\n", "n": "2"}}
	if _, err := File("a.tf.json", `{"a": "{{ $var.x }}"}`, scope); err == nil {
		t.Error("a template was put into a JSON file")
	}
	got, err := File("a.tf.json", `{"a": "{{ $var.y }}", "b": {{ $var.n }}}`, scope)
	if err != nil || got != `{"a": "a\"b\n", "b": 2}` {
		t.Errorf("%s, %v", got, err)
	}
}
