package fleet

import (
	"maps"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

type searchRequest struct {
	Query   string `json:"query"`
	Filters *struct {
		ResourceInstance *struct {
			Tags []struct {
				Key    string   `json:"key"`
				Value  string   `json:"value"`
				Values []string `json:"values"`
			} `json:"tags"`
		} `json:"resourceInstance"`
	} `json:"filters,omitempty"`
}

type instanceRecord struct {
	ID                  string `json:"id"`
	Status              string `json:"status"`
	StatusDescription   string `json:"statusDescription"`
	Description         string `json:"description"`
	CloudProvider       string `json:"cloudProvider"`
	RegionCode          string `json:"regionCode"`
	ResourceID          string `json:"resourceId"`
	ResourceName        string `json:"resourceName"`
	ProductTierID       string `json:"productTierId"`
	ProductTierName     string `json:"productTierName"`
	ProductTierVersion  string `json:"productTierVersion"`
	ServiceID           string `json:"serviceId"`
	ServiceName         string `json:"serviceName"`
	EnvironmentID       string `json:"serviceEnvironmentId"`
	EnvironmentName     string `json:"serviceEnvironmentName"`
	EnvironmentType     string `json:"serviceEnvironmentType"`
	SubscriptionID      string `json:"subscriptionId"`
	CustomTags          []tag  `json:"customTags"`
	ManagedResourceType string `json:"managedResourceType"`
}

type serviceRecord struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type planRecord struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	DeploymentType  string `json:"deploymentType"`
	TenancyType     string `json:"tenancyType"`
	ReleasedAt      string `json:"releasedAt"`
	ServiceID       string `json:"serviceId"`
	ServiceName     string `json:"serviceName"`
	EnvironmentID   string `json:"serviceEnvironmentId"`
	EnvironmentName string `json:"serviceEnvironmentName"`
	EnvironmentType string `json:"serviceEnvironmentType"`
	Version         string `json:"version"`
	VersionName     string `json:"versionName"`
	VersionStatus   string `json:"versionSetStatus"`
}

type subscriptionRecord struct {
	ID              string `json:"id"`
	OrgID           string `json:"orgID"`
	ProductTierID   string `json:"productTierID"`
	RootUserEmail   string `json:"rootUserEmail"`
	RootUserID      string `json:"rootUserID"`
	RootUserName    string `json:"rootUserName"`
	ServiceID       string `json:"serviceID"`
	ServiceName     string `json:"serviceName"`
	EnvironmentID   string `json:"serviceEnvironmentID"`
	EnvironmentName string `json:"serviceEnvironmentName"`
	EnvironmentType string `json:"serviceEnvironmentType"`
	PlanName        string `json:"servicePlanName"`
	Status          string `json:"status"`
}

type upgradeRecord struct {
	ID              string `json:"id"`
	NotifyCustomer  bool   `json:"notifyCustomer"`
	ProductTierID   string `json:"productTierID"`
	ProductTierName string `json:"productTierName"`
	ServiceID       string `json:"serviceId"`
	ServiceName     string `json:"serviceName"`
	EnvironmentID   string `json:"serviceEnvironmentId"`
	EnvironmentName string `json:"serviceEnvironmentName"`
	EnvironmentType string `json:"serviceEnvironmentType"`
	Status          string `json:"status"`
}

type resourceRecord struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Description     string `json:"description"`
	ProductTierID   string `json:"productTierId"`
	ProductTierName string `json:"productTierName"`
	ResourceType    string `json:"resourceType"`
	ServiceAPIID    string `json:"serviceApiId"`
	ServiceModelID  string `json:"serviceModelId"`
	ServiceID       string `json:"serviceId"`
	ServiceName     string `json:"serviceName"`
	EnvironmentID   string `json:"serviceEnvironmentId"`
	EnvironmentName string `json:"serviceEnvironmentName"`
	EnvironmentType string `json:"serviceEnvironmentType"`
}

