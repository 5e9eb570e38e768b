package parameter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
)

func TestFormulasHaveTheirValue(t *testing.T) {
	class := parameter.Class{Memory: 16 << 30, VCPUs: 2}
	for formula, want := range map[string]int64{
		"{DBInstanceClassMemory/9531392}":                             1802,
		"LEAST({DBInstanceClassMemory/9531392},5000)":                 1802,
		"SUM({DBInstanceClassMemory/12038},-50003)":                   1377133,
		"GREATEST({DBInstanceClassMemory/63963136*1024},65536)":       275036,
		"GREATEST({log(DBInstanceClassMemory/1073741824)*600},200)":   2400,
		"GREATEST({$DBInstanceVCPU*2},8)":                             8,
		"least( {DBInstanceVCPU} , greatest(1, 3) )":                  2,
		"{DBInstanceClassMemory/(DBInstanceVCPU*2)}":                  4 << 30,
		"LEAST(GREATEST({DBInstanceClassMemory/65536},16384),100000)": 100000,
	} {
		if got, err := parameter.Evaluate(formula, class); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", formula, got, err, want)
		}
	}
	for _, bad := range []string{"{", "{}", "{x}", "LEAST(", "LEAST()", "MOST(1)", "{DBInstanceClassMemory/0}", "{1}2", "{1+2}", "{log(0)}",
		"{AllocatedStorage}", strings.Repeat("{log(", 40), strings.Repeat("LEAST(", 100) + "1"} {
		if got, err := parameter.Evaluate(bad, class); err == nil {
			t.Errorf("%s is %d", bad, got)
		}
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add("GREATEST({log(DBInstanceClassMemory/1073741824)*600},200)")
	f.Fuzz(func(t *testing.T, formula string) {
		_, _ = parameter.Evaluate(formula, parameter.Class{Memory: 1 << 30, VCPUs: 1})
	})
}

func TestValuesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name, value string
		good        bool
	}{
		{"work_mem", "4096", true}, {"work_mem", "63", false}, {"work_mem", "4MB", false}, {"work_mem", "", false},
		{"work_mem", "{DBInstanceClassMemory/65536}", true}, {"work_mem", "{DBInstanceClassMemory", false},
		{"temp_file_limit", "-1", true}, {"temp_file_limit", "-2", false},
		{"random_page_cost", "1.1", true}, {"random_page_cost", "-1", false}, {"random_page_cost", "NaN", false},
		{"log_statement", "DDL", true}, {"log_statement", "everything", false},
		{"rds.force_ssl", "1", true}, {"rds.force_ssl", "on", true}, {"rds.force_ssl", "2", false},
		{"rds.log_retention_period", "1440", true}, {"rds.log_retention_period", "5", false},
		{"search_path", "", true}, {"search_path", "a\nb", false}, {"search_path", strings.Repeat("a", 5000), false},
	} {
		p, ok := parameter.Find(c.name)
		if !ok {
			t.Fatalf("no parameter %s", c.name)
		}
		if err := p.Check(c.value); (err == nil) != c.good {
			t.Errorf("%s=%q: %v", c.name, c.value, err)
		}
	}
}

func TestTheCatalogueIsConsistent(t *testing.T) {
	all := parameter.All()
	if !slices.IsSortedFunc(all, func(a, b *parameter.Parameter) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("it is not sorted")
	}
	for _, p := range all {
		_, _, bounded := p.Range()
		switch {
		case !p.Cluster && !p.Instance:
			t.Errorf("%s is in no group", p.Name)
		case p.Default != "" && p.Default != "EndPointPort" && p.Check(p.Default) != nil:
			t.Errorf("default of %s: %v", p.Name, p.Check(p.Default))
		case (p.Type == "integer" || p.Type == "float") != bounded:
			t.Errorf("%s is of type %s and has values %q", p.Name, p.Type, p.Allowed)
		case !slices.Contains([]parameter.Use{parameter.Postgres, parameter.Extension, parameter.Translated, parameter.Stored, parameter.Service, parameter.Absent}, p.Use):
			t.Errorf("%s has use %q", p.Name, p.Use)
		}
	}
}

func TestSettingsArePostgreSQLs(t *testing.T) {
	for _, c := range []struct{ name, value, setting, want string }{
		{"work_mem", "4096", "work_mem", "4096"},
		{"rds.logical_replication", "1", "wal_level", "logical"},
		{"rds.logical_replication", "0", "wal_level", "replica"},
		{"rds.force_ssl", "1", "rds.force_ssl", "1"},
		{"apg_enable_not_in_transform", "1", "apg_enable_not_in_transform", ""},
	} {
		p, _ := parameter.Find(c.name)
		if got := p.Settings(c.value)[c.setting]; got != c.want {
			t.Errorf("%s=%s sets %s to %q", c.name, c.value, c.setting, got)
		}
	}
}
