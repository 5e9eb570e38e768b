package fleet_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	fleetsdk "github.com/omnistrate-oss/omnistrate-sdk-go/fleet"
	sdk "github.com/omnistrate-oss/omnistrate-sdk-go/v1"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/fleet"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/test/workflowtest"
)

func TestMain(m *testing.M) { workflowtest.Main(m) }

// fixture is the API on a real etcd, a real region and a real Terraform. Its stacks
// use terraform_data, which needs no provider.
type fixture struct {
	t        *testing.T
	url      string
	server   *fleet.Server
	accounts *account.Accounts
	audit    *audit.Log
}

const password = "correct horse"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	config := workflowtest.Config(t)
	store, keys, l, quiet := config.Store, config.Keyring, config.Layout, config.Logger
	engine := workflow.New(config)
	f := &fixture{
		t: t, accounts: account.New(account.Config{Store: store, Keyring: keys, Credential: "the-installations-own"}),
		audit: audit.New(audit.Config{Store: store, Keyring: keys, Path: filepath.Join(l.Root, "audit.jsonl"), Logger: quiet}),
	}
	products := catalog.New(catalog.Config{Store: store, Keyring: keys, Blobs: blob.Dir{Root: l.Blobs()}, Pin: engine.Pin, Deployments: engine.All})
	upgrades := catalog.NewUpgrades(products, engine, quiet)
	f.server = fleet.New(fleet.Config{
		Accounts: f.accounts, Catalog: products, Engine: engine, Upgrades: upgrades, Audit: f.audit, Logger: quiet, AccountID: "111122223333", Region: "us-west-2",
	})
	api := httptest.NewServer(f.server)
	t.Cleanup(api.Close)
	f.url = api.URL
	f.run(engine.Run)
	f.run(upgrades.Run)
	return f
}

