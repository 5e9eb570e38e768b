package fleet

import (
	"cmp"
	"fmt"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
)

type planReply struct {
	AutoApprove         bool            `json:"AutoApproveSubscription"`
	APIVersion          string          `json:"apiVersion"`
	DeploymentConfigID  string          `json:"deploymentConfigId"`
	Disabled            bool            `json:"isProductTierDisabled"`
	LatestMajorVersion  string          `json:"latestMajorVersion"`
	ModelType           string          `json:"modelType"`
	Description         string          `json:"productTierDescription"`
	Documentation       string          `json:"productTierDocumentation"`
	ProductTierID       string          `json:"productTierId"`
	ProductTierKey      string          `json:"productTierKey"`
	ProductTierName     string          `json:"productTierName"`
	PlanDescription     string          `json:"productTierPlanDescription"`
	Pricing             map[string]any  `json:"productTierPricing"`
	Support             string          `json:"productTierSupport"`
	APIDescription      string          `json:"serviceApiDescription"`
	APIID               string          `json:"serviceApiId"`
	EnvironmentID       string          `json:"serviceEnvironmentId"`
	ModelDescription    string          `json:"serviceModelDescription"`
	ModelID             string          `json:"serviceModelId"`
	ModelName           string          `json:"serviceModelName"`
	TierType            string          `json:"tierType"`
	VersionSetStatus    string          `json:"versionSetStatus"`
	HasPendingChanges   bool            `json:"hasPendingChanges"`
	AWSRegions          []string        `json:"awsRegions"`
	ProductTierFeatures map[string]bool `json:"productTierFeatures"`
	ServiceFeatures     []string        `json:"serviceModelFeatures"`
}

type plansReply struct {
	ServicePlans []planReply `json:"servicePlans"`
}

type tierReply struct {
	ID                 string            `json:"id"`
	Name               string            `json:"name"`
	Key                string            `json:"key"`
	Description        string            `json:"description"`
	Documentation      string            `json:"documentation"`
	PlanDescription    string            `json:"planDescription"`
	Support            string            `json:"support"`
	Pricing            map[string]any    `json:"pricing"`
	DeletionProtection bool              `json:"enableDeletionProtection"`
	Disabled           bool              `json:"isDisabled"`
	ServiceID          string            `json:"serviceId"`
	ServiceModelID     string            `json:"serviceModelId"`
	TierType           string            `json:"tierType"`
	APIGroups          map[string]string `json:"apiGroups"`
	AWSRegions         []string          `json:"awsRegions"`
	EnabledFeatures    []string          `json:"enabledFeatures"`
	Features           map[string]bool   `json:"features"`
}

type modelReply struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Key         string   `json:"key"`
	Description string   `json:"description"`
	ModelType   string   `json:"modelType"`
	APIID       string   `json:"serviceApiId"`
	ServiceID   string   `json:"serviceId"`
	AccountIDs  []string `json:"accountConfigIds"`
	Features    []string `json:"features"`
	Tiers       []string `json:"productTiers"`
}

type resourceSummary struct {
	ID                  string `json:"id"`
	Name                string `json:"name"`
	Description         string `json:"description"`
	IsExternal          bool   `json:"isExternal"`
	URLKey              string `json:"urlKey"`
	ManagedResourceType string `json:"managedResourceType"`
}

type versionReply struct {
	Version         string            `json:"version"`
	Name            string            `json:"name"`
	Description     string            `json:"description"`
	Status          string            `json:"status"`
	Type            string            `json:"type"`
	BaseVersion     string            `json:"baseVersion"`
	ProductTierID   string            `json:"productTierId"`
	ServiceID       string            `json:"serviceId"`
	ServiceModelID  string            `json:"serviceModelId"`
	CreatedAt       string            `json:"createdAt"`
	CreatedBy       string            `json:"createdBy"`
	ReleasedAt      string            `json:"releasedAt"`
	ReleasedBy      string            `json:"releasedBy"`
	UpdatedAt       string            `json:"updatedAt"`
	Features        map[string]bool   `json:"features"`
	EnabledFeatures []string          `json:"enabledFeatures"`
	Resources       []resourceSummary `json:"resources"`
	InstanceCount   int64             `json:"instanceCount"`
	ReleaseNotes    string            `json:"releaseNotes"`
}

