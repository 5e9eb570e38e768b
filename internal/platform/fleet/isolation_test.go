package fleet_test

import (
	"regexp"
	"strings"
	"testing"

	fleetsdk "github.com/omnistrate-oss/omnistrate-sdk-go/fleet"

	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/platform/fleet"
)

// bodies are requests that would be carried out, by operation.
func bodies(ids map[string]string) map[string]any {
	return map[string]any{
		"updateResourceInstance":      map[string]any{"resourceId": "r", "requestParams": map[string]any{"size": 9}, "customTags": []any{map[string]any{"key": "owner", "value": "bob"}}},
		"oneOffPatchResourceInstance": map[string]any{"resourceId": "", "targetTierVersion": "2.0"},
		"updateServiceWorkflow":       map[string]any{"status": "retry"},
		"updateAPIKeyMetadata":        map[string]any{"name": "taken"},
		"createResourceInstance":      map[string]any{"subscriptionId": ids["subscription"], "requestParams": map[string]any{"password": "a long secret"}},
		"requestSubscription":         map[string]any{"productTierId": ids["tier"]},
	}
}

// TestNothingOfATenantIsReachableByAnother calls every route with the identifiers of
// another tenant.
func TestNothingOfATenantIsReachableByAnother(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	ann := f.user("ann@acme.example", "Acme", account.RoleRoot)
	bob := f.user("bob@bolt.example", "Bolt", account.RoleRoot)
	reader := f.user("rita@acme.example", "Acme", account.RoleReader)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	hidden := admin.build("Dev", "DEV", specText, stackText, false)

	req := order(map[string]any{"password": "anns own secret"})
	req.SetCustomTags([]fleetsdk.CustomTag{{Key: "marker", Value: "anns-marker"}})
	id, err := ann.create(p, req)
	if err != nil {
		t.Fatal(explain(err))
	}
	d := ann.await(p, id, "RUNNING")
	runs, _, err := ann.fleet.FleetWorkflowsApiAPI.FleetWorkflowsApiListServiceWorkflows(ann.ctx, p.service, p.environment).Execute()
	if err != nil {
		t.Fatal(explain(err))
	}
	user, _, err := ann.v1.UsersApiAPI.UsersApiDescribeUser(ann.ctx).Execute()
	if err != nil {
		t.Fatal(explain(err))
	}
	_, key := ann.call("POST", "/api-key", map[string]any{"name": "anns-key", "roleType": "editor"})
	keyID := regexp.MustCompile(`apikey-\w+`).FindString(key)

	ids := map[string]string{"subscription": d.SubscriptionId, "tier": p.tier}
	values := map[string]string{
		"instanceId": id, "serviceId": p.service, "environmentId": p.environment, "productTierId": p.tier, "userId": user.Id, "version": "1.0",
		"resourceId": d.GetResourceId(), "snapshotId": "snap-1", "environmentType": "PROD", "name": "token", "upgradePathId": "upgrade-1", "workflowId": "w",
		"serviceProviderId": "org-provider", "serviceKey": "postgres", "serviceAPIVersion": "v1", "serviceEnvironmentKey": "prod", "serviceModelKey": "test-plan",
		"productTierKey": "test-plan", "resourceKey": "testStack",
	}
	// What {id} stands for depends on the path.
	idsOf := []struct{ part, id string }{
		{"/api-key/", keyID}, {"/subscription/", d.SubscriptionId}, {"/service-workflows/", runs.Workflows[0].Id}, {"/product-tier/", p.tier},
		{"/model/", d.ServiceModelId}, {"/resource/", d.GetResourceId()}, {"/environment/", hidden.environment}, {"/service/", p.service},
	}
	secrets := []string{"anns own secret", "anns-marker", "anns-key", "ann@acme.example", "Acme", user.GetOrgId()}
	anonymous := f.client("")
	routes := fleet.Routes(f.server)
	if len(routes) < 80 {
		t.Fatalf("only %d routes", len(routes))
	}
	for _, r := range routes {
		if r.Open {
			continue
		}
		path := regexp.MustCompile(`\{(\w+)\}`).ReplaceAllStringFunc(r.Path, func(param string) string {
			name := strings.Trim(param, "{}")
			if name != "id" {
				return values[name]
			}
			for _, of := range idsOf {
				if strings.Contains(r.Path, of.part) {
					return of.id
				}
			}
			return "none"
		})
		if r.Operation == "revokeAPIKey" {
			path += ":revoke"
		}
		body := bodies(ids)[r.Operation]
		if body == nil && r.Method != "GET" {
			body = map[string]any{"query": "resourceinstance:" + id, "resourceId": "r", "name": "x", "roleType": "reader",
				"serviceID": p.service, "instanceID": id, "resourceKey": "testStack", "expression": "$var.password"}
		}
		name := r.Method + " " + path
		if status, answer := anonymous.call(r.Method, path, body); status != 401 {
			t.Errorf("%s without a token: %d, %.200s", name, status, answer)
		}
		if status, answer := reader.call(r.Method, path, body); r.Writes && status != 403 {
			t.Errorf("%s by a reader: %d, %.200s", name, status, answer)
		}
		status, answer := bob.call(r.Method, path, body)
		if r.Provider && status != 403 {
			t.Errorf("%s by a customer: %d, %.200s", name, status, answer)
		}
		if strings.Contains(r.Path, "{instanceId}") && status != 404 && status != 403 {
			t.Errorf("%s by another tenant: %d, %.200s", name, status, answer)
		}
		for _, s := range secrets {
			if strings.Contains(answer, s) {
				t.Errorf("%s tells another tenant %q: %.300s", name, s, answer)
			}
		}
		if status < 400 && strings.Contains(answer, id) {
			t.Errorf("%s tells another tenant of %s: %.300s", name, id, answer)
		}
	}
	// Nothing has changed for whom it is.
	after := ann.await(p, id, "RUNNING")
	if after.ConsumptionResourceInstanceResult.GetLastModifiedAt() != d.ConsumptionResourceInstanceResult.GetLastModifiedAt() ||
		after.SubscriptionId != d.SubscriptionId || after.GetSubscriptionStatus() != "ACTIVE" {
		t.Errorf("changed: %+v", after)
	}
	if status, body := ann.call("GET", "/api-key/"+keyID, nil); status != 200 || !strings.Contains(body, "anns-key") || !strings.Contains(body, "ACTIVE") {
		t.Errorf("her key: %d, %s", status, body)
	}
	if status, body := bob.call("GET", "/service/"+p.service+"/environment/"+hidden.environment, nil); status != 404 {
		t.Errorf("a private environment: %d, %s", status, body)
	}
	if status, body := bob.call("GET", "/service/"+p.service+"/product-tier/"+hidden.tier, nil); status != 404 {
		t.Errorf("a plan of a private environment: %d, %s", status, body)
	}
}