// run has a loop run until the test ends.
func (f *fixture) run(loop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loop(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
}

// client is somebody who is signed in, with the published SDK.
type client struct {
	t     *testing.T
	f     *fixture
	token string
	ctx   context.Context // has the token, as the SDK wants it
	v1    *sdk.APIClient
	fleet *fleetsdk.APIClient
}

// user makes a user, signs them in with the SDK, and returns their client.
func (f *fixture) user(email, org string, role account.Role) *client {
	f.t.Helper()
	if _, err := f.accounts.CreateUser(f.t.Context(), account.NewUser{Email: email, Password: password, Organization: org, Role: role}); err != nil {
		f.t.Fatal(err)
	}
	c := f.client("")
	req := sdk.SigninRequest{Email: email}
	req.SetPassword(password)
	got, _, err := c.v1.SigninApiAPI.SigninApiSignin(f.t.Context()).SigninRequest(req).Execute()
	if err != nil {
		f.t.Fatal(err)
	}
	return f.client(got.JwtToken)
}

func (f *fixture) client(token string) *client {
	u, err := url.Parse(f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	v1, fl := sdk.NewConfiguration(), fleetsdk.NewConfiguration()
	v1.Host, v1.Scheme, fl.Host, fl.Scheme = u.Host, u.Scheme, u.Host, u.Scheme
	ctx := context.WithValue(f.t.Context(), sdk.ContextAccessToken, token)
	return &client{f.t, f, token, context.WithValue(ctx, fleetsdk.ContextAccessToken, token), sdk.NewAPIClient(v1), fleetsdk.NewAPIClient(fl)}
}

// call makes a plain request and returns what came back.
func (c *client) call(method, path string, body any) (int, string) {
	c.t.Helper()
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = bytes.NewBufferString(body)
	default:
		data, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.f.url+fleet.Prefix+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

const specText = `
name: Test Plan
services:
  - name: Test Stack
    terraformConfigurations:
      configurationPerCloudProvider:
        aws:
          terraformPath: /
          artifactsLocalPath: ./tf
          requiredOutputs: [{key: out, exported: true}]
    apiParameters:
      - {key: size, type: Float64, modifiable: true, defaultValue: "1", export: true}
      - {key: password, type: Password, required: true, limits: {minLength: 8}}
`

const stackText = `
resource "terraform_data" "x" {
  count = {{ $var.size }}
  input = "{{ $var.password }}"
}
output "out" { value = "{{ $sys.id }}" }
`

func folder(t *testing.T, text string) string {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	if err := archive.WriteHeader(&tar.Header{Name: "main.tf", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(archive, text); err != nil {
		t.Fatal(err)
	}
	archive.Close()
	zip.Close()
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

// product is a plan that is offered.
type product struct{ service, environment, tier string }

// build does what omnistrate-ctl build does: prepare, send the folder, build.
func (c *client) build(environment, environmentType, spec, stack string, force bool) product {
	c.t.Helper()
	content := base64.StdEncoding.EncodeToString([]byte(spec))
	prepare := sdk.PrepareServiceFromServicePlanSpecRequest2{Name: "Postgres", Environment: environment, EnvironmentType: environmentType, FileContent: content}
	got, _, err := c.v1.ServiceApiAPI.ServiceApiPrepareServiceFromServicePlanSpec(c.ctx).PrepareServiceFromServicePlanSpecRequest2(prepare).Execute()
	if err != nil {
		c.t.Fatal(explain(err))
	}
	for _, task := range got.ArtifactUploadingTasks {
		_, _, err := c.v1.DeploymentArtifactApiAPI.DeploymentArtifactApiUploadDeploymentArtifact(c.ctx).UploadDeploymentArtifactRequest2(sdk.UploadDeploymentArtifactRequest2{
			AccountConfigID: task.GetAccountConfigID(), ArtifactPath: task.GetArtifactPath(), Base64EncodedArtifact: folder(c.t, stack),
			EnvironmentType: task.GetEnvironmentType(), ProductTierName: task.GetProductTierName(), ServiceName: task.GetServiceName(),
		}).Execute()
		if err != nil {
			c.t.Fatal(explain(err))
		}
	}
	yes := true
	req := sdk.BuildServiceFromServicePlanSpecRequest2{
		Name: "Postgres", FileContent: content, Environment: &environment, EnvironmentType: &environmentType, Release: &yes, ReleaseAsPreferred: &yes,
		ForceCreateNewServicePlanVersion: &force,
	}
	built, _, err := c.v1.ServiceApiAPI.ServiceApiBuildServiceFromServicePlanSpec(c.ctx).BuildServiceFromServicePlanSpecRequest2(req).Execute()
	if err != nil {
		c.t.Fatal(explain(err))
	}
	return product{built.ServiceID, built.ServiceEnvironmentID, built.ProductTierID}
}

// explain adds what the server said to the SDK's error.
func explain(err error) string {
	if with, ok := err.(interface{ Body() []byte }); ok {
		return err.Error() + ": " + string(with.Body())
	}
	return err.Error()
}

// create makes an instance as omnistrate-ctl does: by the keys of the offering.
func (c *client) create(p product, req fleetsdk.FleetCreateResourceInstanceRequest2) (string, error) {
	c.t.Helper()
	offered, _, err := c.fleet.InventoryApiAPI.InventoryApiDescribeServiceOffering(c.ctx, p.service).ProductTierId(p.tier).ProductTierVersion("").Execute()
	if err != nil {
		c.t.Fatal(explain(err))
	}
	s := offered.ConsumptionDescribeServiceOfferingResult
	o := s.Offerings[0]
	made, _, err := c.fleet.InventoryApiAPI.InventoryApiCreateResourceInstance(c.ctx, s.ServiceProviderId, s.ServiceURLKey, o.ServiceAPIVersion, o.ServiceEnvironmentURLKey,
		o.ServiceModelURLKey, o.ProductTierURLKey, o.ResourceParameters[0].UrlKey).FleetCreateResourceInstanceRequest2(req).Execute()
	if err != nil {
		return "", err
	}
	return made.GetId(), nil
}

// order is a request with parameters.
func order(params map[string]any) fleetsdk.FleetCreateResourceInstanceRequest2 {
	req := fleetsdk.FleetCreateResourceInstanceRequest2{RequestParams: params}
	req.SetCloudProvider("aws")
	req.SetRegion("us-west-2")
	return req
}

// await waits until the instance has a status and returns it.
func (c *client) await(p product, id, status string) *fleetsdk.ResourceInstance {
	c.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		got, _, err := c.fleet.InventoryApiAPI.InventoryApiDescribeResourceInstance(c.ctx, p.service, p.environment, id).Execute()
		if err != nil {
			c.t.Fatal(explain(err))
		}
		if got.ConsumptionResourceInstanceResult.GetStatus() == status {
			return got
		}
		if time.Now().After(deadline) {
			_, body := c.call("GET", "/fleet/service/"+p.service+"/environment/"+p.environment+"/instance/"+id+"/debug/log", nil)
			c.t.Fatalf("%s is %s, want %s: %s", id, got.ConsumptionResourceInstanceResult.GetStatus(), status, body)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitGone waits until there is no such instance.
func (c *client) awaitGone(p product, id string) {
	c.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		_, resp, err := c.fleet.InventoryApiAPI.InventoryApiDescribeResourceInstance(c.ctx, p.service, p.environment, id).Execute()
		if err != nil && resp != nil && resp.StatusCode == http.StatusNotFound {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s is still there: %v", id, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
