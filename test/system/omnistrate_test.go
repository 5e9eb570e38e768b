package system

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fleetsdk "github.com/omnistrate-oss/omnistrate-sdk-go/fleet"
	sdk "github.com/omnistrate-oss/omnistrate-sdk-go/v1"

	"github.com/daybreakdb/daybreak/test/harness"
)

// fleet is the published SDK, signed in.
type fleet struct {
	t     *testing.T
	ctx   context.Context
	v1    *sdk.APIClient
	fleet *fleetsdk.APIClient
	// ids of the plan that is offered
	service, environment, tier string
}

const fleetPassword = "correct horse"

// signIn makes a user with our CLI and signs them in with the SDK.
func signIn(t *testing.T, in *harness.Installation, email string, flags ...string) *fleet {
	t.Helper()
	cmd := in.Command(append([]string{"users", "add", email}, flags...)...)
	cmd.Stdin = strings.NewReader(fleetPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	v1, fl := sdk.NewConfiguration(), fleetsdk.NewConfiguration()
	v1.Host, v1.Scheme, fl.Host, fl.Scheme = in.PlatformAddr(), "http", in.PlatformAddr(), "http"
	f := &fleet{t: t, v1: sdk.NewAPIClient(v1), fleet: fleetsdk.NewAPIClient(fl)}
	req := sdk.SigninRequest{Email: email}
	req.SetPassword(fleetPassword)
	got, _, err := f.v1.SigninApiAPI.SigninApiSignin(t.Context()).SigninRequest(req).Execute()
	f.must(err)
	f.ctx = context.WithValue(context.WithValue(t.Context(), sdk.ContextAccessToken, got.JwtToken), fleetsdk.ContextAccessToken, got.JwtToken)
	return f
}

func (f *fleet) must(err error) {
	f.t.Helper()
	var with interface{ Body() []byte }
	if errors.As(err, &with) {
		f.t.Fatalf("%v: %s", err, with.Body())
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// build offers the plan that we ship, whose stack is sent along.
func (f *fleet) build(plan string) {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(plan, "spec.yaml"))
	f.must(err)
	begin, end := bytes.Index(text, []byte("          gitConfiguration:")), bytes.Index(text, []byte("          terraformExecutionIdentity"))
	spec := string(text[:begin]) + "          artifactsLocalPath: ./terraform\n" + string(text[end:])
	spec = strings.Replace(spec, "terraformPath: /paas/terraform", "terraformPath: /", 1)
	content, environment, kind, yes := base64.StdEncoding.EncodeToString([]byte(spec)), "Prod", "PROD", true
	prepared, _, err := f.v1.ServiceApiAPI.ServiceApiPrepareServiceFromServicePlanSpec(f.ctx).PrepareServiceFromServicePlanSpecRequest2(
		sdk.PrepareServiceFromServicePlanSpecRequest2{Name: "Postgres", Environment: environment, EnvironmentType: kind, FileContent: content}).Execute()
	f.must(err)
	for _, task := range prepared.ArtifactUploadingTasks {
		_, _, err := f.v1.DeploymentArtifactApiAPI.DeploymentArtifactApiUploadDeploymentArtifact(f.ctx).UploadDeploymentArtifactRequest2(sdk.UploadDeploymentArtifactRequest2{
			AccountConfigID: task.GetAccountConfigID(), ArtifactPath: task.GetArtifactPath(), Base64EncodedArtifact: packed(f.t, filepath.Join(plan, "terraform")),
			EnvironmentType: task.GetEnvironmentType(), ProductTierName: task.GetProductTierName(), ServiceName: task.GetServiceName(),
		}).Execute()
		f.must(err)
	}
	built, _, err := f.v1.ServiceApiAPI.ServiceApiBuildServiceFromServicePlanSpec(f.ctx).BuildServiceFromServicePlanSpecRequest2(
		sdk.BuildServiceFromServicePlanSpecRequest2{Name: "Postgres", FileContent: content, Environment: &environment, EnvironmentType: &kind, Release: &yes, ReleaseAsPreferred: &yes}).Execute()
	f.must(err)
	f.service, f.environment, f.tier = built.ServiceID, built.ServiceEnvironmentID, built.ProductTierID
}

func packed(t *testing.T, dir string) string {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

// await waits until the instance has a status.
func (f *fleet) await(id, status string) *fleetsdk.ResourceInstance {
	f.t.Helper()
	var got *fleetsdk.ResourceInstance
	harness.Eventually(f.t, 4*time.Minute, id+" is "+status, func() error {
		var err error
		got, _, err = f.fleet.InventoryApiAPI.InventoryApiDescribeResourceInstance(f.ctx, f.service, f.environment, id).Execute()
		if err == nil && got.ConsumptionResourceInstanceResult.GetStatus() != status {
			err = errors.New("it is " + got.ConsumptionResourceInstanceResult.GetStatus())
		}
		return err
	})
	return got
}

// TestPlanOfferedThroughTheFleetAPI goes with the published SDK from a spec to a
// customer's database and sees in PostgreSQL that what is answered is so.
func TestPlanOfferedThroughTheFleetAPI(t *testing.T) {
	in := harness.New(t, harness.Options{})
	admin := signIn(t, in, "admin@provider.example")
	plan := in.Plan()
	admin.build(plan)
	ann := signIn(t, in, "ann@acme.example", "--org", "Acme")
	ann.service, ann.environment, ann.tier = admin.service, admin.environment, admin.tier
	inventory := ann.fleet.InventoryApiAPI

	offered, _, err := inventory.InventoryApiDescribeServiceOffering(ann.ctx, ann.service).ProductTierId(ann.tier).ProductTierVersion("").Execute()
	ann.must(err)
	s := offered.ConsumptionDescribeServiceOfferingResult
	o := s.Offerings[0]
	req := fleetsdk.FleetCreateResourceInstanceRequest2{RequestParams: map[string]any{"password": harness.Password, "readReplicaCount": 0}}
	made, _, err := inventory.InventoryApiCreateResourceInstance(ann.ctx, s.ServiceProviderId, s.ServiceURLKey, o.ServiceAPIVersion, o.ServiceEnvironmentURLKey,
		o.ServiceModelURLKey, o.ProductTierURLKey, o.ResourceParameters[0].UrlKey).FleetCreateResourceInstanceRequest2(req).Execute()
	ann.must(err)
	id := made.GetId()
	results := ann.await(id, "RUNNING").ConsumptionResourceInstanceResult.ResultParams.(map[string]any)
	writer := harness.Endpoint{Host: results["cluster_global_endpoint"].(string), Port: int(results["cluster_port"].(float64))}
	in.Exec(writer, "create table kept (n int); insert into kept values (42)")

	resource := fleetsdk.FleetStopResourceInstanceRequest2{ResourceId: "any"}
	_, err = inventory.InventoryApiStopResourceInstance(ann.ctx, ann.service, ann.environment, id).FleetStopResourceInstanceRequest2(resource).Execute()
	ann.must(err)
	ann.await(id, "STOPPED")
	if got, err := in.Query(writer, "select n::text from kept"); err == nil {
		t.Errorf("a stopped instance answers %s", got)
	}
	_, err = inventory.InventoryApiStartResourceInstance(ann.ctx, ann.service, ann.environment, id).FleetStartResourceInstanceRequest2(
		fleetsdk.FleetStartResourceInstanceRequest2{ResourceId: "any"}).Execute()
	ann.must(err)
	ann.await(id, "RUNNING")
	harness.Eventually(t, time.Minute, "the data is there", in.Is(writer, "select n::text from kept", "42"))

	_, err = inventory.InventoryApiUpdateResourceInstance(ann.ctx, ann.service, ann.environment, id).FleetUpdateResourceInstanceRequest2(
		fleetsdk.FleetUpdateResourceInstanceRequest2{ResourceId: "any", RequestParams: map[string]any{"readReplicaCount": 1}}).Execute()
	ann.must(err)
	ann.await(id, "RUNNING")
	reader := writer
	reader.Host = results["cluster_reader_endpoint"].(string)
	harness.Eventually(t, time.Minute, "the reader has the data", in.Is(reader, "select n || ' ' || pg_is_in_recovery() from kept", "42 true"))

	// A version that would replace the database is stopped until somebody approves it.
	stack := filepath.Join(plan, "terraform", "main.tf")
	text, err := os.ReadFile(stack)
	ann.must(err)
	replaced := bytes.Replace(text, []byte("cluster_identifier = local.name"), []byte(`cluster_identifier = "${local.name}-2"`), 1)
	if bytes.Equal(replaced, text) {
		t.Fatal("the plan's cluster has another identifier")
	}
	ann.must(os.WriteFile(stack, replaced, 0o644))
	admin.build(plan)
	patch := fleetsdk.OneOffPatchResourceInstanceRequest2{}
	patch.SetTargetTierVersion("2.0")
	_, _, err = inventory.InventoryApiOneOffPatchResourceInstance(ann.ctx, ann.service, ann.environment, id).OneOffPatchResourceInstanceRequest2(patch).Execute()
	ann.must(err)
	if d := ann.await(id, "FAILED"); d.TierVersion != "1.0" {
		t.Errorf("stopped, and it has version %s", d.TierVersion)
	}
	if err := in.Is(writer, "select n::text from kept", "42")(); err != nil {
		t.Error(err)
	}
	runs, _, err := ann.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiListServiceWorkflows(ann.ctx, ann.service, ann.environment).InstanceId(id).Execute()
	ann.must(err)
	if reason := runs.Workflows[0].GetUpdatedReason(); !strings.Contains(reason, "destroy or replace databases") {
		t.Errorf("the workflow says %q", reason)
	}
	_, _, err = ann.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiUpdateServiceWorkflow(ann.ctx, ann.service, ann.environment, runs.Workflows[0].Id).
		UpdateServiceWorkflowRequest2(fleetsdk.UpdateServiceWorkflowRequest2{Status: "resume"}).Execute()
	ann.must(err)
	d := ann.await(id, "RUNNING")
	writer.Host = d.ConsumptionResourceInstanceResult.ResultParams.(map[string]any)["cluster_global_endpoint"].(string)
	if d.TierVersion != "2.0" {
		t.Errorf("approved, and it has version %s", d.TierVersion)
	}
	harness.Eventually(t, time.Minute, "the new database is empty", in.Is(writer, "select count(*)::text from pg_class where relname = 'kept'", "0"))

	_, err = inventory.InventoryApiDeleteResourceInstance(ann.ctx, ann.service, ann.environment, id).FleetDeleteResourceInstanceRequest2(
		fleetsdk.FleetDeleteResourceInstanceRequest2{ResourceId: ann.tier}).Execute()
	ann.must(err)
	harness.Eventually(t, 2*time.Minute, "no server is left", func() error {
		if left := in.Postmasters(); len(left) > 0 {
			return errors.New("there are servers")
		}
		return nil
	})
	if out := in.Run("audit"); !strings.Contains(out, "Intact") {
		t.Errorf("the audit log: %s", out)
	}
}