type versionsReply struct {
	Versions []versionReply `json:"tierVersionSets"`
}

type versionChange struct {
	Name string `json:"name"`
}

type releaseRequest struct {
	DryRun         bool   `json:"dryRun,omitempty"`
	IsPreferred    bool   `json:"isPreferred,omitempty"`
	ProductTierID  string `json:"productTierId,omitempty"`
	VersionSetName string `json:"versionSetName,omitempty"`
	VersionSetType string `json:"versionSetType,omitempty"`
}

type resourceReply struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Key           string         `json:"key"`
	Description   string         `json:"description"`
	Internal      bool           `json:"internal"`
	IsDeprecated  bool           `json:"isDeprecated"`
	ProductTierID string         `json:"productTierId"`
	ResourceType  string         `json:"resourceType"`
	ServiceID     string         `json:"serviceId"`
	Terraform     map[string]any `json:"terraformConfigurations"`
}

type resourcesReply struct {
	IDs       []string        `json:"ids"`
	Resources []resourceReply `json:"resources"`
}

type inputParameter struct {
	ID           string            `json:"id"`
	Key          string            `json:"key"`
	Name         string            `json:"name"`
	Description  string            `json:"description"`
	Type         string            `json:"type"`
	Modifiable   bool              `json:"modifiable"`
	Required     bool              `json:"required"`
	IsList       bool              `json:"isList"`
	ResourceID   string            `json:"resourceId"`
	ServiceID    string            `json:"serviceId"`
	DefaultValue *string           `json:"defaultValue,omitempty"`
	HasOptions   bool              `json:"hasOptions"`
	Options      []string          `json:"options,omitempty"`
	Regex        string            `json:"regex,omitempty"`
	Limits       map[string]string `json:"limits,omitempty"`
}

type inputParametersReply struct {
	IDs        []string         `json:"ids"`
	Parameters []inputParameter `json:"inputParameters"`
}

type outputParameter struct {
	ID          string `json:"id"`
	Key         string `json:"key"`
	Name        string `json:"name"`
	Description string `json:"description"`
	ResourceID  string `json:"resourceId"`
	ServiceID   string `json:"serviceId"`
}

type outputParametersReply struct {
	IDs        []string          `json:"ids"`
	Parameters []outputParameter `json:"outputParameters"`
}

type pendingReply struct {
	ID        string         `json:"id"`
	ServiceID string         `json:"serviceId"`
	Changes   map[string]any `json:"resourceChangeSets"`
}

func (s *Server) planRoutes() []route {
	version := "/service/{serviceId}/productTier/{productTierId}/version-set"
	return []route{
		{Method: "GET", Path: "/service/{serviceId}/environment/{environmentId}/service-plan", Operation: "listServicePlans", role: reads, reply: plansReply{}, handle: s.listPlans},
		{Method: "GET", Path: "/service/{serviceId}/product-tier/{id}", Operation: "describeProductTier", role: reads, reply: tierReply{}, handle: s.describePlan},
		{Method: "DELETE", Path: "/service/{serviceId}/product-tier/{id}", Operation: "deleteProductTier", provider: true, role: manages, handle: s.deletePlan},
		{Method: "GET", Path: "/service/{serviceId}/model/{id}", Operation: "describeServiceModel", role: reads, reply: modelReply{}, handle: s.describeModel},
		{Method: "GET", Path: version, Operation: "listTierVersionSets", role: reads, reply: versionsReply{}, handle: s.listVersions},
		{Method: "GET", Path: version + "/{version}", Operation: "describeTierVersionSet", role: reads, reply: versionReply{}, handle: s.describeVersion},
		{Method: "PATCH", Path: version + "/{version}", Operation: "updateTierVersionSet", provider: true, role: writes, request: versionChange{}, reply: versionReply{}, handle: s.renameVersion},
		{Method: "PATCH", Path: version + "/{version}/promote", Operation: "promoteTierVersionSet", provider: true, role: writes, reply: versionReply{}, handle: s.preferVersion},
		{Method: "POST", Path: "/service/{serviceId}/service-api/{id}/release", Operation: "releaseServiceAPI", provider: true, role: writes, request: releaseRequest{}, handle: s.release},
		{Method: "GET", Path: "/service/{serviceId}/service-api/{id}/all-pending-changes", Operation: "describePendingChanges", provider: true, role: reads, reply: pendingReply{}, handle: s.pending},
		{Method: "GET", Path: "/service/{serviceId}/producttier/{productTierId}/resource", Operation: "listResources", role: reads, reply: resourcesReply{}, handle: s.listResources},
		{Method: "GET", Path: "/service/{serviceId}/resource/{id}", Operation: "describeResource", role: reads, reply: resourceReply{}, handle: s.describeResource},
		{Method: "GET", Path: "/service/{serviceId}/resource/{resourceId}/input-parameter", Operation: "listInputParameter", role: reads, reply: inputParametersReply{}, handle: s.inputParameters},
		{Method: "GET", Path: "/service/{serviceId}/resource/{resourceId}/output-parameter", Operation: "listOutputParameter", role: reads, reply: outputParametersReply{}, handle: s.outputParameters},
	}
}

