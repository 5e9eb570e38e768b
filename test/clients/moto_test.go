//go:build clients && moto && awsprovider

package clients

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestTargetAWSWorksAgainstAServerThatIsNotOurs runs the shipped plan with the
// real provider against moto, in the place of AWS.
func TestTargetAWSWorksAgainstAServerThatIsNotOurs(t *testing.T) {
	t.Parallel()
	addr := harness.FreeAddr(t)
	moto := exec.Command("python3", "-m", "moto.server", "-p", strings.Split(addr, ":")[1])
	if err := moto.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = moto.Process.Kill(); _ = moto.Wait() })
	harness.Eventually(t, 30*time.Second, "moto answers", func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	in := harness.New(t, harness.Options{Env: []string{
		"AWS_ENDPOINT_URL=http://" + addr, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-west-2",
		"DAYBREAK_PROVIDER_MIRROR=" + need(t, "DAYBREAK_TEST_AWS_PROVIDER_MIRROR"),
	}})
	var d harness.Deployment
	in.JSON(&d, append(upArgs(in, in.Plan(), "aws"), "--target", "aws")...)
	if d.Status != "RUNNING" || d.Outputs["cluster_arn"] == nil {
		t.Fatalf("%+v", d)
	}
	in.Run("down", "aws", "--yes")
}
