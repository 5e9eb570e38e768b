package fleet

import (
	"fmt"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// cellID is the deployment cell of instances: the installation's own region.
const cellID = "hc-embedded"

type accountConfig struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	CloudProviderID string `json:"cloudProviderId"`
	Status          string `json:"status"`
	StatusMessage   string `json:"statusMessage"`
	AWSAccountID    string `json:"awsAccountID"`
}

type accountsReply struct {
	IDs      []string        `json:"ids"`
	Accounts []accountConfig `json:"accountConfigs"`
}

type secret struct {
	EnvironmentType string `json:"environmentType"`
	Name            string `json:"name"`
	Value           string `json:"value"`
}

type secretsReply struct {
	Secrets []secret `json:"secrets"`
}

type secretRequest struct {
	Value string `json:"value"`
}

type auditEvent struct {
	ID              string `json:"id"`
	Message         string `json:"message"`
	Time            string `json:"time"`
	InstanceID      string `json:"instanceId"`
	ResourceName    string `json:"resourceName"`
	ServiceID       string `json:"serviceId"`
	ServiceName     string `json:"serviceName"`
	ServicePlanName string `json:"servicePlanName"`
	ProductTierID   string `json:"productTierId"`
	PlanVersion     string `json:"planVersion"`
	EnvironmentID   string `json:"environmentId"`
	EventSource     string `json:"eventSource"`
	UserID          string `json:"userId"`
	UserName        string `json:"userName"`
	OrgID           string `json:"orgId"`
	OrgName         string `json:"orgName"`
	RoleType        string `json:"roleType"`
	AuthMethod      string `json:"authMethod"`
	IPAddress       string `json:"ipAddress"`
	UserAgent       string `json:"userAgent"`
}

type auditReply struct {
	IDs    []string     `json:"ids"`
	Events []auditEvent `json:"events"`
}

type healthReply struct {
	Status         string                    `json:"status"`
	Message        string                    `json:"message"`
	ServiceID      string                    `json:"serviceID"`
	EnvironmentID  string                    `json:"serviceEnvironmentID"`
	Total          int64                     `json:"totalInstances"`
	Healthy        int64                     `json:"healthyInstances"`
	Unhealthy      int64                     `json:"unhealthyInstances"`
	Unknown        int64                     `json:"unknownInstances"`
	CloudProviders map[string]providerHealth `json:"cloudProviderHealthSummary"`
}

type providerHealth struct {
	CloudProvider string         `json:"cloudProvider"`
	Status        string         `json:"status"`
	Message       string         `json:"message"`
	Total         int64          `json:"totalInstances"`
	Healthy       int64          `json:"healthyInstances"`
	Unhealthy     int64          `json:"unhealthyInstances"`
	Deploying     int64          `json:"deployingInstances"`
	Regions       map[string]any `json:"regionalHealthSummary"`
}

type providerEvent struct {
	EventID     string         `json:"eventID"`
	EventType   string         `json:"eventType"`
	Category    string         `json:"eventCategory"`
	Priority    string         `json:"priority"`
	Scope       string         `json:"scope"`
	AlertType   string         `json:"alertType"`
	Payload     map[string]any `json:"eventPayload"`
	Time        string         `json:"time"`
	ExpiryTime  string         `json:"expiryTime"`
	InstanceID  string         `json:"instanceID"`
	ServiceID   string         `json:"serviceID"`
	Environment string         `json:"serviceEnvironmentID"`
}

type eventsReply struct {
	Events  []providerEvent `json:"events"`
	Summary map[string]any  `json:"eventsSummary"`
}

type hostCluster struct {
	ID              string `json:"id"`
	Key             string `json:"key"`
	Description     string `json:"description"`
	AccountConfigID string `json:"accountConfigId"`
	AccountID       string `json:"accountID"`
	CloudProvider   string `json:"cloudProvider"`
	Region          string `json:"region"`
	RegionID        string `json:"regionId"`
	Status          string `json:"status"`
	Type            string `json:"type"`
	Deployments     int64  `json:"currentNumberOfDeployments"`
	Custom          bool   `json:"isCustomDeployment"`
	HealthStatus    any    `json:"healthStatus,omitempty"`
}

type hostClustersReply struct {
	HostClusters []hostCluster `json:"hostClusters"`
	Token        string        `json:"token"`
}

type channelsReply struct {
	Channels []string `json:"channels"`
}

type domainsReply struct {
	Domains []string `json:"customDomains"`
}

