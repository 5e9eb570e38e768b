package fleet_test

import (
	"strings"
	"testing"

	fleetsdk "github.com/omnistrate-oss/omnistrate-sdk-go/fleet"
	sdk "github.com/omnistrate-oss/omnistrate-sdk-go/v1"

	"github.com/daybreakdb/daybreak/internal/platform/account"
)

const grownStack = stackText + `
output "more" { value = "{{ $var.size }}" }
`

func TestPlanAndInstanceLiveFromBuildToDelete(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	ann := f.user("ann@acme.example", "Acme", account.RoleRoot)
	p := admin.build("Prod", "PROD", specText, stackText, false)

	id, err := ann.create(p, order(map[string]any{"password": "a long secret", "size": 2}))
	if err != nil {
		t.Fatal(explain(err))
	}
	d := ann.await(p, id, "RUNNING")
	results, ok := d.ConsumptionResourceInstanceResult.ResultParams.(map[string]any)
	if !ok || results["out"] != id || results["size"] != "2" || results["password"] != nil {
		t.Errorf("result_params: %v", d.ConsumptionResourceInstanceResult.ResultParams)
	}
	if d.OrganizationName != "Acme" || d.TierVersion != "1.0" || d.SubscriptionOwnerName != "ann@acme.example" {
		t.Errorf("%+v", d)
	}
	inventory := ann.fleet.InventoryApiAPI

	found, _, err := inventory.InventoryApiSearchInventory(ann.ctx).SearchInventoryRequest2(fleetsdk.SearchInventoryRequest2{Query: "resourceinstance:i"}).Execute()
	if err != nil || len(found.ResourceInstanceResults) != 1 || found.ResourceInstanceResults[0].Id != id || found.ResourceInstanceResults[0].GetResourceId() == "" {
		t.Errorf("search: %+v, %v", found, err)
	}

	evaluate := sdk.ExpressionEvaluatorRequest2{ServiceID: p.service, InstanceID: &id, ResourceKey: "testStack"}
	evaluate.SetExpression("$sys.id")
	if got, _, err := ann.v1.ExpressionEvaluatorApiAPI.ExpressionEvaluatorApiExpressionEvaluator(ann.ctx).ExpressionEvaluatorRequest2(evaluate).Execute(); err != nil || got.Result != id {
		t.Errorf("evaluated: %v, %v", got, err)
	}

	// Only what changes is given, and the resource's id may be anything.
	if _, err := inventory.InventoryApiUpdateResourceInstance(ann.ctx, p.service, p.environment, id).FleetUpdateResourceInstanceRequest2(
		fleetsdk.FleetUpdateResourceInstanceRequest2{ResourceId: p.tier, RequestParams: map[string]any{"size": "3"}}).Execute(); err != nil {
		t.Fatal(explain(err))
	}
	d = ann.await(p, id, "RUNNING")
	if results, _ := d.ConsumptionResourceInstanceResult.ResultParams.(map[string]any); results["size"] != "3" {
		t.Errorf("after modify: %v", results)
	}

	// Customers stay on their version until they are upgraded.
	admin.build("Prod", "PROD", specText, grownStack, false)
	if d := ann.await(p, id, "RUNNING"); d.TierVersion != "1.0" || d.TierVersionStatus != "Active" {
		t.Errorf("after a release: version %s, %s", d.TierVersion, d.TierVersionStatus)
	}
	path, _, err := admin.fleet.InventoryApiAPI.InventoryApiCreateUpgradePath(admin.ctx, p.service, p.tier).CreateUpgradePathRequest2(fleetsdk.CreateUpgradePathRequest2{
		SourceVersion: "1.0", TargetVersion: "2.0", UpgradeFilters: map[string][]string{"INSTANCE_IDS": {id}},
	}).Execute()
	if err != nil {
		t.Fatal(explain(err))
	}
	eventually(t, "the upgrade is complete", func() bool {
		path, _, err = admin.fleet.InventoryApiAPI.InventoryApiDescribeUpgradePath(admin.ctx, p.service, p.tier, path.UpgradePathId).Execute()
		return err == nil && path.Status == "COMPLETE" && path.CompletedCount == 1
	})
	if d := ann.await(p, id, "RUNNING"); d.TierVersion != "2.0" {
		t.Errorf("after the upgrade: version %s", d.TierVersion)
	}

	runs, _, err := ann.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiListServiceWorkflows(ann.ctx, p.service, p.environment).InstanceId(id).Execute()
	if err != nil || len(runs.Workflows) != 3 {
		t.Fatalf("workflows: %+v, %v", runs, err)
	}
	for i, prefix := range []string{"submit-upgrade-" + id, "submit-modify-" + id, "submit-create-" + id} {
		if w := runs.Workflows[i]; !strings.HasPrefix(w.Id, prefix) || w.Status != "SUCCESS" {
			t.Errorf("workflow %d: %s is %s", i, w.Id, w.Status)
		}
	}
	events, _, err := ann.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiGetWorkflowEvents(ann.ctx, p.service, p.environment, runs.Workflows[2].Id).Execute()
	if err != nil || len(events.Resources) != 1 || len(events.Resources[0].WorkflowSteps) != 3 {
		t.Errorf("events: %+v, %v", events, err)
	}

	// omnistrate-ctl sends the plan's id as the resource's.
	if _, err := inventory.InventoryApiDeleteResourceInstance(ann.ctx, p.service, p.environment, id).FleetDeleteResourceInstanceRequest2(
		fleetsdk.FleetDeleteResourceInstanceRequest2{ResourceId: p.tier}).Execute(); err != nil {
		t.Fatal(explain(err))
	}
	ann.awaitGone(p, id)
}

