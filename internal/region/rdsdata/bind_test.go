package rdsdata

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func TestParametersAreFoundWherePostgreSQLWouldTakeOne(t *testing.T) {
	a := []types.SqlParameter{{Name: aws.String("a"), Value: &types.FieldMemberLongValue{Value: 1}},
		{Name: aws.String("b_2"), Value: &types.FieldMemberStringValue{Value: "x"}}}
	for sql, want := range map[string]string{
		"select :a":                         "select $1",
		"select :a, :b_2, :a":               "select $1, $2, $1",
		"select (:a)::int, :b_2::text":      "select ($1)::int, $2::text",
		"select ':a', \":a\", ':a'':a', :a": "select ':a', \":a\", ':a'':a', $1",
		"select e'\\':a', E'\\\\', :a":      "select e'\\':a', E'\\\\', $1",
		"select e':a'':a', :a":              "select e':a'':a', $1",
		"select some'\\', :a":               "select some'\\', $1",
		"select $$:a$$, $x$:a$$:a$x$, :a":   "select $$:a$$, $x$:a$$:a$x$, $1",
		"select a$b$, :a":                   "select a$b$, $1",
		"select 1 -- :a\n, :a":              "select 1 -- :a\n, $1",
		"select 1 /* :a /* :a */ :a */, :a": "select 1 /* :a /* :a */ :a */, $1",
		"select x[1:2], :a":                 "select x[1:2], $1",
		"select ':a":                        "select ':a",
		"select $$:a":                       "select $$:a",
		"select 1 /* :a":                    "select 1 /* :a",
		"select :a:":                        "select $1:",
	} {
		got, err := bind(sql, a)
		if err != nil || got.text != want {
			t.Errorf("%s: %q, %v", sql, got.text, err)
		}
	}
}

func TestParametersThatCannotBeBoundAreRefused(t *testing.T) {
	p := func(name string, value types.Field, hint types.TypeHint) types.SqlParameter {
		return types.SqlParameter{Name: &name, Value: value, TypeHint: hint}
	}
	text := &types.FieldMemberStringValue{Value: "x"}
	for name, c := range map[string]struct {
		sql        string
		parameters []types.SqlParameter
		want       string
	}{
		"a copy":                 {" -- c\n/* d */ CoPy t from stdin", nil, "COPY is not supported"},
		"no SQL":                 {" \n", nil, "is empty"},
		"a name without a value": {"select :a", nil, "Cannot find parameter: a"},
		"a name twice":           {"select :a", []types.SqlParameter{p("a", text, ""), p("a", text, "")}, "name of its own"},
		"no name":                {"select 1", []types.SqlParameter{{Value: text}}, "name of its own"},
		"no value":               {"select :a", []types.SqlParameter{p("a", nil, "")}, "has no value"},
		"an array":               {"select :a", []types.SqlParameter{p("a", &types.FieldMemberArrayValue{}, "")}, "Array parameters"},
		"another hint":           {"select :a", []types.SqlParameter{p("a", text, "XML")}, "is none of"},
		"a hint for a number":    {"select :a", []types.SqlParameter{p("a", &types.FieldMemberLongValue{}, "DATE")}, "is for a stringValue"},
		"null that is not":       {"select :a", []types.SqlParameter{p("a", &types.FieldMemberIsNull{}, "")}, "can only be true"},
	} {
		_, err := bind(c.sql, c.parameters)
		e, ok := err.(*awswire.Error)
		if !ok || e.Code != "BadRequestException" || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSplitLosesNothing puts what was split together again.
func FuzzSplitLosesNothing(f *testing.F) {
	for _, seed := range []string{"select :a, ':b', $$:c$$ -- :d", "e'\\", "/*/**/", "::a:1:b", "$1$ :é", "\x00:\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		var b strings.Builder
		for _, p := range split(sql) {
			if p.parameter {
				b.WriteByte(':')
			}
			b.WriteString(p.text)
		}
		if b.String() != sql {
			t.Fatalf("%q became %q", sql, b.String())
		}
	})
}