const planText = "A service plan of this installation"

func (s *Server) listPlans(c *call) (any, error) {
	e, err := s.environment(c, c.PathValue("serviceId"), c.PathValue("environmentId"))
	if err != nil {
		return nil, err
	}
	plans, err := s.Catalog.Plans(c.ctx(), e.ID)
	out := plansReply{ServicePlans: []planReply{}}
	for _, p := range plans {
		status := "Pending"
		if p.Preferred > 0 {
			status = "Preferred"
		}
		out.ServicePlans = append(out.ServicePlans, planReply{
			AutoApprove: e.AutoApprove, APIVersion: "v1", DeploymentConfigID: deploymentConfig, LatestMajorVersion: fmt.Sprintf("%d.0", p.Latest),
			ModelType: p.ModelType, Description: planText, ProductTierID: p.ID, ProductTierKey: catalog.Key(p.Name), ProductTierName: p.Name,
			PlanDescription: planText, Pricing: map[string]any{}, APIDescription: p.Name, APIID: p.APIID, EnvironmentID: e.ID,
			ModelDescription: p.Name, ModelID: p.ModelID, ModelName: p.Name, TierType: p.TierType, VersionSetStatus: status,
			HasPendingChanges: p.Pending != nil, AWSRegions: []string{s.Region}, ProductTierFeatures: map[string]bool{}, ServiceFeatures: []string{},
		})
	}
	return out, err
}

func (s *Server) describePlan(c *call) (any, error) {
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out := tierReply{
		ID: p.ID, Name: p.Name, Key: catalog.Key(p.Name), Description: planText, PlanDescription: planText, Pricing: map[string]any{}, ServiceID: p.ServiceID,
		ServiceModelID: p.ModelID, TierType: p.TierType, APIGroups: map[string]string{}, AWSRegions: []string{s.Region}, EnabledFeatures: []string{}, Features: map[string]bool{},
	}
	if p.Latest > 0 {
		v, err := s.Catalog.Version(c.ctx(), p, "latest")
		if err != nil {
			return nil, err
		}
		out.APIGroups[p.ResourceID] = v.ResourceKey
	}
	return out, nil
}

func (s *Server) deletePlan(c *call) (any, error) {
	return nil, s.Catalog.DeletePlan(c.ctx(), c.PathValue("serviceId"), c.PathValue("id"))
}

func (s *Server) describeModel(c *call) (any, error) {
	found, err := s.Catalog.PlanOfModel(c.ctx(), c.PathValue("serviceId"), c.PathValue("id"))
	p, err := s.visible(c, found, err)
	return modelReply{
		p.ModelID, p.Name, catalog.Key(p.Name), p.Name, p.ModelType, p.APIID, p.ServiceID, []string{cellAccount}, []string{}, []string{p.ID},
	}, err
}