func (s *Server) operationsRoutes() []route {
	return []route{
		{Method: "GET", Path: "/accountconfig/cloudprovider/{name}", Operation: "listAccountConfig", provider: true, role: reads, reply: accountsReply{}, handle: s.accounts},
		{Method: "GET", Path: "/accountconfig/{id}", Operation: "describeAccountConfig", provider: true, role: reads, reply: accountConfig{}, handle: s.account},
		// Clients send this one with a body, which has the cloud provider.
		{Method: "GET", Path: "/fleet/account-configs", Operation: "fleetListAccountConfigs", provider: true, role: reads, reply: accountsReply{}, handle: s.fleetAccounts},
		{Method: "GET", Path: "/cloud-provider/name/{name}", Operation: "getCloudProviderByName", role: reads, reply: "", handle: cloudProvider},
		{Method: "GET", Path: "/environmentType/{environmentType}/secrets", Operation: "listSecrets", provider: true, role: writes, reply: secretsReply{}, handle: s.secrets},
		{Method: "GET", Path: "/environmentType/{environmentType}/secret/{name}", Operation: "getSecret", provider: true, role: writes, reply: secret{}, handle: s.secret},
		{Method: "PUT", Path: "/environmentType/{environmentType}/secret/{name}", Operation: "setSecret", provider: true, role: writes, request: secretRequest{}, handle: s.setSecret},
		{Method: "DELETE", Path: "/environmentType/{environmentType}/secret/{name}", Operation: "deleteSecret", provider: true, role: writes, handle: s.deleteSecret},
		{Method: "GET", Path: "/fleet/audit-events", Operation: "auditEvents", role: reads, reply: auditReply{}, handle: s.auditEvents},
		{Method: "GET", Path: "/fleet/operations/service-health", Operation: "serviceHealth", role: reads, reply: healthReply{}, handle: s.health},
		{Method: "GET", Path: "/fleet/operations/events", Operation: "listEvents", role: reads, reply: eventsReply{}, handle: s.events},
		{Method: "GET", Path: "/fleet/host-clusters", Operation: "listHostClusters", provider: true, role: reads, reply: hostClustersReply{}, handle: s.cells},
		{Method: "GET", Path: "/fleet/host-cluster/{id}", Operation: "describeHostCluster", provider: true, role: reads, reply: hostCluster{}, handle: s.cell},
		{Method: "GET", Path: "/fleet/notification-channel", Operation: "listNotificationChannels", provider: true, role: reads, reply: channelsReply{}, handle: answers(channelsReply{[]string{}})},
		{Method: "GET", Path: "/saas-portal-custom-domain", Operation: "listSaaSPortalCustomDomains", provider: true, role: reads, reply: domainsReply{}, handle: answers(domainsReply{[]string{}})},
		{Method: "GET", Path: "/openapi.json", Operation: "openAPI", open: true, reply: map[string]any{}, handle: func(*call) (any, error) { return s.OpenAPI(), nil }},
	}
}

// answers is for what there can be none of here.
func answers(value any) func(*call) (any, error) {
	return func(*call) (any, error) { return value, nil }
}

func (s *Server) ownAccount() accountConfig {
	return accountConfig{cellAccount, "embedded", "The region of this installation", "aws", "READY", "", s.AccountID}
}

func (s *Server) accounts(c *call) (any, error) {
	return s.accountsOf(c.PathValue("name")), nil
}

func (s *Server) accountsOf(provider string) accountsReply {
	if provider != "aws" && provider != "all" && provider != "" {
		return accountsReply{[]string{}, []accountConfig{}}
	}
	return accountsReply{[]string{cellAccount}, []accountConfig{s.ownAccount()}}
}

func (s *Server) account(c *call) (any, error) {
	if id := c.PathValue("id"); id != cellAccount {
		return nil, notFound("account config", id)
	}
	return s.ownAccount(), nil
}

func (s *Server) fleetAccounts(c *call) (any, error) {
	var req struct {
		CloudProviderName string `json:"cloudProviderName"`
	}
	if c.ContentLength != 0 {
		if err := c.read(&req); err != nil {
			return nil, err
		}
	}
	return s.accountsOf(req.CloudProviderName), nil
}

func cloudProvider(c *call) (any, error) {
	if name := c.PathValue("name"); name != "aws" {
		return nil, notFound("cloud provider", name)
	}
	return "aws", nil
}

func (s *Server) secrets(c *call) (any, error) {
	all, err := s.Catalog.Secrets(c.ctx(), c.PathValue("environmentType"))
	out := secretsReply{[]secret{}}
	for _, name := range sortedKeys(all) {
		out.Secrets = append(out.Secrets, secret{c.PathValue("environmentType"), name, all[name]})
	}
	return out, err
}

func (s *Server) secret(c *call) (any, error) {
	value, err := s.Catalog.Secret(c.ctx(), c.PathValue("environmentType"), c.PathValue("name"))
	return secret{c.PathValue("environmentType"), c.PathValue("name"), value}, err
}

func (s *Server) setSecret(c *call) (any, error) {
	var req secretRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	return nil, s.Catalog.SetSecret(c.ctx(), c.PathValue("environmentType"), c.PathValue("name"), req.Value)
}

func (s *Server) deleteSecret(c *call) (any, error) {
	return nil, s.Catalog.DeleteSecret(c.ctx(), c.PathValue("environmentType"), c.PathValue("name"))
}

// auditLimit is how many events one answer has.
const auditLimit = 1000