type userRecord struct {
	ID       string `json:"id"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	OrgName  string `json:"orgName"`
	External bool   `json:"external"`
}

type searchReply struct {
	Instances     []instanceRecord     `json:"resourceInstanceResults"`
	Services      []serviceRecord      `json:"serviceResults"`
	Plans         []planRecord         `json:"servicePlanResults"`
	Subscriptions []subscriptionRecord `json:"subscriptionResults"`
	Upgrades      []upgradeRecord      `json:"upgradePathResults"`
	Resources     []resourceRecord     `json:"resourceResults"`
	Users         []userRecord         `json:"userResults"`
}

// matcher is the text after the colon: an id, its beginning, or a name.
type matcher string

// order sorts those that match: the exact id first. It returns -1 for no match.
func (m matcher) order(id, name string) int {
	text := strings.ToLower(string(m))
	switch {
	case text == strings.ToLower(id):
		return 0
	case text == strings.ToLower(name):
		return 1
	case strings.HasPrefix(strings.ToLower(id), text):
		return 2
	case text != "" && strings.Contains(strings.ToLower(name), text):
		return 3
	}
	return -1
}

// pick returns what matches, best first.
func pick[T any](m matcher, all []T, of func(T) (id, name string)) []T {
	out := []T{}
	for order := range 4 {
		for _, item := range all {
			if id, name := of(item); m.order(id, name) == order {
				out = append(out, item)
			}
		}
	}
	return out
}

func (s *Server) search(c *call) (any, error) {
	var req searchRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	kind, rest, ok := strings.Cut(req.Query, ":")
	if !ok {
		return nil, invalid("query %q: want a kind, a colon and an id or name, as resourceinstance:instance-", req.Query)
	}
	m := matcher(strings.TrimSpace(rest))
	out := searchReply{[]instanceRecord{}, []serviceRecord{}, []planRecord{}, []subscriptionRecord{}, []upgradeRecord{}, []resourceRecord{}, []userRecord{}}
	var err error
	switch strings.ToLower(kind) {
	case "resourceinstance":
		out.Instances, err = s.searchInstances(c, m, req)
	case "service", "serviceplan", "resource":
		err = s.searchProducts(c, strings.ToLower(kind), m, &out)
	case "subscription":
		out.Subscriptions, err = s.searchSubscriptions(c, m)
	case "upgradepath":
		out.Upgrades, err = s.searchUpgrades(c, m)
	case "user":
		out.Users, err = s.searchUsers(c, m)
	case "deploymentcell", "workflow", "snapshot", "notification":
		// There is nothing of these to be found.
	default:
		return nil, invalid("query %q: there is no kind %q", req.Query, kind)
	}
	return out, err
}

func (s *Server) searchInstances(c *call, m matcher, req searchRequest) ([]instanceRecord, error) {
	all, err := s.Engine.All(c.ctx())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(d workflow.Deployment) bool { return !c.owns(productOf(d)) || !tagged(d, req) })
	out := []instanceRecord{}
	for _, d := range pick(m, all, func(d workflow.Deployment) (string, string) { return d.ID, d.Name }) {
		as, err := s.soldAs(c, d)
		if isNotFound(err) {
			continue // its product went away meanwhile
		}
		if err != nil {
			return nil, err
		}
		tags := []tag{}
		for _, key := range slices.Sorted(maps.Keys(d.Tags)) {
			tags = append(tags, tag{key, d.Tags[key]})
		}
		name := as.version.ResourceName
		if name == "" {
			name = d.Name
		}
		out = append(out, instanceRecord{
			ID: d.ID, Status: statusOf(d), StatusDescription: d.Run.Message, Description: d.Name, CloudProvider: "aws", RegionCode: d.Region,
			ResourceID: as.plan.ResourceID, ResourceName: name, ProductTierID: as.plan.ID, ProductTierName: as.plan.Name, ProductTierVersion: as.product.Version,
			ServiceID: as.service.ID, ServiceName: as.service.Name, EnvironmentID: as.env.ID, EnvironmentName: as.env.Name, EnvironmentType: as.env.Type,
			SubscriptionID: as.sub.ID, CustomTags: tags, ManagedResourceType: "Terraform",
		})
	}
	return out, nil
}

// tagged reports whether an instance has every tag that is asked for.
func tagged(d workflow.Deployment, req searchRequest) bool {
	if req.Filters == nil || req.Filters.ResourceInstance == nil {
		return true
	}
	for _, want := range req.Filters.ResourceInstance.Tags {
		value, ok := d.Tags[want.Key]
		if !ok || want.Value != "" && value != want.Value || len(want.Values) > 0 && !slices.Contains(want.Values, value) {
			return false
		}
	}
	return true
}

// searchProducts walks what the caller sees of the catalog.
func (s *Server) searchProducts(c *call, kind string, m matcher, out *searchReply) error {
	services, err := s.Catalog.Services(c.ctx())
	if err != nil {
		return err
	}
	var found []serviceRecord
	var plans []planRecord
	var resources []resourceRecord
	for _, svc := range services {
		_, environments, err := s.service(c, svc.ID)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		found = append(found, serviceRecord{svc.ID, svc.Name, svc.Description})
		for _, e := range environments {
			if kind == "service" {
				break
			}
			all, err := s.Catalog.Plans(c.ctx(), e.ID)
			if err != nil {
				return err
			}
			for _, p := range all {
				versions, err := s.Catalog.Versions(c.ctx(), p.ID)
				if err != nil {
					return err
				}
				for i, v := range versions {
					if i == 0 {
						resources = append(resources, resourceOf(svc, e, p, v))
					}
					plans = append(plans, planOf(svc, e, p, v))
				}
			}
		}
	}
	c.about.service = ""
	switch kind {
	case "service":
		out.Services = pick(m, found, func(r serviceRecord) (string, string) { return r.ID, r.Name })
	case "serviceplan":
		out.Plans = pick(m, plans, func(r planRecord) (string, string) { return r.ID, r.Name })
	default:
		out.Resources = pick(m, resources, func(r resourceRecord) (string, string) { return r.ID, r.Name })
	}
	return nil
}

func planOf(svc catalog.Service, e catalog.Environment, p catalog.Plan, v catalog.Version) planRecord {
	status := "Active"
	if v.Number == p.Preferred {
		status = "Preferred"
	}
	return planRecord{
		ID: p.ID, Name: p.Name, DeploymentType: p.ModelType, TenancyType: p.TierType, ReleasedAt: text(v.ReleaseTime), ServiceID: svc.ID, ServiceName: svc.Name,
		EnvironmentID: e.ID, EnvironmentName: e.Name, EnvironmentType: e.Type, Version: v.String(), VersionName: v.Name, VersionStatus: status,
	}
}

func resourceOf(svc catalog.Service, e catalog.Environment, p catalog.Plan, v catalog.Version) resourceRecord {
	return resourceRecord{
		ID: p.ResourceID, Name: v.ResourceName, ProductTierID: p.ID, ProductTierName: p.Name, ResourceType: "Terraform", ServiceAPIID: p.APIID, ServiceModelID: p.ModelID,
		ServiceID: svc.ID, ServiceName: svc.Name, EnvironmentID: e.ID, EnvironmentName: e.Name, EnvironmentType: e.Type,
	}
}

func (s *Server) searchSubscriptions(c *call, m matcher) ([]subscriptionRecord, error) {
	all, err := s.mySubscriptions(c)
	out := []subscriptionRecord{}
	for _, sub := range all {
		svc, err := s.Catalog.Service(c.ctx(), sub.ServiceID)
		if err != nil {
			return nil, err
		}
		e, err := s.Catalog.Environment(c.ctx(), sub.ServiceID, sub.EnvironmentID)
		if err != nil {
			return nil, err
		}
		p, err := s.Catalog.Plan(c.ctx(), sub.ServiceID, sub.PlanID)
		if err != nil {
			return nil, err
		}
		out = append(out, subscriptionRecord{
			sub.ID, sub.OrgID, sub.PlanID, sub.UserEmail, sub.UserID, sub.UserName, svc.ID, svc.Name, e.ID, e.Name, e.Type, p.Name, sub.Status,
		})
	}
	return pick(m, out, func(r subscriptionRecord) (string, string) { return r.ID, r.ServiceName }), err
}

func (s *Server) searchUsers(c *call, m matcher) ([]userRecord, error) {
	org := ""
	if !c.who.Provider {
		org = c.who.OrgID
	}
	users, err := s.Accounts.Users(c.ctx(), org)
	out := []userRecord{}
	for _, u := range users {
		o, err := s.Accounts.Organization(c.ctx(), u.OrgID)
		if err != nil {
			return nil, err
		}
		out = append(out, userRecord{u.ID, u.Email, u.Name, o.Name, !o.Provider})
	}
	return pick(m, out, func(r userRecord) (string, string) { return r.ID, r.Email }), err
}