func (s *Server) versionView(c *call, p catalog.Plan, v catalog.Version) (versionReply, error) {
	status := "Active"
	if v.Number == p.Preferred {
		status = "Preferred"
	}
	out := versionReply{
		Version: v.String(), Name: v.Name, Description: v.Description, Status: status, Type: "Major", BaseVersion: v.String(), ProductTierID: p.ID,
		ServiceID: p.ServiceID, ServiceModelID: p.ModelID, CreatedAt: text(v.ReleaseTime), CreatedBy: v.ByName, ReleasedAt: text(v.ReleaseTime), ReleasedBy: v.ByName,
		UpdatedAt: text(v.ChangeTime), Features: map[string]bool{}, EnabledFeatures: []string{},
		Resources:    []resourceSummary{{p.ResourceID, v.ResourceName, v.ResourceName, false, v.ResourceKey, "Terraform"}},
		ReleaseNotes: v.Content.Origin,
	}
	all, err := s.Engine.All(c.ctx())
	for _, d := range all {
		if d.Product.PlanID == p.ID && d.Product.Version == out.Version && c.owns(d.Product) {
			out.InstanceCount++
		}
	}
	return out, err
}

func (s *Server) listVersions(c *call) (any, error) {
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("productTierId"))
	if err != nil {
		return nil, err
	}
	versions, err := s.Catalog.Versions(c.ctx(), p.ID)
	if err != nil {
		return nil, err
	}
	out := versionsReply{Versions: []versionReply{}}
	for _, v := range versions {
		view, err := s.versionView(c, p, v)
		if err != nil {
			return nil, err
		}
		out.Versions = append(out.Versions, view)
	}
	return out, nil
}

// version is that of the path.
func (s *Server) version(c *call) (catalog.Plan, catalog.Version, error) {
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("productTierId"))
	if err != nil {
		return p, catalog.Version{}, err
	}
	v, err := s.Catalog.Version(c.ctx(), p, c.PathValue("version"))
	return p, v, err
}

func (s *Server) describeVersion(c *call) (any, error) {
	p, v, err := s.version(c)
	if err != nil {
		return nil, err
	}
	return s.versionView(c, p, v)
}

func (s *Server) renameVersion(c *call) (any, error) {
	var req versionChange
	if err := c.read(&req); err != nil {
		return nil, err
	}
	p, v, err := s.version(c)
	if err != nil {
		return nil, err
	}
	if v, err = s.Catalog.RenameVersion(c.ctx(), v, req.Name); err != nil {
		return nil, err
	}
	return s.versionView(c, p, v)
}

func (s *Server) preferVersion(c *call) (any, error) {
	p, v, err := s.version(c)
	if err != nil {
		return nil, err
	}
	if err := s.Catalog.Prefer(c.ctx(), p.ID, v.Number); err != nil {
		return nil, err
	}
	p.Preferred = v.Number
	return s.versionView(c, p, v)
}

func (s *Server) release(c *call) (any, error) {
	var req releaseRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	p, err := s.Catalog.PlanOfAPI(c.ctx(), c.PathValue("serviceId"), c.PathValue("id"))
	if err != nil || req.DryRun {
		return nil, err
	}
	r := catalog.Release{Name: req.VersionSetName, Description: req.VersionSetName, Preferred: req.IsPreferred, By: c.who.UserID, ByName: c.who.Name}
	if p.Pending != nil {
		plan, _, err := s.Engine.PlanOf(c.ctx(), p.Pending.Artifact)
		if err != nil {
			return nil, err
		}
		r.ResourceName, r.ResourceKey = plan.Root().Name, plan.Root().Key
	}
	_, err = s.Catalog.Release(c.ctx(), p.ID, r)
	return nil, err
}

func (s *Server) pending(c *call) (any, error) {
	p, err := s.Catalog.PlanOfAPI(c.ctx(), c.PathValue("serviceId"), c.PathValue("id"))
	out := pendingReply{p.APIID, p.ServiceID, map[string]any{}}
	if p.Pending != nil {
		out.Changes[p.ResourceID] = map[string]any{
			"overallResourceStatus": "MODIFIED", "categorizedResourceChanges": map[string]any{}, "resourceName": p.Name,
		}
	}
	return out, err
}