func TestVersionsNeverChange(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	versions := func() []sdk.TierVersionSet {
		got, _, err := admin.v1.TierVersionSetApiAPI.TierVersionSetApiListTierVersionSets(admin.ctx, p.service, p.tier).Execute()
		if err != nil {
			t.Fatal(explain(err))
		}
		return got.TierVersionSets
	}
	admin.build("Prod", "PROD", specText, stackText, false)
	if got := versions(); len(got) != 1 {
		t.Errorf("the same content made another version: %d", len(got))
	}
	admin.build("Prod", "PROD", specText, grownStack, false)
	got := versions()
	if len(got) != 2 || got[0].Version != "2.0" || got[0].Status != "Preferred" || got[1].Status != "Active" {
		t.Fatalf("after other content: %+v", got)
	}
	admin.build("Prod", "PROD", specText, grownStack, true)
	if got := versions(); len(got) != 3 {
		t.Errorf("forced: %d versions", len(got))
	}
	if _, _, err := admin.v1.TierVersionSetApiAPI.TierVersionSetApiPromoteTierVersionSet(admin.ctx, p.service, p.tier, "1.0").Execute(); err != nil {
		t.Fatal(explain(err))
	}
	if got := versions(); got[2].Status != "Preferred" || got[0].Status != "Active" {
		t.Errorf("after 1.0 is preferred: %+v", got)
	}
}

func TestNewRequiredParameterNeedsAValueBeforeAnUpgrade(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	id, err := admin.create(p, order(map[string]any{"password": "a long secret"}))
	if err != nil {
		t.Fatal(explain(err))
	}
	admin.await(p, id, "RUNNING")
	admin.build("Prod", "PROD", specText+"      - {key: zone, type: String, required: true}\n", stackText, false)
	status, body := admin.call("PATCH", "/fleet/service/"+p.service+"/environment/"+p.environment+"/instance/"+id+"/patch",
		map[string]any{"resourceId": "", "targetTierVersion": "2.0"})
	if status != 400 || !strings.Contains(body, "zone") {
		t.Errorf("%d: %s", status, body)
	}
	if d := admin.await(p, id, "RUNNING"); d.TierVersion != "1.0" {
		t.Errorf("version %s", d.TierVersion)
	}
	status, body = admin.call("PATCH", "/fleet/service/"+p.service+"/environment/"+p.environment+"/instance/"+id+"/patch",
		map[string]any{"resourceId": "", "targetTierVersion": "1.0"})
	if status != 400 || !strings.Contains(body, "already") {
		t.Errorf("onto an equal version: %d: %s", status, body)
	}
}

