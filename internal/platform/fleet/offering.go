package fleet

import (
	"github.com/daybreakdb/daybreak/internal/platform/catalog"
)

type resourceEntity struct {
	ResourceID      string `json:"resourceId"`
	Name            string `json:"name"`
	URLKey          string `json:"urlKey"`
	IsBackupEnabled bool   `json:"isBackupEnabled"`
	IsDeprecated    bool   `json:"isDeprecated"`
	ResourceType    string `json:"resourceType"`
}

type offering struct {
	AutoApprove              bool             `json:"AutoApproveSubscription"`
	ProductTierDocumentation string           `json:"productTierDocumentation"`
	ProductTierID            string           `json:"productTierID"`
	ProductTierName          string           `json:"productTierName"`
	ProductTierPricing       map[string]any   `json:"productTierPricing"`
	ProductTierSupport       string           `json:"productTierSupport"`
	ProductTierType          string           `json:"productTierType"`
	ProductTierURLKey        string           `json:"productTierURLKey"`
	ProductTierVersion       string           `json:"productTierVersion"`
	ResourceParameters       []resourceEntity `json:"resourceParameters"`
	ServiceAPIID             string           `json:"serviceAPIID"`
	ServiceAPIVersion        string           `json:"serviceAPIVersion"`
	EnvironmentID            string           `json:"serviceEnvironmentID"`
	EnvironmentName          string           `json:"serviceEnvironmentName"`
	EnvironmentType          string           `json:"serviceEnvironmentType"`
	EnvironmentURLKey        string           `json:"serviceEnvironmentURLKey"`
	EnvironmentVisibility    string           `json:"serviceEnvironmentVisibility"`
	ServiceLogoURL           string           `json:"serviceLogoURL"`
	ModelID                  string           `json:"serviceModelID"`
	ModelName                string           `json:"serviceModelName"`
	ModelStatus              string           `json:"serviceModelStatus"`
	ModelType                string           `json:"serviceModelType"`
	ModelURLKey              string           `json:"serviceModelURLKey"`
	CloudProviders           []string         `json:"cloudProviders"`
	AWSRegions               []string         `json:"awsRegions"`
}

type offeringReply struct {
	CreatedAt          string     `json:"createdAt"`
	IsDeprecated       bool       `json:"isDeprecated"`
	Offerings          []offering `json:"offerings"`
	ServiceDescription string     `json:"serviceDescription"`
	ServiceID          string     `json:"serviceId"`
	ServiceName        string     `json:"serviceName"`
	ServiceOrgID       string     `json:"serviceOrgId"`
	ServiceProviderID  string     `json:"serviceProviderId"`
	ServiceProvider    string     `json:"serviceProviderName"`
	ServiceURLKey      string     `json:"serviceURLKey"`
}

type fleetOfferingReply struct {
	Result offeringReply `json:"ConsumptionDescribeServiceOfferingResult"`
}

// apiVersion is the version of every service's API.
const apiVersion = "v1"

// offeringOf is what a plan offers in a version.
func offeringOf(svc catalog.Service, e catalog.Environment, p catalog.Plan, v catalog.Version, region string) offering {
	return offering{
		AutoApprove: e.AutoApprove, ProductTierID: p.ID, ProductTierName: p.Name, ProductTierPricing: map[string]any{}, ProductTierType: p.TierType,
		ProductTierURLKey: catalog.Key(p.Name), ProductTierVersion: v.String(),
		ResourceParameters: []resourceEntity{{ResourceID: p.ResourceID, Name: v.ResourceName, URLKey: v.ResourceKey, ResourceType: "Terraform"}},
		ServiceAPIID:       p.APIID, ServiceAPIVersion: apiVersion, EnvironmentID: e.ID, EnvironmentName: e.Name, EnvironmentType: e.Type,
		EnvironmentURLKey: catalog.Key(e.Name), EnvironmentVisibility: e.Visibility, ServiceLogoURL: svc.LogoURL, ModelID: p.ModelID, ModelName: p.Name,
		ModelStatus: "READY", ModelType: p.ModelType, ModelURLKey: catalog.Key(p.Name), CloudProviders: []string{"aws"}, AWSRegions: []string{region},
	}
}

// offer describes a service's released plans; tier and version narrow it down.
func (s *Server) offer(c *call, tier, version string) (offeringReply, error) {
	svc, environments, err := s.service(c, c.PathValue("serviceId"))
	if err != nil {
		return offeringReply{}, err
	}
	out := offeringReply{
		CreatedAt: text(svc.CreateTime), Offerings: []offering{}, ServiceDescription: svc.Description, ServiceID: svc.ID, ServiceName: svc.Name,
		ServiceOrgID: svc.OrgID, ServiceProviderID: svc.OrgID, ServiceProvider: s.providerName(c), ServiceURLKey: catalog.Key(svc.Name),
	}
	for _, e := range environments {
		plans, err := s.Catalog.Plans(c.ctx(), e.ID)
		if err != nil {
			return out, err
		}
		for _, p := range plans {
			if p.Preferred == 0 || tier != "" && p.ID != tier {
				continue
			}
			v, err := s.Catalog.Version(c.ctx(), p, version)
			if err != nil {
				return out, err
			}
			out.Offerings = append(out.Offerings, offeringOf(svc, e, p, v, s.Region))
		}
	}
	if tier != "" && len(out.Offerings) == 0 {
		return out, notFound("service plan", tier)
	}
	return out, nil
}

func (s *Server) describeOffering(c *call) (any, error) { return s.offer(c, "", "") }

func (s *Server) describeFleetOffering(c *call) (any, error) {
	q := c.URL.Query()
	out, err := s.offer(c, q.Get("productTierId"), q.Get("productTierVersion"))
	return fleetOfferingReply{out}, err
}
