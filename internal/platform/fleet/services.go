package fleet

import (
	"net/http"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
)

type planSummary struct {
	ProductTierID string `json:"productTierID"`
	Name          string `json:"name"`
	Description   string `json:"description"`
	ModelType     string `json:"modelType"`
	TierType      string `json:"tierType"`
}

type environmentSummary struct {
	ID           string        `json:"id"`
	Name         string        `json:"name"`
	Type         string        `json:"type"`
	Visibility   string        `json:"visibility"`
	SourceID     string        `json:"sourceEnvironmentID,omitempty"`
	ServicePlans []planSummary `json:"servicePlans"`
}

type serviceReply struct {
	ID           string               `json:"id"`
	Name         string               `json:"name"`
	Key          string               `json:"key"`
	Description  string               `json:"description"`
	CreatedAt    string               `json:"createdAt"`
	ProviderID   string               `json:"serviceProviderID"`
	ProviderName string               `json:"serviceProviderName"`
	LogoURL      string               `json:"serviceLogoURL,omitempty"`
	Environments []environmentSummary `json:"serviceEnvironments"`
}

type servicesReply struct {
	IDs      []string       `json:"ids"`
	Services []serviceReply `json:"services"`
}

type environmentReply struct {
	ID                 string            `json:"id"`
	Name               string            `json:"name"`
	Key                string            `json:"key"`
	Description        string            `json:"description"`
	ServiceID          string            `json:"serviceId"`
	Type               string            `json:"type"`
	Visibility         string            `json:"visibility"`
	DeploymentConfigID string            `json:"deploymentConfigId"`
	AutoApprove        bool              `json:"autoApproveSubscription"`
	SourceID           string            `json:"sourceEnvironmentId,omitempty"`
	PublicKey          string            `json:"serviceAuthPublicKey,omitempty"`
	Promotion          []promotionStatus `json:"promotionStatus"`
}

type promotionStatus struct {
	TargetEnvironmentID string `json:"targetEnvironmentID"`
	Status              string `json:"status"`
}

type environmentRequest struct {
	Name               string `json:"name"`
	Description        string `json:"description"`
	DeploymentConfigID string `json:"deploymentConfigId"`
	Type               string `json:"type,omitempty"`
	Visibility         string `json:"visibility,omitempty"`
	SourceID           string `json:"sourceEnvironmentId,omitempty"`
	AutoApprove        bool   `json:"autoApproveSubscription,omitempty"`
	PublicKey          string `json:"serviceAuthPublicKey,omitempty"`
}

type promoteRequest struct {
	ProductTierID      string `json:"productTierId,omitempty"`
	ProductTierVersion string `json:"productTierVersion,omitempty"`
}

type idsReply struct {
	IDs []string `json:"ids"`
}

type deploymentConfigReply struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	InfraRoll   map[string]any `json:"infraRollConfiguration"`
	Priorities  []string       `json:"rolloutPriorityList"`
}

// deploymentConfig is the one that there is.
const deploymentConfig = "dc-default"

func (s *Server) serviceRoutes() []route {
	return []route{
		{Method: "GET", Path: "/service", Operation: "listService", role: reads, reply: servicesReply{}, handle: s.listServices},
		{Method: "GET", Path: "/service/{id}", Operation: "describeService", role: reads, reply: serviceReply{}, handle: s.describeService},
		{Method: "DELETE", Path: "/service/{id}", Operation: "deleteService", provider: true, role: manages, handle: s.deleteService},
		{Method: "GET", Path: "/service/{serviceId}/environment", Operation: "listServiceEnvironment", role: reads, reply: idsReply{}, handle: s.listEnvironments},
		{Method: "POST", Path: "/service/{serviceId}/environment", Operation: "createServiceEnvironment", provider: true, role: writes,
			request: environmentRequest{}, reply: "", handle: s.createEnvironment},
		{Method: "GET", Path: "/service/{serviceId}/environment/{id}", Operation: "describeServiceEnvironment", role: reads, reply: environmentReply{}, handle: s.describeEnvironment},
		{Method: "DELETE", Path: "/service/{serviceId}/environment/{id}", Operation: "deleteServiceEnvironment", provider: true, role: manages, handle: s.deleteEnvironment},
		{Method: "GET", Path: "/service/{serviceId}/environment/{id}/promote", Operation: "promoteServiceEnvironmentStatus", provider: true, role: reads,
			reply: []promotionStatus{}, handle: s.promotion},
		{Method: "POST", Path: "/service/{serviceId}/environment/{id}/promote", Operation: "promoteServiceEnvironment", provider: true, role: writes,
			status: http.StatusAccepted, request: promoteRequest{}, handle: s.promote},
		{Method: "GET", Path: "/deployment-config/{id}", Operation: "describeDeploymentConfig", role: reads, reply: deploymentConfigReply{}, handle: s.deploymentConfig},
	}
}

