package provider

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func (f *fake) terraform(t *testing.T, arguments string) *terraform {
	t.Helper()
	tf := newTerraform(t, embeddedMirror(t), f.config(arguments))
	tf.must("init", "-input=false")
	return tf
}

const simple = `
  master_password     = "first-password"
  skip_final_snapshot = true`

func TestARefusedCreationSaysAWSsWordsAndStoresNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.say("", awswire.BadRequestf("DBClusterAlreadyExistsFault", "DB Cluster already exists"))
	tf := f.terraform(t, simple)
	out, code := tf.run("apply", "-input=false", "-auto-approve")
	for _, words := range []string{"DBClusterAlreadyExistsFault", "DB Cluster already exists", "RequestID", `resource "aws_rds_cluster" "this"`} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is not in the error", words)
		}
	}
	if code == 0 || tf.must("state", "list") != "" {
		t.Errorf("exit code %d, stored: %s\n%s", code, tf.must("state", "list"), out)
	}
}

func TestACreationThatFailsOnTheWayIsFinishedByTheNextApply(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.say("failed", nil)
	tf := f.terraform(t, simple)
	out, code := tf.run("apply", "-input=false", "-auto-approve")
	if code == 0 || !strings.Contains(out, "unexpected state 'failed'") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	f.say("available", nil)
	if out = tf.must("apply", "-input=false", "-auto-approve"); !strings.Contains(out, "1 added, 0 changed, 1 destroyed") {
		t.Errorf("the half-made cluster was not replaced\n%s", out)
	}
	tf.mustPlanNothing("after the second apply")
}

func TestAnInterruptEndsTheWaitAndKeepsWhatWasMade(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.say("creating", nil)
	tf := f.terraform(t, simple)
	p := tf.start("apply", "-input=false", "-auto-approve")
	for deadline := time.Now().Add(time.Minute); f.seen() < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the provider does not wait for the cluster")
		}
	}
	began := time.Now()
	_ = p.cmd.Process.Signal(os.Interrupt)
	out, code := p.wait()
	if took := time.Since(began); took > 10*time.Second || code == 0 || !strings.Contains(out, "interrupted") {
		t.Errorf("%s after the interrupt, exit code %d\n%s", took, code, out)
	}
	if list := tf.must("state", "list"); !strings.Contains(list, "aws_rds_cluster.this") {
		t.Errorf("the cluster is not in the state: %q\n%s", list, out)
	}
	f.say("available", nil)
	tf.must("destroy", "-input=false", "-auto-approve")
}

func TestAnUpdateSendsWhatChangedAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, simple)
	tf.must("apply", "-input=false", "-auto-approve")
	tf.write("main.tf", f.config(strings.Replace(simple, "first", "second", 1)+"\n  apply_immediately = true"))
	tf.must("apply", "-input=false", "-auto-approve")
	if len(f.modified) != 1 {
		t.Fatalf("%d modifications", len(f.modified))
	}
	in := f.modified[0]
	if aws.ToString(in.MasterUserPassword) != "second-password" || !aws.ToBool(in.ApplyImmediately) || in.EngineVersion != nil || in.BackupRetentionPeriod != nil || in.VpcSecurityGroupIds != nil {
		t.Errorf("sent %+v", in)
	}
	tf.mustPlanNothing("after the update")
}

func TestAWriteOnlyPasswordIsSentAndNotStored(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, `
  master_password_wo         = "write-only-password"
  master_password_wo_version = 1
  skip_final_snapshot        = true`)
	tf.must("apply", "-input=false", "-auto-approve")
	if state := tf.must("state", "pull"); strings.Contains(state, "write-only-password") {
		t.Error("the password is in the state")
	}
	tf.mustPlanNothing("after the apply")
}

func TestAClusterIsNotDeletedWithoutItsFinalSnapshot(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, `master_password = "first-password"`)
	tf.must("apply", "-input=false", "-auto-approve")
	out, code := tf.run("destroy", "-input=false", "-auto-approve")
	if code == 0 || !strings.Contains(out, "final_snapshot_identifier is required when skip_final_snapshot is false") || len(f.deleted) > 0 {
		t.Fatalf("exit code %d, %d deletions\n%s", code, len(f.deleted), out)
	}
	tf.write("main.tf", f.config("master_password = \"first-password\"\n  final_snapshot_identifier = \"last\""))
	tf.must("apply", "-input=false", "-auto-approve")
	tf.must("destroy", "-input=false", "-auto-approve")
	if in := f.deleted[0]; aws.ToString(in.FinalDBSnapshotIdentifier) != "last" || aws.ToBool(in.SkipFinalSnapshot) || !aws.ToBool(in.DeleteAutomatedBackups) {
		t.Errorf("deleted by %+v", in)
	}
}

func TestAnImportedClusterPlansEmpty(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, `skip_final_snapshot = true`)
	tf.must("apply", "-input=false", "-auto-approve")
	tf.must("state", "rm", "aws_rds_cluster.this")
	tf.write("main.tf", strings.Replace(f.config(`skip_final_snapshot = true`), `"15"`, `"15.10"`, 1))
	tf.must("import", "-input=false", "aws_rds_cluster.this", "one")
	tf.mustPlanNothing("after the import")
}

func TestAClusterThatIsGoneIsPlannedAnew(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, simple)
	tf.must("apply", "-input=false", "-auto-approve")
	f.mu.Lock()
	f.cluster = nil
	f.mu.Unlock()
	if out, code := tf.run("plan", "-input=false", "-detailed-exitcode"); code != 2 || !strings.Contains(out, "1 to add, 0 to change, 0 to destroy") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestAChangedNameReplacesTheCluster(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, simple)
	tf.must("apply", "-input=false", "-auto-approve")
	tf.write("main.tf", strings.Replace(f.config(simple), `"one"`, `"two"`, 1))
	if out := tf.must("plan", "-input=false"); !strings.Contains(out, "# forces replacement") || !strings.Contains(out, "1 to add, 0 to change, 1 to destroy") {
		t.Error(out)
	}
}

func TestBadArgumentsAreRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	tf := f.terraform(t, `
  manage_master_user_password = true
  master_password             = "first-password"
  preferred_backup_window     = "7-9"
  backup_retention_period     = 36`)
	out, code := tf.run("validate")
	for _, words := range []string{"conflicts with master_password", "hh24:mi-hh24:mi", "between 0 and 35"} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is not in the error", words)
		}
	}
	if code == 0 || strings.Contains(out, "first-password\".") {
		t.Error(out)
	}
}

func TestATypeThatIsNotEmbeddedIsRefused(t *testing.T) {
	t.Parallel()
	tf := newFake(t).terraform(t, simple)
	tf.write("more.tf", `resource "aws_s3_bucket" "this" {}`)
	if out, code := tf.run("validate"); code == 0 || !strings.Contains(out, "does not support resource type") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