// rootOf is the service that customers ask for, in a version of a plan.
func (s *Server) rootOf(c *call, p catalog.Plan, version string) (*spec.Service, catalog.Version, error) {
	v, err := s.Catalog.Version(c.ctx(), p, cmp.Or(version, "preferred"))
	if err != nil {
		return nil, v, err
	}
	plan, _, err := s.Engine.PlanOf(c.ctx(), v.Content.Artifact)
	if err != nil {
		return nil, v, err
	}
	return plan.Root(), v, nil
}

func (s *Server) resourceView(c *call, p catalog.Plan, version string) (resourceReply, error) {
	root, v, err := s.rootOf(c, p, version)
	if err != nil {
		return resourceReply{}, err
	}
	outputs := []map[string]any{}
	for _, o := range root.Terraform.RequiredOutputs {
		outputs = append(outputs, map[string]any{"key": o.Key, "exported": o.Exported})
	}
	terraform := map[string]any{"terraformPath": "/" + root.Terraform.Path, "requiredOutputs": outputs}
	if g := root.Terraform.Git; g != nil && c.who.Provider {
		terraform["gitConfiguration"] = map[string]any{"repositoryUrl": withoutCredentials(g.RepositoryURL), "referenceName": g.Reference, "commitSHA": v.Content.Commit}
	}
	return resourceReply{
		ID: p.ResourceID, Name: root.Name, Key: root.Key, Description: root.Name, ProductTierID: p.ID, ResourceType: "Terraform", ServiceID: p.ServiceID,
		Terraform: map[string]any{"aws": terraform},
	}, nil
}

func (s *Server) listResources(c *call) (any, error) {
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("productTierId"))
	if err != nil {
		return nil, err
	}
	view, err := s.resourceView(c, p, c.URL.Query().Get("ProductTierVersion"))
	return resourcesReply{[]string{p.ResourceID}, []resourceReply{view}}, err
}

func (s *Server) resource(c *call, id string) (catalog.Plan, error) {
	found, err := s.Catalog.PlanOfResource(c.ctx(), c.PathValue("serviceId"), id)
	return s.visible(c, found, err)
}

func (s *Server) describeResource(c *call) (any, error) {
	p, err := s.resource(c, c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return s.resourceView(c, p, c.URL.Query().Get("ProductTierVersion"))
}

func (s *Server) inputParameters(c *call) (any, error) {
	p, err := s.resource(c, c.PathValue("resourceId"))
	if err != nil {
		return nil, err
	}
	root, _, err := s.rootOf(c, p, c.URL.Query().Get("ProductTierVersion"))
	if err != nil {
		return nil, err
	}
	out := inputParametersReply{[]string{}, []inputParameter{}}
	for _, param := range root.Parameters {
		view := inputParameter{
			ID: p.ResourceID + "-" + param.Key, Key: param.Key, Name: cmp.Or(param.Name, param.Key), Description: param.Description, Type: string(param.Type),
			Modifiable: param.Modifiable, Required: param.Required, ResourceID: p.ResourceID, ServiceID: p.ServiceID, DefaultValue: param.Default,
			HasOptions: len(param.Options) > 0, Options: param.Options, Regex: param.Regex, Limits: map[string]string{},
		}
		for name, bound := range map[string]*float64{"min": param.Min, "max": param.Max, "minLength": param.MinLength, "maxLength": param.MaxLength} {
			if bound != nil {
				view.Limits[name] = fmt.Sprint(*bound)
			}
		}
		out.IDs, out.Parameters = append(out.IDs, view.ID), append(out.Parameters, view)
	}
	return out, nil
}

func (s *Server) outputParameters(c *call) (any, error) {
	p, err := s.resource(c, c.PathValue("resourceId"))
	if err != nil {
		return nil, err
	}
	root, _, err := s.rootOf(c, p, c.URL.Query().Get("ProductTierVersion"))
	if err != nil {
		return nil, err
	}
	out := outputParametersReply{[]string{}, []outputParameter{}}
	for _, o := range root.Terraform.RequiredOutputs {
		view := outputParameter{p.ResourceID + "-out-" + o.Key, o.Key, o.Key, "Output " + o.Key + " of the stack", p.ResourceID, p.ServiceID}
		out.IDs, out.Parameters = append(out.IDs, view.ID), append(out.Parameters, view)
	}
	return out, nil
}
