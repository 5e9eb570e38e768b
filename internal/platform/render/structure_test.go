package render

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"
)

// harmless is a value that means nothing in any place.
const harmless = "Qz7Qz"

// TestInvariant10AnyFileKeepsItsStructure writes files that put placeholders
// everywhere, and renders them with a harmless value and with any other: the two
// files differ in that text alone.
func TestInvariant10AnyFileKeepsItsStructure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkStructure(t, anyFile(t), anyValue().Draw(t, "value"))
	})
}

func FuzzAnyFileKeepsItsStructure(f *testing.F) {
	for _, place := range places {
		f.Add(place.src, `"`)
		f.Add("b {\n"+place.src+"\n}\n", "${")
	}
	f.Add("a = [for k in {{ $var.x }} : k if {{ $var.x }}]\n", "true")
	f.Add("a = \"%{ if {{ $var.x }} }a{{ $var.x }}%{ endif }\"\n", "3")
	f.Fuzz(func(t *testing.T, src, value string) { checkStructure(t, src, value) })
}

func checkStructure(t failer, src, value string) {
	if check(value) != nil || strings.HasPrefix(value, "-") && isLiteral(value) {
		return // -3 is not a literal but an operation
	}
	if strings.Contains(src, "~") {
		return // takes white space away, of values too
	}
	plain, err := File("main.tf", src, Scope{"var": map[string]any{"x": harmless}})
	if err != nil {
		return
	}
	want, ok := structure(plain)
	if !ok {
		return
	}
	out, err := File("main.tf", src, Scope{"var": map[string]any{"x": value}})
	if err != nil {
		t.Fatalf("%q takes %q but not %q: %v", src, harmless, value, err)
	}
	got, ok := structure(out)
	want = strings.ReplaceAll(want, quote(harmless), quote(cty.NormalizeString(value)))
	if !ok || cty.NormalizeString(got) != cty.NormalizeString(want) {
		t.Fatalf("%q with %q is\n%s\n%s\nwant\n%s", src, value, out, got, want)
	}
}

func quote(s string) string { q := strconv.Quote(s); return q[1 : len(q)-1] }

// structure is what a file says, with every constant as text; false when it does
// not parse.
func structure(src string) (string, bool) {
	file, diags := hclsyntax.ParseConfig([]byte(src), "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		return "", false
	}
	return body(file.Body.(*hclsyntax.Body)), true
}

func body(b *hclsyntax.Body) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(b.Attributes)) {
		fmt.Fprintf(&out, "%s = %s\n", name, expression(b.Attributes[name].Expr))
	}
	for _, block := range b.Blocks {
		labels := slices.Clone(block.Labels)
		for i := range labels {
			labels[i] = cty.NormalizeString(labels[i])
		}
		fmt.Fprintf(&out, "%s %q {\n%s}\n", block.Type, labels, body(block.Body))
	}
	return out.String()
}

func expression(e hclsyntax.Expression) string {
	if text, ok := constant(e); ok {
		return strconv.Quote(text)
	}
	switch t := e.(type) {
	case *hclsyntax.TemplateExpr:
		return joined(t.Parts)
	case *hclsyntax.TemplateWrapExpr: // what a template becomes beside an empty value
		return joined([]hclsyntax.Expression{t.Wrapped})
	}
	var children []string
	collect := &collector{}
	_ = hclsyntax.Walk(e, collect)
	for _, c := range collect.direct {
		children = append(children, expression(c))
	}
	name := fmt.Sprintf("%T", e)
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		name += traversal(e.Traversal)
	case *hclsyntax.RelativeTraversalExpr:
		name += traversal(e.Traversal)
	case *hclsyntax.FunctionCallExpr:
		name += e.Name
	}
	return name + "(" + strings.Join(children, ", ") + ")"
}

func traversal(t hcl.Traversal) string {
	var out strings.Builder
	for _, step := range t {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			out.WriteString(step.Name)
		case hcl.TraverseAttr:
			out.WriteString("." + step.Name)
		case hcl.TraverseIndex:
			fmt.Fprintf(&out, "[%#v]", step.Key)
		}
	}
	return out.String()
}

// joined joins the constant parts of a template.
func joined(parts []hclsyntax.Expression) string {
	var out []string
	text := ""
	for _, part := range parts {
		if constantPart, ok := constant(part); ok {
			text += constantPart
			continue
		}
		out = append(out, strconv.Quote(text), expression(part))
		text = ""
	}
	return "template(" + strings.Join(append(out, strconv.Quote(text)), ", ") + ")"
}

