package fleet_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/fleet"
)

// eventually waits for a fact.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !fact(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true that " + what)
		}
	}
}

// checkError reports whether an answer is an error as the clients read it.
func checkError(t *testing.T, name string, status int, body string) {
	t.Helper()
	var keys map[string]any
	if err := json.Unmarshal([]byte(body), &keys); err != nil {
		t.Errorf("%s: %v in %q", name, err, body)
		return
	}
	for _, key := range []string{"name", "id", "message", "temporary", "timeout", "fault"} {
		if _, ok := keys[key]; !ok {
			t.Errorf("%s: the error lacks %s: %s", name, key, body)
		}
	}
	if !slices.Contains([]int{400, 401, 403, 404, 409, 500}, status) {
		t.Errorf("%s: status %d, which the clients do not know", name, status)
	}
}

func TestBadInputIsAnErrorThatClientsCanRead(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	create := "/fleet/resource-instance/org-provider/postgres/v1/prod/test-plan/test-plan/testStack"
	cases := []struct {
		name, method, path string
		body               any
		status             int
		want               string
	}{
		{"no JSON", "POST", create, "{", 400, "not the JSON"},
		{"two values", "POST", create, "{} {}", 400, "more than one"},
		{"a large body", "POST", create, strings.Repeat(" ", 10<<20), 400, "larger than"},
		{"unknown path", "GET", "/nothing", nil, 404, "no operation"},
		{"another spelling", "GET", "/service/" + p.service + "/productTier/" + p.tier, nil, 404, "no operation"},
		{"no required parameter", "POST", create, map[string]any{}, 400, "password"},
		{"parameter of another type", "POST", create, map[string]any{"requestParams": map[string]any{"password": "long enough", "size": "many"}}, 400, "not a number"},
		{"unknown parameter", "POST", create, map[string]any{"requestParams": map[string]any{"password": "long enough", "sise": 1}}, 400, "size"},
		{"version that is not there", "POST", create, map[string]any{"productTierVersion": "9.0"}, 404, "Version set not found"},
		{"another cloud", "POST", create, map[string]any{"cloud_provider": "gcp"}, 400, "gcp"},
		{"another region", "POST", create, map[string]any{"region": "mars-1"}, 400, "mars-1"},
		{"no such offering", "POST", strings.Replace(create, "postgres", "oracle", 1), map[string]any{}, 404, "oracle"},
		{"subscription that is not there", "POST", create, map[string]any{"subscriptionId": "sub-none"}, 404, "sub-none"},
		{"no such breakpoint", "POST", create, map[string]any{"workflowBreakpoints": []any{map[string]any{"id": "testStack", "events": []string{"StartHelmInstall"}}}}, 400, "breakpoint"},
		{"spec that is no base64", "PUT", "/service/serviceplanspec", map[string]any{"name": "X", "fileContent": "!"}, 400, "base64"},
		{"spec that is no YAML", "PUT", "/service/serviceplanspec", map[string]any{"name": "X", "fileContent": "e30="}, 400, "services"},
		{"artifact that is no folder", "POST", "/deployment-artifact", map[string]any{"base64EncodedArtifact": "AAAA"}, 400, "tar.gz"},
		{"instance that is not there", "GET", "/fleet/service/" + p.service + "/environment/" + p.environment + "/instance/instance-none", nil, 404, "instance-none"},
		{"search without a kind", "POST", "/fleet/search-inventory", map[string]any{"query": "x"}, 400, "colon"},
		{"snapshots", "GET", "/fleet/service/" + p.service + "/environment/" + p.environment + "/snapshot", nil, 400, "not supported yet"},
		{"Docker Compose", "PUT", "/service/composespec", map[string]any{}, 400, "service plan spec"},
		{"sign-in with a wrong password", "POST", "/signin", map[string]any{"email": "admin@provider.example", "password": "wrong password"}, 401, "wrong"},
		{"sign-in with a hash", "POST", "/signin", map[string]any{"email": "admin@provider.example", "hashedPassword": "x"}, 400, "hashedPassword"},
		{"secret with a bad name", "PUT", "/environmentType/PROD/secret/a.b", map[string]any{"value": "x"}, 400, "name"},
		{"upgrade onto an equal version", "POST", "/fleet/service/" + p.service + "/productTier/" + p.tier + "/upgrade-path", map[string]any{
			"sourceVersion": "1.0", "targetVersion": "1.0", "upgradeFilters": map[string]any{"INSTANCE_IDS": []string{"instance-x"}}}, 400, "already"},
	}
	for _, c := range cases {
		status, body := admin.call(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d, %.300s; want %d with %q", c.name, status, body, c.status, c.want)
		}
		checkError(t, c.name, status, body)
	}
	if _, body := admin.call("POST", "/fleet/search-inventory", map[string]any{"query": "resourceinstance:i"}); strings.Contains(body, `"id":"instance-`) {
		t.Errorf("something was made: %s", body)
	}
}

func TestRepeatedRequestsChangeNothing(t *testing.T) {
	f := newFixture(t)
	admin := f.user("admin@provider.example", "", account.RoleAdmin)
	p := admin.build("Prod", "PROD", specText, stackText, false)
	id, err := admin.create(p, order(map[string]any{"password": "a long secret"}))
	if err != nil {
		t.Fatal(explain(err))
	}
	admin.await(p, id, "RUNNING")
	one := "/fleet/service/" + p.service + "/environment/" + p.environment + "/instance/" + id
	for range 2 {
		if status, body := admin.call("DELETE", one, map[string]any{"resourceId": "wrong", "skipFinalSnapshot": false}); status != 200 && status != 404 {
			t.Errorf("delete: %d, %s", status, body)
		}
	}
	admin.awaitGone(p, id)
	for range 2 {
		if status, body := admin.call("PATCH", "/service/"+p.service+"/productTier/"+p.tier+"/version-set/1.0/promote", nil); status != 200 {
			t.Errorf("promote: %d, %s", status, body)
		}
		if status, body := admin.call("PUT", "/environmentType/PROD/secret/token", map[string]any{"value": "abc"}); status != 200 {
			t.Errorf("set secret: %d, %s", status, body)
		}
	}
	// A GET may have a body, and a path may end with a slash.
	if status, body := admin.call("GET", "/fleet/account-configs", map[string]any{"cloudProviderName": "aws"}); status != 200 || !strings.Contains(body, "111122223333") {
		t.Errorf("accounts: %d, %s", status, body)
	}
	if status, _ := admin.call("GET", "/fleet/service/"+p.service+"/environment/"+p.environment+"/instances/", nil); status != 200 {
		t.Errorf("instances with a slash: %d", status)
	}
}

func TestOpenAPISaysWhatIsServed(t *testing.T) {
	f := newFixture(t)
	status, body := f.client("").call("GET", "/openapi.json", nil)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name string }
			Security    []any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	routes := fleet.Routes(f.server)
	n := 0
	for _, operations := range doc.Paths {
		n += len(operations)
	}
	if n != len(routes) {
		t.Errorf("%d operations, %d routes", n, len(routes))
	}
	for _, r := range routes {
		op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok || op.OperationID != r.Operation || len(op.Parameters) != strings.Count(r.Path, "{") || (len(op.Security) == 0) != r.Open {
			t.Errorf("%s %s: %+v", r.Method, r.Path, op)
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(body, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
}