func TestWorkflowHeldAtABreakpointGoesOnOrEnds(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	held := func() (id, run string) {
		t.Helper()
		req := order(map[string]any{"password": "a long secret"})
		req.SetWorkflowBreakpoints([]fleetsdk.WorkflowBreakpoint{{Id: "testStack", Events: []string{"StartTerraformApply"}}})
		id, err := admin.create(p, req)
		if err != nil {
			t.Fatal(explain(err))
		}
		eventually(t, "the breakpoint is hit", func() bool {
			d, _, err := admin.fleet.InventoryApiAPI.InventoryApiDescribeResourceInstance(admin.ctx, p.service, p.environment, id).Execute()
			return err == nil && len(d.ActiveBreakpoints) == 1 && d.ActiveBreakpoints[0].Status == "Hit"
		})
		runs, _, err := admin.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiListServiceWorkflows(admin.ctx, p.service, p.environment).InstanceId(id).Execute()
		if err != nil {
			t.Fatal(explain(err))
		}
		return id, runs.Workflows[0].Id
	}
	workflows := admin.fleet.FleetWorkflowsApiAPI

	id, run := held()
	if _, _, err := workflows.FleetWorkflowsApiUpdateServiceWorkflow(admin.ctx, p.service, p.environment, run).UpdateServiceWorkflowRequest2(
		fleetsdk.UpdateServiceWorkflowRequest2{Status: "resume"}).Execute(); err != nil {
		t.Fatal(explain(err))
	}
	admin.await(p, id, "RUNNING")

	id, run = held()
	if _, _, err := workflows.FleetWorkflowsApiTerminateServiceWorkflow(admin.ctx, p.service, p.environment, run).Execute(); err != nil {
		t.Fatal(explain(err))
	}
	admin.await(p, id, "FAILED")
	if got, _, err := workflows.FleetWorkflowsApiDescribeServiceWorkflow(admin.ctx, p.service, p.environment, run).Execute(); err != nil || got.Workflow.Status != "CANCELLED" {
		t.Errorf("the terminated workflow: %+v, %v", got, err)
	}
	one := "/fleet/service/" + p.service + "/environment/" + p.environment + "/service-workflows/" + run
	if status, body := admin.call("PATCH", one, map[string]any{"status": "resume"}); status != 409 {
		t.Errorf("resume of what waits for nothing: %d: %s", status, body)
	}
	if status, body := admin.call("PATCH", one, map[string]any{"status": "retry"}); status != 200 {
		t.Fatalf("retry: %d: %s", status, body)
	}
	eventually(t, "the breakpoint is hit again", func() bool {
		d, _, err := admin.fleet.InventoryApiAPI.InventoryApiDescribeResourceInstance(admin.ctx, p.service, p.environment, id).Execute()
		return err == nil && len(d.ActiveBreakpoints) == 1 && d.ActiveBreakpoints[0].Status == "Hit"
	})
}

const brokenStack = stackText + `
resource "terraform_data" "y" {
  provisioner "local-exec" {
    command = "false"
  }
}
`

func TestUpgradeThatFailsHalfwayIsRolledBack(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	id, err := admin.create(p, order(map[string]any{"password": "a long secret"}))
	if err != nil {
		t.Fatal(explain(err))
	}
	admin.await(p, id, "RUNNING")
	admin.build("Prod", "PROD", specText, brokenStack, false)
	patch := fleetsdk.OneOffPatchResourceInstanceRequest2{}
	patch.SetTargetTierVersion("latest")
	if _, _, err := admin.fleet.InventoryApiAPI.InventoryApiOneOffPatchResourceInstance(admin.ctx, p.service, p.environment, id).OneOffPatchResourceInstanceRequest2(patch).Execute(); err != nil {
		t.Fatal(explain(err))
	}
	var states []string
	eventually(t, "the run of the old version has followed", func() bool {
		runs, _, err := admin.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiListServiceWorkflows(admin.ctx, p.service, p.environment).InstanceId(id).Execute()
		if err != nil {
			t.Fatal(explain(err))
		}
		states = nil
		for _, w := range runs.Workflows {
			states = append(states, w.WorkflowType+" "+w.Status)
		}
		return len(states) == 3 && states[0] == "MODIFY SUCCESS"
	})
	if states[1] != "UPGRADE FAILED" {
		t.Errorf("%v", states)
	}
	if d := admin.await(p, id, "RUNNING"); d.TierVersion != "1.0" {
		t.Errorf("version %s", d.TierVersion)
	}
}
