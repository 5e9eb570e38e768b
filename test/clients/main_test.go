//go:build clients

// Package clients tests the product with programs that are not ours: the real
// hashicorp/aws provider, a service plan of somebody else, the AWS CLI, and moto
// in the place of AWS.
package clients

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// need is a variable of the environment that scripts/test-clients.sh sets.
func need(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: see scripts/test-clients.sh", name)
	}
	return value
}

// upArgs is the command that deploys a plan with the tests' password.
func upArgs(in *harness.Installation, plan, name string, more ...string) []string {
	return append([]string{"up", plan, "--name", name, "--param", "password=@" + in.Write("password", harness.Password)}, more...)
}

// sql fails the test unless the deployment answers SQL on both endpoints.
func sql(t *testing.T, in *harness.Installation, d harness.Deployment) {
	t.Helper()
	harness.Eventually(t, 15*time.Second, "SQL through the writer", in.Is(d.Endpoints.Writer, "select 1::text", "1"))
	harness.Eventually(t, 15*time.Second, "SQL through the reader", in.Is(d.Endpoints.Reader, "show transaction_read_only", "on"))
}

// is is a fact: what a program printed.
func is(got, want string) error {
	if got = strings.TrimSpace(got); got != want {
		return fmt.Errorf("%q, want %q", got, want)
	}
	return nil
}