func TestQuotaAndSuspensionOfASubscription(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	ann := f.user("ann@acme.example", "Acme", account.RoleRoot)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	of := "/fleet/service/" + p.service + "/environment/" + p.environment + "/subscription"
	status, body := admin.call("POST", of, map[string]any{"onBehalfOfCustomerUserId": "ann@acme.example", "productTierId": p.tier, "maxNumberOfInstances": 1})
	sub := regexp.MustCompile(`sub-\w+`).FindString(body)
	if status != 200 || sub == "" {
		t.Fatal(status, body)
	}
	params := map[string]any{"password": "a long secret"}
	id, err := ann.create(p, order(params))
	if err != nil {
		t.Fatal(explain(err))
	}
	if _, err := ann.create(p, order(params)); err == nil || !strings.Contains(explain(err), "quota of 1") {
		t.Errorf("above the quota: %v", err)
	}
	ann.await(p, id, "RUNNING")
	if _, err := admin.fleet.InventoryApiAPI.InventoryApiSuspendSubscription(admin.ctx, p.service, p.environment, sub).Execute(); err != nil {
		t.Fatal(explain(err))
	}
	one := "/fleet/service/" + p.service + "/environment/" + p.environment + "/instance/" + id
	if status, body := ann.call("PATCH", one, map[string]any{"resourceId": "r", "requestParams": map[string]any{"size": 2}}); status != 403 || !strings.Contains(body, "SUSPENDED") {
		t.Errorf("modify while suspended: %d, %s", status, body)
	}
	if status, body := admin.call("DELETE", of+"/"+sub, nil); status != 409 {
		t.Errorf("terminate with an instance: %d, %s", status, body)
	}
	if status, body := admin.call("PUT", of+"/"+sub+"/resume", nil); status != 200 {
		t.Errorf("resume: %d, %s", status, body)
	}
	if status, body := ann.call("DELETE", one, nil); status != 200 {
		t.Fatalf("delete: %d, %s", status, body)
	}
	ann.awaitGone(p, id)
	if status, body := admin.call("DELETE", of+"/"+sub, nil); status != 200 {
		t.Errorf("terminate: %d, %s", status, body)
	}
}

func TestEveryCallIsInTheAuditLog(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	ann := f.user("ann@acme.example", "Acme", account.RoleRoot)
	admin.build("Prod", "PROD", specText, stackText, false)
	ann.call("GET", "/service", nil)
	ann.call("PUT", "/environmentType/PROD/secret/token", map[string]any{"value": "never-in-the-log"})
	events, err := f.audit.Events(t.Context(), 100, func(audit.Event) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"signin": 200, "prepareServicePlanSpec": 200, "uploadDeploymentArtifact": 200, "buildServicePlanSpec": 200, "listService": 200, "setSecret": 403}
	for _, e := range events {
		if status, ok := want[e.Operation]; ok && e.Status == status && e.IPAddress != "" {
			delete(want, e.Operation)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the log: %v", want)
	}
	if n, err := f.audit.Verify(t.Context()); err != nil || n != int64(len(events)) {
		t.Errorf("%d events verified of %d: %v", n, len(events), err)
	}
	if _, body := ann.call("GET", "/fleet/audit-events", nil); strings.Contains(body, "admin@provider.example") || strings.Contains(body, "buildServicePlanSpec") || !strings.Contains(body, "signin") {
		t.Errorf("what a customer sees of it: %s", body)
	}
}
