//go:build clients && awsprovider

package clients

import (
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestEitherProviderGoesOnFromTheOther deploys with one provider and plans with
// the other, and has the real one do a whole life. What is shared is one server.
func TestEitherProviderGoesOnFromTheOther(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{Env: []string{
		"DAYBREAK_PROVIDER_MIRROR=" + need(t, "DAYBREAK_TEST_AWS_PROVIDER_MIRROR"),
	}})
	plan := in.Plan()
	t.Run("", func(t *testing.T) { // ends when the parallel tests have ended
		for _, c := range []struct{ name, first, second string }{
			{"real first", "registry", "embedded"},
			{"embedded first", "embedded", "registry"},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				interchange(t, in.For(t), plan, c.first, c.second)
			})
		}
	})
}

// interchange ends with a change and a removal by the real provider.
func interchange(t *testing.T, in *harness.Installation, plan, first, second string) {
	name := first + "-first"
	up := upArgs(in, plan, name)
	var d harness.Deployment
	in.JSON(&d, append(up, "--provider", first)...)
	if d.Status != "RUNNING" || !d.Changed {
		t.Fatalf("status %s, changed %v, want RUNNING and true", d.Status, d.Changed)
	}
	sql(t, in, d)
	for _, provider := range []string{first, second, "registry"} {
		in.JSON(&d, append(up, "--provider", provider)...)
		if d.Status != "RUNNING" || d.Changed {
			t.Errorf("made by %s, planned by %s: status %s, changed %v, want RUNNING and nothing changed", first, provider, d.Status, d.Changed)
		}
	}
	in.JSON(&d, "modify", name, "--param", "readReplicaCount=2")
	if d.Status != "RUNNING" || !d.Changed {
		t.Errorf("modify: status %s, changed %v", d.Status, d.Changed)
	}
	if got, _ := d.Outputs["reader_instance_endpoints"].([]any); len(got) != 2 {
		t.Errorf("%v after a change to 2 readers", d.Outputs["reader_instance_endpoints"])
	}
	sql(t, in, d)
	in.Run("down", name, "--yes")
	if _, _, err := in.Try("describe", name); err == nil {
		t.Error("the deployment is there after down")
	}
}

// TestEitherProviderSetsParameters deploys the plan with parameter groups by one
// provider, and plans it by the other.
func TestEitherProviderSetsParameters(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{Env: []string{
		"DAYBREAK_PROVIDER_MIRROR=" + need(t, "DAYBREAK_TEST_AWS_PROVIDER_MIRROR"),
	}})
	plan := in.PlanWithParameters()
	for _, c := range []struct{ first, second string }{{"registry", "embedded"}, {"embedded", "registry"}} {
		name := "tuned-" + c.first
		up := upArgs(in, plan, name)
		var d harness.Deployment
		in.JSON(&d, append(up, "--provider", c.first)...)
		for parameter, want := range harness.PlanParameters {
			if got, err := in.Query(d.Endpoints.Writer, "SHOW "+parameter); err != nil || got != want {
				t.Errorf("%s by %s: %q (%v), want %s", parameter, c.first, got, err, want)
			}
		}
		in.JSON(&d, append(up, "--provider", c.second)...)
		if d.Changed {
			t.Errorf("made by %s, %s changes something", c.first, c.second)
		}
		in.Run("down", name, "--yes")
	}
}
