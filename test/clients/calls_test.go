//go:build clients && awscli && boto3

package clients

import (
	"os"
	"os/exec"
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestBoto3AndTheAWSCLIGetWhatTheyExpect runs calls/, which says what each of its
// calls is answered, on a region in which nothing is yet.
func TestBoto3AndTheAWSCLIGetWhatTheyExpect(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{Env: []string{"DAYBREAK_SNS_ALLOW=127.0.0.0/8"}})
	calls := exec.Command("python3", "-B", "calls/main.py")
	calls.Env = os.Environ()
	for name, value := range in.AWSEnv() {
		calls.Env = append(calls.Env, name+"="+value)
	}
	out, err := calls.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("calls/main.py: %v", err)
	}
}
