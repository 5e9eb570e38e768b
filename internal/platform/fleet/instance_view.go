package fleet

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

type instanceReply struct {
	Adopted               bool               `json:"adopted"`
	CloudProvider         string             `json:"cloudProvider"`
	Result                instanceResult     `json:"consumptionResourceInstanceResult"`
	DefaultSubscription   bool               `json:"defaultSubscription"`
	EnvironmentID         string             `json:"environmentId"`
	InputParams           map[string]any     `json:"input_params"`
	LaunchInputParams     map[string]any     `json:"launch_input_params"`
	DebugCommands         []string           `json:"instanceDebugCommands"`
	Integrations          []string           `json:"integrationsStatus"`
	OrganizationID        string             `json:"organizationId"`
	OrganizationName      string             `json:"organizationName"`
	ProductTierID         string             `json:"productTierId"`
	ProductTierName       string             `json:"productTierName"`
	ProductTierType       string             `json:"productTierType"`
	ResourceSummaries     []resourceVersion  `json:"resourceVersionSummaries"`
	EnvironmentName       string             `json:"serviceEnvName"`
	ServiceID             string             `json:"serviceId"`
	ServiceModelID        string             `json:"serviceModelId"`
	ServiceModelName      string             `json:"serviceModelName"`
	ServiceModelType      string             `json:"serviceModelType"`
	ServiceName           string             `json:"serviceName"`
	SubscriptionID        string             `json:"subscriptionId"`
	SubscriptionOwnerName string             `json:"subscriptionOwnerName"`
	SubscriptionStatus    string             `json:"subscriptionStatus"`
	TierVersion           string             `json:"tierVersion"`
	ReleasedAt            string             `json:"tierVersionReleasedAt"`
	ReleasedByID          string             `json:"tierVersionReleasedByUserId"`
	ReleasedByName        string             `json:"tierVersionReleasedByUserName"`
	TierVersionStatus     string             `json:"tierVersionStatus"`
	ResourceID            string             `json:"resourceId"`
	ResourceName          string             `json:"resourceName"`
	ManagedResourceType   string             `json:"managedResourceType"`
	DeploymentCellID      string             `json:"deploymentCellID"`
	AWSAccountID          string             `json:"awsAccountID"`
	ActiveBreakpoints     []activeBreakpoint `json:"activeBreakpoints"`
}

type activeBreakpoint struct {
	ID     string `json:"id"`
	Event  string `json:"event"`
	Status string `json:"status"`
}

type instanceResult struct {
	ID                  string              `json:"id"`
	Status              string              `json:"status"`
	StatusDescription   string              `json:"statusDescription"`
	Region              string              `json:"region"`
	CloudProvider       string              `json:"cloud_provider"`
	CreatedAt           string              `json:"created_at"`
	LastModifiedAt      string              `json:"last_modified_at"`
	CreatedByUserID     string              `json:"createdByUserId"`
	CreatedByUserName   string              `json:"createdByUserName"`
	NetworkType         string              `json:"network_type"`
	SubscriptionID      string              `json:"subscriptionId"`
	SubscriptionStatus  string              `json:"subscriptionStatus"`
	ResourceID          string              `json:"resourceID"`
	TierVersion         string              `json:"tierVersion"`
	VersionDetail       versionDetail       `json:"productTierVersionDetail"`
	ResultParams        map[string]any      `json:"result_params"`
	LaunchInputParams   map[string]any      `json:"launch_input_params"`
	Topology            map[string]topology `json:"detailedNetworkTopology"`
	SupportedOperations []operation         `json:"supportedOperations"`
	LoadStatus          string              `json:"instanceLoadStatus"`
	Active              bool                `json:"active"`
	CustomTags          []tag               `json:"customTags"`
	AWSAccountID        string              `json:"awsAccountID"`
}

type versionDetail struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type operation struct {
	Name   string `json:"name"`
	Verb   string `json:"verb"`
	Source string `json:"source"`
}

type topology struct {
	ResourceKey         string                     `json:"resourceKey"`
	ResourceName        string                     `json:"resourceName"`
	ClusterEndpoint     string                     `json:"clusterEndpoint"`
	ClusterPorts        []int64                    `json:"clusterPorts"`
	AllowedIPRanges     []string                   `json:"allowedIPRanges"`
	HasCompute          bool                       `json:"hasCompute"`
	Main                bool                       `json:"main"`
	NetworkingType      string                     `json:"networkingType"`
	PubliclyAccessible  bool                       `json:"publiclyAccessible"`
	AdditionalEndpoints map[string]clusterEndpoint `json:"additionalEndpoints"`
	ResourceType        string                     `json:"resourceType"`
}

