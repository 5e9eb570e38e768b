//go:build clients && postgrespaas

package clients

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestPublicPlanDeploysUnchanged deploys somebody else's plan from a checkout:
// with a foreign account and role, an undeclared provider, null feature values,
// and a template that is no HCL before it is filled.
func TestPublicPlanDeploysUnchanged(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{})
	plan := filepath.Join(need(t, "DAYBREAK_TEST_POSTGRES_PAAS"), "paas")
	var d harness.Deployment
	in.JSON(&d, upArgs(in, plan, "public")...)
	if d.Status != "RUNNING" || d.Outputs["master_username"] != "postgres" {
		t.Fatalf("%+v", d)
	}
	sql(t, in, d)
	in.JSON(&d, "modify", "public", "--param", "readReplicaCount=0")
	harness.Eventually(t, 15*time.Second, "the reader endpoint falls back to the writer", in.Is(d.Endpoints.Reader, "show transaction_read_only", "off"))
	in.JSON(&d, upArgs(in, plan, "public")...)
	if d.Changed {
		t.Error("the same up again changed something")
	}
	in.Run("down", "public", "--yes")
}
