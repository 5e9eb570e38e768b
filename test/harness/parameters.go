package harness

import (
	"os"
	"path/filepath"
	"strings"
)

// PlanParameters are what SHOW answers in a deployment of PlanWithParameters.
var PlanParameters = map[string]string{
	"work_mem": "8MB", "log_min_duration_statement": "2s", "max_connections": "123", "random_page_cost": "1.5", "track_activity_query_size": "8kB",
}

// PlanWithParameters is a copy of the shipped plan that sets parameters of its
// cluster and of its instances.
func (in *Installation) PlanWithParameters() string {
	in.t.Helper()
	plan := in.Plan()
	file := filepath.Join(plan, "terraform", "variables.tf")
	data, err := os.ReadFile(file)
	if err != nil {
		in.t.Fatal(err)
	}
	text := string(data)
	for variable, value := range map[string]string{
		"cluster_parameters": `[
    { name = "work_mem", value = "8192" },
    { name = "log_min_duration_statement", value = "4000" },
    { name = "max_connections", value = "123", apply_method = "pending-reboot" },
    { name = "rds.force_ssl", value = "1" },
  ]`,
		"instance_parameters": `[
    { name = "log_min_duration_statement", value = "2000" },
    { name = "random_page_cost", value = "1.5" },
    { name = "track_activity_query_size", value = "8192", apply_method = "pending-reboot" },
  ]`,
	} {
		start := strings.Index(text, `variable "`+variable+`"`)
		if start < 0 {
			in.t.Fatalf("the plan has no variable %s", variable)
		}
		text = text[:start] + strings.Replace(text[start:], "default = []", "default = "+value, 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		in.t.Fatal(err)
	}
	return plan
}