type clusterEndpoint struct {
	Endpoint       string  `json:"endpoint"`
	OpenPorts      []int64 `json:"openPorts"`
	Primary        bool    `json:"primary"`
	HealthStatus   string  `json:"healthStatus"`
	NetworkingType string  `json:"networkingType"`
}

type resourceVersion struct {
	ResourceID    string          `json:"resourceId"`
	ResourceName  string          `json:"resourceName"` // its key
	Version       string          `json:"version"`
	LatestVersion string          `json:"latestVersion"`
	Capabilities  []string        `json:"capabilities"`
	Terraform     terraformDetail `json:"terraformDeploymentConfiguration"`
}

type terraformDetail struct {
	ConfigurationFiles map[string]string `json:"ConfigurationFiles"`
	DeploymentErrors   string            `json:"DeploymentErrors"`
}

type instancesReply struct {
	Instances     []instanceReply `json:"resourceInstances"`
	EnvironmentID string          `json:"environmentId"`
	ServiceID     string          `json:"serviceId"`
}

type debugReply struct {
	InstanceID string         `json:"instanceId"`
	Resources  map[string]any `json:"resourcesDebug"`
}

type logReply struct {
	Log string `json:"log"`
}

// statusOf is the status as the clients know it.
func statusOf(d workflow.Deployment) string {
	if status := d.Status(); status != rest.StatusModifying {
		return status
	}
	return rest.StatusDeploying
}

// sold is a deployment with what it was bought as.
type sold struct {
	product workflow.Product
	service catalog.Service
	env     catalog.Environment
	plan    catalog.Plan
	version catalog.Version
	sub     catalog.Subscription
	org     account.Organization
	status  string // of the version
}

// soldAs looks up what a deployment was bought as.
func (s *Server) soldAs(c *call, d workflow.Deployment) (out sold, err error) {
	out.product = productOf(d)
	if out.org, err = s.Accounts.Organization(c.ctx(), out.product.OrgID); err != nil {
		return out, err
	}
	if out.product.ServiceID == localService {
		out.service = catalog.Service{ID: localService, Name: "daybreak up", OrgID: account.ProviderOrg}
		out.env = catalog.Environment{ID: localEnvironment, Name: "local", Type: "PRIVATE"}
		out.plan = catalog.Plan{ID: localPlan, Name: d.PlanName, ResourceID: "r-local", ModelID: "sm-local", ModelType: "CUSTOMER_HOSTED", TierType: "CUSTOM_TENANCY"}
		out.status = "Active"
		return out, nil
	}
	if out.service, err = s.Catalog.Service(c.ctx(), d.Product.ServiceID); err != nil {
		return out, err
	}
	if out.env, err = s.Catalog.Environment(c.ctx(), d.Product.ServiceID, d.Product.EnvironmentID); err != nil {
		return out, err
	}
	if out.plan, err = s.Catalog.Plan(c.ctx(), d.Product.ServiceID, d.Product.PlanID); err != nil {
		return out, err
	}
	if out.version, err = s.Catalog.Version(c.ctx(), out.plan, d.Product.Version); err != nil {
		return out, err
	}
	out.status = "Active"
	if out.version.Number == out.plan.Preferred {
		out.status = "Preferred"
	}
	out.sub, err = s.Catalog.Subscription(c.ctx(), d.Product.SubscriptionID)
	return out, err
}

func (s *Server) describeInstance(c *call) (any, error) {
	d, err := s.instance(c)
	if err != nil {
		return nil, err
	}
	return s.instanceView(c, d)
}

func (s *Server) listInstances(c *call) (any, error) {
	service, environment := c.PathValue("serviceId"), c.PathValue("environmentId")
	if service != localService || !c.who.Provider {
		if _, err := s.environment(c, service, environment); err != nil {
			return nil, err
		}
	}
	all, err := s.Engine.All(c.ctx())
	out := instancesReply{Instances: []instanceReply{}, EnvironmentID: environment, ServiceID: service}
	for _, d := range all {
		p := productOf(d)
		if p.ServiceID != service || p.EnvironmentID != environment || !c.owns(p) {
			continue
		}
		view, err := s.instanceView(c, d)
		if err != nil {
			return nil, err
		}
		out.Instances = append(out.Instances, view)
	}
	return out, err
}

