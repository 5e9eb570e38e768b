package postgres

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
)

// setting is a row of pg_settings.
type setting struct {
	value, context, kind, unit, low, high string
	words                                 []string
}

func (s setting) allowed() string {
	switch s.kind {
	case "bool":
		return "0,1"
	case "integer", "real":
		return s.low + "-" + s.high
	}
	return strings.Join(s.words, ",")
}

// TestTheCatalogueOfParametersIsPostgreSQLs compares it with a server that has only
// our defaults: names, types, ranges, units, what needs a restart, and values.
func TestTheCatalogueOfParametersIsPostgreSQLs(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	if err := s.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	start(t, s, Config{Memory: testMemory, Parameters: map[string]string{"shared_preload_libraries": "pg_stat_statements,auto_explain,pg_prewarm"}})
	conn := master(t, s, tenantDatabase)
	rows, err := conn.Query(testContext(t), `SELECT lower(name), setting, context, vartype, coalesce(unit, ''), coalesce(min_val, ''), coalesce(max_val, ''), enumvals FROM pg_settings`)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]setting{}
	for rows.Next() {
		var name string
		var v setting
		if err := rows.Scan(&name, &v.value, &v.context, &v.kind, &v.unit, &v.low, &v.high, &v.words); err != nil {
			t.Fatal(err)
		}
		settings[name] = v
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range parameter.All() {
		v, ok := settings[p.Name]
		if p.Use != parameter.Postgres {
			if ok && p.Use != parameter.Service {
				t.Errorf("%s is PostgreSQL's and counts as %s", p.Name, p.Use)
			}
			continue
		}
		if !ok {
			t.Errorf("PostgreSQL has no setting %s", p.Name)
			continue
		}
		if v.allowed() != p.Allowed || v.unit != p.Unit || (v.context == "postmaster") != p.Static {
			t.Errorf("%s is %+v, the catalogue has %+v", p.Name, v, *p)
		}
		if err := s.checkParameter(p.Name, v.value); err != nil && p.Name != "shared_preload_libraries" {
			t.Errorf("a group may set it, the server may not: %v", err)
		}
		if _, ours := s.mandatory(testMemory)[p.Name]; ours {
			t.Errorf("%s: a group's value would have no effect", p.Name)
		}
		checkDefault(t, p, v)
	}
}

// checkDefault compares the value of a server that has only defaults. max_connections
// is set by the node.
func checkDefault(t *testing.T, p *parameter.Parameter, v setting) {
	t.Helper()
	if p.Default == "" || p.Name == "max_connections" || p.Name == "shared_preload_libraries" {
		return
	}
	if v.kind != "integer" && v.kind != "real" {
		if v.value != p.Default && (v.value == "on") != parameter.On(p.Default) {
			t.Errorf("%s is %s by default, the catalogue has %s", p.Name, v.value, p.Default)
		}
		return
	}
	want, err := strconv.ParseFloat(p.Default, 64)
	if parameter.IsFormula(p.Default) {
		var n int64
		n, err = parameter.Evaluate(p.Default, parameter.Class{Memory: testMemory, VCPUs: 2})
		want = float64(n)
	}
	have, haveErr := strconv.ParseFloat(v.value, 64)
	if err != nil || haveErr != nil || math.Abs(want-have) > 8 { // sizes are whole pages
		t.Errorf("%s is %s by default, the catalogue has %s", p.Name, v.value, p.Default)
	}
}