func (s *Server) auditEvents(c *call) (any, error) {
	q := c.URL.Query()
	from, to := time.Time{}, time.Now().Add(time.Hour)
	for name, bound := range map[string]*time.Time{"startDate": &from, "endDate": &to} {
		if value := q.Get(name); value != "" {
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, invalid("%s: want a time as 2026-01-02T15:04:05Z", name)
			}
			*bound = t
		}
	}
	is := func(name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }
	events, err := s.Audit.Events(c.ctx(), auditLimit, func(e audit.Event) bool {
		mine := c.who.Provider || e.OrgID == c.who.OrgID || e.Owner == c.who.OrgID
		return mine && e.Method != "GET" && e.Operation != "search" && is("instanceID", e.InstanceID) && is("serviceID", e.ServiceID) && is("userId", e.UserID) &&
			is("orgId", e.OrgID) && is("ipAddress", e.IPAddress) && !e.Time.Before(from) && !e.Time.After(to)
	})
	out := auditReply{[]string{}, []auditEvent{}}
	for _, e := range events {
		view := auditEvent{
			ID: fmt.Sprintf("audit-%d", e.Seq), Message: e.Operation, Time: e.Time.Format(time.RFC3339Nano), InstanceID: e.InstanceID, ServiceID: e.ServiceID,
			EventSource: "Customer", UserID: e.UserID, UserName: e.UserName, OrgID: e.OrgID, OrgName: e.OrgName, RoleType: e.Role, AuthMethod: e.AuthMethod,
			IPAddress: e.IPAddress, UserAgent: e.UserAgent,
		}
		if e.Status >= 400 {
			view.Message = fmt.Sprintf("%s refused: %s", e.Operation, e.Error)
		}
		if !c.who.Provider && e.OrgID != c.who.OrgID {
			view.UserID, view.UserName, view.IPAddress, view.UserAgent = "", "the provider", "", ""
		}
		out.IDs, out.Events = append(out.IDs, view.ID), append(out.Events, view)
	}
	return out, err
}

func (s *Server) health(c *call) (any, error) {
	service, environment := c.URL.Query().Get("serviceID"), c.URL.Query().Get("serviceEnvironmentID")
	if _, err := s.environment(c, service, environment); err != nil {
		return nil, err
	}
	all, err := s.Engine.All(c.ctx())
	out := healthReply{Status: "HEALTHY", ServiceID: service, EnvironmentID: environment, CloudProviders: map[string]providerHealth{}}
	deploying := int64(0)
	for _, d := range all {
		if d.Product.ServiceID != service || d.Product.EnvironmentID != environment || !c.owns(d.Product) {
			continue
		}
		out.Total++
		switch statusOf(d) {
		case rest.StatusRunning, rest.StatusStopped:
			out.Healthy++
		case rest.StatusFailed:
			out.Unhealthy++
		default:
			out.Unknown++
			deploying++
		}
	}
	if out.Unhealthy > 0 {
		out.Status = "UNHEALTHY"
	}
	out.Message = fmt.Sprintf("%d of %d instances are healthy", out.Healthy, out.Total)
	out.CloudProviders["aws"] = providerHealth{"aws", out.Status, out.Message, out.Total, out.Healthy, out.Unhealthy, deploying, map[string]any{}}
	return out, err
}

// events are the failed workflows.
func (s *Server) events(c *call) (any, error) {
	runs, err := s.Engine.Runs(c.ctx(), c.URL.Query().Get("instanceID"))
	out := eventsReply{[]providerEvent{}, map[string]any{"eventsSummary": map[string]int64{}}}
	for _, f := range runs {
		if !f.Run.Failed || !c.owns(f.Product) || c.URL.Query().Get("serviceID") != "" && c.URL.Query().Get("serviceID") != f.Product.ServiceID {
			continue
		}
		out.Events = append(out.Events, providerEvent{
			EventID: workflowID(f), EventType: "FailedDeployment", Category: "InstanceEvent", Priority: "High", Scope: "INTERNAL", AlertType: "Alarm",
			Payload: map[string]any{"message": f.Run.Message, "workflow": workflowID(f)}, Time: text(f.Run.Ended), ExpiryTime: text(f.Run.Ended.AddDate(0, 1, 0)),
			InstanceID: f.Deployment, ServiceID: f.Product.ServiceID, Environment: f.Product.EnvironmentID,
		})
	}
	if len(out.Events) > 0 {
		out.Summary["eventsSummary"] = map[string]int64{"FailedDeployment": int64(len(out.Events))}
	}
	return out, err
}

func (s *Server) cellView(c *call) (hostCluster, error) {
	all, err := s.Engine.All(c.ctx())
	return hostCluster{
		ID: cellID, Key: cellID, Description: "The region of this installation", AccountConfigID: cellAccount, AccountID: s.AccountID, CloudProvider: "aws",
		Region: s.Region, RegionID: s.Region, Status: "RUNNING", Type: "EMBEDDED", Deployments: int64(len(all)),
	}, err
}

func (s *Server) cells(c *call) (any, error) {
	cell, err := s.cellView(c)
	return hostClustersReply{[]hostCluster{cell}, ""}, err
}

func (s *Server) cell(c *call) (any, error) {
	if id := c.PathValue("id"); id != cellID {
		return nil, notFound("deployment cell", id)
	}
	return s.cellView(c)
}