// serviceView is a service with the environments that the caller sees.
func (s *Server) serviceView(c *call, svc catalog.Service, environments []catalog.Environment) (serviceReply, error) {
	out := serviceReply{
		ID: svc.ID, Name: svc.Name, Key: catalog.Key(svc.Name), Description: svc.Description, CreatedAt: text(svc.CreateTime),
		ProviderID: svc.OrgID, ProviderName: s.providerName(c), LogoURL: svc.LogoURL, Environments: []environmentSummary{},
	}
	for _, e := range environments {
		plans, err := s.Catalog.Plans(c.ctx(), e.ID)
		if err != nil {
			return out, err
		}
		view := environmentSummary{e.ID, e.Name, e.Type, e.Visibility, e.SourceID, []planSummary{}}
		for _, p := range plans {
			view.ServicePlans = append(view.ServicePlans, planSummary{p.ID, p.Name, "", p.ModelType, p.TierType})
		}
		out.Environments = append(out.Environments, view)
	}
	return out, nil
}

func (s *Server) providerName(c *call) string {
	org, err := s.Accounts.Organization(c.ctx(), "org-provider")
	if err != nil {
		return "Provider"
	}
	return org.Name
}

func (s *Server) listServices(c *call) (any, error) {
	all, err := s.Catalog.Services(c.ctx())
	if err != nil {
		return nil, err
	}
	out := servicesReply{IDs: []string{}, Services: []serviceReply{}}
	for _, svc := range all {
		_, environments, err := s.service(c, svc.ID)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		view, err := s.serviceView(c, svc, environments)
		if err != nil {
			return nil, err
		}
		out.IDs, out.Services = append(out.IDs, svc.ID), append(out.Services, view)
	}
	c.about.service = ""
	return out, nil
}

func (s *Server) describeService(c *call) (any, error) {
	svc, environments, err := s.service(c, c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return s.serviceView(c, svc, environments)
}

func (s *Server) deleteService(c *call) (any, error) {
	return nil, s.Catalog.DeleteService(c.ctx(), c.PathValue("id"))
}

func (s *Server) listEnvironments(c *call) (any, error) {
	_, environments, err := s.service(c, c.PathValue("serviceId"))
	out := idsReply{IDs: []string{}}
	for _, e := range environments {
		out.IDs = append(out.IDs, e.ID)
	}
	return out, err
}

func (s *Server) createEnvironment(c *call) (any, error) {
	var req environmentRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	if req.DeploymentConfigID != "" && req.DeploymentConfigID != deploymentConfig {
		return nil, notFound("deployment config", req.DeploymentConfigID)
	}
	if req.Type == "" {
		req.Type = "DEV"
	}
	e, err := s.Catalog.CreateEnvironment(c.ctx(), catalog.Environment{
		ServiceID: c.PathValue("serviceId"), Name: req.Name, Description: req.Description, Type: req.Type, Visibility: req.Visibility,
		SourceID: req.SourceID, AutoApprove: req.AutoApprove, PublicKey: req.PublicKey,
	})
	return e.ID, err
}

func (s *Server) describeEnvironment(c *call) (any, error) {
	e, err := s.environment(c, c.PathValue("serviceId"), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out := environmentReply{
		ID: e.ID, Name: e.Name, Key: catalog.Key(e.Name), Description: e.Description, ServiceID: e.ServiceID, Type: e.Type, Visibility: e.Visibility,
		DeploymentConfigID: deploymentConfig, AutoApprove: e.AutoApprove, SourceID: e.SourceID, PublicKey: e.PublicKey, Promotion: []promotionStatus{},
	}
	if c.who.Provider {
		out.Promotion, err = s.promotionOf(c, e)
	}
	return out, err
}

func (s *Server) deleteEnvironment(c *call) (any, error) {
	return nil, s.Catalog.DeleteEnvironment(c.ctx(), c.PathValue("serviceId"), c.PathValue("id"))
}

func (s *Server) promotionOf(c *call, e catalog.Environment) ([]promotionStatus, error) {
	targets, inSync, err := s.Catalog.Targets(c.ctx(), e)
	out := []promotionStatus{}
	for i, target := range targets {
		status := "OUT_OF_SYNC"
		if inSync[i] {
			status = "IN_SYNC"
		}
		out = append(out, promotionStatus{target.ID, status})
	}
	return out, err
}

func (s *Server) promotion(c *call) (any, error) {
	e, err := s.environment(c, c.PathValue("serviceId"), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return s.promotionOf(c, e)
}

func (s *Server) promote(c *call) (any, error) {
	var req promoteRequest
	if c.ContentLength != 0 {
		if err := c.read(&req); err != nil {
			return nil, err
		}
	}
	e, err := s.environment(c, c.PathValue("serviceId"), c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, s.Catalog.Promote(c.ctx(), e, req.ProductTierID, req.ProductTierVersion)
}

func (s *Server) deploymentConfig(c *call) (any, error) {
	if id := c.PathValue("id"); id != "default" && id != deploymentConfig {
		return nil, notFound("deployment config", id)
	}
	return deploymentConfigReply{deploymentConfig, "default", "The deployment configuration of this installation", map[string]any{}, []string{}}, nil
}