// exported are the keys of a plan whose values a customer sees.
func exported(root *spec.Service) map[string]bool {
	keys := map[string]bool{}
	for _, p := range root.Parameters {
		if p.Export {
			keys[p.Key] = true
		}
	}
	for _, o := range root.Terraform.RequiredOutputs {
		if o.Exported {
			keys[o.Key] = true
		}
	}
	return keys
}

// instanceView is all that is said of an instance. Who may write it sees exported
// secrets in the clear, as clients expect; who may only read sees them masked.
func (s *Server) instanceView(c *call, d workflow.Deployment) (instanceReply, error) {
	as, err := s.soldAs(c, d)
	if err != nil {
		return instanceReply{}, err
	}
	view, err := s.Engine.View(c.ctx(), d, c.who.Role.Includes(writes))
	if err != nil {
		return instanceReply{}, err
	}
	plan, files, err := s.Engine.PlanOf(c.ctx(), d.Artifact)
	if err != nil {
		return instanceReply{}, err
	}
	root := plan.Root()
	results := map[string]any{}
	for key := range exported(root) {
		if value, ok := view.Parameters[key]; ok {
			results[key] = value
		}
		if value, ok := view.Outputs[key]; ok {
			results[key] = value
		}
	}
	out := instanceReply{
		CloudProvider: "aws", DefaultSubscription: true, EnvironmentID: as.env.ID, InputParams: view.Parameters, LaunchInputParams: view.Parameters,
		DebugCommands: []string{}, Integrations: []string{}, OrganizationID: as.org.ID, OrganizationName: as.org.Name, ProductTierID: as.plan.ID,
		ProductTierName: as.plan.Name, ProductTierType: as.plan.TierType, EnvironmentName: as.env.Name, ServiceID: as.service.ID, ServiceModelID: as.plan.ModelID,
		ServiceModelName: as.plan.Name, ServiceModelType: as.plan.ModelType, ServiceName: as.service.Name, SubscriptionID: as.sub.ID,
		SubscriptionOwnerName: as.sub.UserName, SubscriptionStatus: cmp.Or(as.sub.Status, catalog.Active), TierVersion: as.product.Version,
		ReleasedAt: text(as.version.ReleaseTime), ReleasedByID: as.version.By, ReleasedByName: as.version.ByName, TierVersionStatus: as.status,
		ResourceID: as.plan.ResourceID, ResourceName: root.Name, ManagedResourceType: "Terraform", DeploymentCellID: cellID, AWSAccountID: s.AccountID,
		ActiveBreakpoints: []activeBreakpoint{},
	}
	if !c.who.Provider {
		out.InputParams = withoutHidden(root, view.Parameters)
		out.LaunchInputParams = out.InputParams
	}
	for _, event := range d.Run.Breakpoints {
		if d.Run.Done || slices.Contains(d.Run.Passed, event) {
			continue
		}
		status := "Pending"
		if d.Run.Held == event {
			status = "Hit"
		}
		out.ActiveBreakpoints = append(out.ActiveBreakpoints, activeBreakpoint{root.Key, event, status})
	}
	out.ResourceSummaries = []resourceVersion{{
		ResourceID: as.plan.ResourceID, ResourceName: root.Key, Version: as.product.Version, LatestVersion: versionText(as.plan), Capabilities: []string{},
		Terraform: terraformDetail{ConfigurationFiles: map[string]string{}, DeploymentErrors: d.Run.Message},
	}}
	if c.who.Provider {
		out.ResourceSummaries[0].Terraform.ConfigurationFiles = stackFiles(root, files)
	}
	out.Result = s.resultOf(d, as, root, view, results)
	out.Result.LaunchInputParams = out.InputParams
	return out, nil
}

// withoutHidden leaves out parameters that the plan does not show.
func withoutHidden(root *spec.Service, values map[string]any) map[string]any {
	out := maps.Clone(values)
	keys := exported(root)
	maps.DeleteFunc(out, func(key string, _ any) bool { return !keys[key] })
	return out
}