// constant is the text of an expression that is one.
func constant(e hclsyntax.Expression) (string, bool) {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		switch {
		case e.Val.IsNull() || !e.Val.IsKnown():
			return "", false
		case e.Val.Type() == cty.String:
			return e.Val.AsString(), true
		case e.Val.Type() == cty.Number:
			return e.Val.AsBigFloat().Text('f', -1), true
		case e.Val.Type() == cty.Bool:
			return strconv.FormatBool(e.Val.True()), true
		}
	case *hclsyntax.TemplateWrapExpr:
		return constant(e.Wrapped)
	case *hclsyntax.ObjectConsKeyExpr:
		return constant(e.Wrapped)
	case *hclsyntax.TemplateExpr:
		text := ""
		for _, part := range e.Parts {
			t, ok := constant(part)
			if !ok {
				return "", false
			}
			text += t
		}
		return text, true
	}
	return "", false
}

// collector collects the expressions right below one.
type collector struct {
	depth  int
	direct []hclsyntax.Expression
}

func (c *collector) Enter(n hclsyntax.Node) hcl.Diagnostics {
	if e, ok := n.(hclsyntax.Expression); ok {
		if c.depth++; c.depth == 2 {
			c.direct = append(c.direct, e)
		}
	}
	return nil
}

func (c *collector) Exit(n hclsyntax.Node) hcl.Diagnostics {
	if _, ok := n.(hclsyntax.Expression); ok {
		c.depth--
	}
	return nil
}

const aHole = "{{ $var.x }}"

func anyFile(t *rapid.T) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 4).Draw(t, "statements") {
		if rapid.Bool().Draw(t, "comment") {
			b.WriteString(rapid.SampledFrom([]string{"# \" {{ $var.x }} ${\n", "// <<EOT {{ $var.x }}\n", "/* \" {{ $var.x }}\n ${ */\n"}).Draw(t, "text"))
		}
		if rapid.Bool().Draw(t, "block") {
			label := quoted(t, 0)
			fmt.Fprintf(&b, "b%d %s {\n  a = %s\n}\n", i, label, anyExpression(t, 3))
			continue
		}
		fmt.Fprintf(&b, "a%d = %s\n", i, anyExpression(t, 3))
	}
	return b.String()
}

func anyExpression(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{aHole, "1", "x.y", `"s"`}).Draw(t, "leaf")
	}
	next := func() string { return anyExpression(t, depth-1) }
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return aHole
	case 1, 2, 3:
		return quoted(t, depth)
	case 4, 5:
		return heredoc(t, depth)
	case 6:
		return "[" + next() + ",\n" + next() + "]"
	case 7:
		return "{ k = " + next() + ", " + quoted(t, 0) + " = " + next() + " }"
	case 8:
		return "upper(" + next() + ")"
	}
	return "(" + next() + " == " + next() + " ? " + next() + " : [for v in " + next() + " : v if " + next() + "])"
}

var literals = []string{aHole, aHole, aHole, "$", "%", "$$", "%%", "{", "}", " ", "x", "$${", "%%{", "EOT", "#", "/*", "{{", "é"}

func quoted(t *rapid.T, depth int) string {
	var b strings.Builder
	for range rapid.IntRange(0, 5).Draw(t, "parts") {
		switch rapid.IntRange(0, 5).Draw(t, "part") {
		case 0:
			if depth > 0 {
				b.WriteString("${" + anyExpression(t, depth-1) + "}")
			}
		case 1:
			if depth > 0 {
				b.WriteString("%{ if " + anyExpression(t, depth-1) + " }" + aHole + "%{ endif }")
			}
		case 2:
			b.WriteString(rapid.SampledFrom([]string{`\"`, `\\`, `\n`, `\u00e9`, `\`}).Draw(t, "escape"))
		default:
			b.WriteString(rapid.SampledFrom(literals).Draw(t, "literal"))
		}
	}
	return `"` + b.String() + `"`
}

func heredoc(t *rapid.T, depth int) string {
	var b strings.Builder
	for range rapid.IntRange(0, 6).Draw(t, "parts") {
		switch rapid.IntRange(0, 4).Draw(t, "part") {
		case 0:
			b.WriteString("${" + anyExpression(t, depth-1) + "}")
		case 1:
			b.WriteString("\n  ")
		default:
			b.WriteString(rapid.SampledFrom(append([]string{`"`, `\`, "EOT\n"}, literals...)).Draw(t, "literal"))
		}
	}
	return rapid.SampledFrom([]string{"<<EOT\n", "<<-EOT\n"}).Draw(t, "opening") + b.String() + "\nEOT\n"
}