func versionText(p catalog.Plan) string {
	if p.Latest == 0 {
		return localVersion
	}
	return catalog.Version{Number: p.Latest}.String()
}

// stackFiles are the stack's templates: not rendered, so that they have no secret.
func stackFiles(root *spec.Service, files map[string]string) map[string]string {
	out := map[string]string{}
	prefix := root.Terraform.Path + "/"
	if root.Terraform.Path == "" {
		prefix = ""
	}
	for name, content := range files {
		if short, ok := strings.CutPrefix(name, prefix); ok && (strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tfvars")) {
			out[short] = content
		}
	}
	return out
}

func (s *Server) resultOf(d workflow.Deployment, as sold, root *spec.Service, view rest.Deployment, results map[string]any) instanceResult {
	modified := d.CreateTime
	if d.Run.Requested.After(modified) {
		modified = d.Run.Requested
	}
	load := "UNKNOWN"
	if status := statusOf(d); status == rest.StatusRunning {
		load = "LOAD_NORMAL"
	} else if status == rest.StatusStopped {
		load = "STOPPED"
	}
	tags := []tag{}
	for _, key := range slices.Sorted(maps.Keys(d.Tags)) {
		tags = append(tags, tag{key, d.Tags[key]})
	}
	return instanceResult{
		ID: d.ID, Status: statusOf(d), StatusDescription: d.Run.Message, Region: d.Region, CloudProvider: "aws", CreatedAt: text(d.CreateTime), LastModifiedAt: text(modified),
		CreatedByUserID: as.product.UserID, CreatedByUserName: as.sub.UserName, NetworkType: "INTERNAL", SubscriptionID: as.sub.ID,
		SubscriptionStatus: cmp.Or(as.sub.Status, catalog.Active), ResourceID: as.plan.ResourceID, TierVersion: as.product.Version,
		VersionDetail: versionDetail{cmp.Or(as.version.Name, as.product.Version), as.product.Version}, ResultParams: results,
		Topology: map[string]topology{as.plan.ResourceID: topologyOf(root, view)}, SupportedOperations: supported(d), LoadStatus: load,
		Active: statusOf(d) == rest.StatusRunning, CustomTags: tags, AWSAccountID: s.AccountID,
	}
}

// supported are the operations that make sense as the instance is now.
func supported(d workflow.Deployment) []operation {
	verbs := []string{"delete"}
	switch {
	case !d.Run.Done:
		return []operation{}
	case d.Stopped:
		verbs = append(verbs, "start")
	case d.Deployed:
		verbs = append(verbs, "modify", "stop", "restart", "upgrade")
	default:
		verbs = append(verbs, "modify")
	}
	out := []operation{}
	for _, verb := range verbs {
		out = append(out, operation{strings.ToUpper(verb), verb, "SYSTEM_WORKFLOW"})
	}
	return out
}

func topologyOf(root *spec.Service, view rest.Deployment) topology {
	out := topology{
		ResourceKey: root.Key, ResourceName: root.Name, ClusterPorts: []int64{}, AllowedIPRanges: []string{}, Main: true, NetworkingType: "INTERNAL",
		AdditionalEndpoints: map[string]clusterEndpoint{}, ResourceType: "Terraform",
	}
	health := "UNKNOWN"
	switch view.Status {
	case rest.StatusRunning:
		health = "HEALTHY"
	case rest.StatusStopped:
		health = "STOPPED"
	}
	for name, e := range view.Endpoints {
		primary := name == "writer"
		for _, planned := range root.Endpoints {
			if planned.Name == name {
				primary = planned.Primary
			}
		}
		out.AdditionalEndpoints[name] = clusterEndpoint{e.Host, []int64{int64(e.Port)}, primary, health, "INTERNAL"}
		if primary {
			out.ClusterEndpoint, out.ClusterPorts = e.Host, []int64{int64(e.Port)}
		}
	}
	return out
}

func (s *Server) debugInstance(c *call) (any, error) {
	d, err := s.instance(c)
	return debugReply{d.ID, map[string]any{}}, err
}

// instanceLog is what Terraform said in the last run, without secrets.
func (s *Server) instanceLog(c *call) (any, error) {
	d, err := s.instance(c)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = s.Engine.Log(c.ctx(), d.Name, false, &b, func() {})
	return logReply{b.String()}, err
}
