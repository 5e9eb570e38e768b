package fleet

import (
	"encoding/base64"
	"strings"

	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/catalog"
)

type prepareRequest struct {
	Name            string `json:"name"`
	Environment     string `json:"environment"`
	EnvironmentType string `json:"environmentType"`
	FileContent     string `json:"fileContent"`
}

type uploadTask struct {
	AccountConfigID string `json:"accountConfigID"`
	ArtifactPath    string `json:"artifactPath"`
	EnvironmentType string `json:"environmentType"`
	ProductTierName string `json:"productTierName"`
	ServiceName     string `json:"serviceName"`
}

type prepareReply struct {
	ServiceID            string       `json:"serviceID"`
	ServiceEnvironmentID string       `json:"serviceEnvironmentID"`
	ProductTierID        string       `json:"productTierID"`
	IsNew                bool         `json:"isNewProductTierCreated"`
	Tasks                []uploadTask `json:"artifactUploadingTasks"`
}

type buildRequest struct {
	Name               string `json:"name"`
	FileContent        string `json:"fileContent"`
	Description        string `json:"description,omitempty"`
	ServiceLogoURL     string `json:"serviceLogoURL,omitempty"`
	Environment        string `json:"environment,omitempty"`
	EnvironmentType    string `json:"environmentType,omitempty"`
	DryRun             bool   `json:"dryrun,omitempty"`
	ForceCreate        bool   `json:"forceCreateNewServicePlanVersion,omitempty"`
	Release            bool   `json:"release,omitempty"`
	ReleaseAsPreferred bool   `json:"releaseAsPreferred,omitempty"`
	ReleaseVersionName string `json:"releaseVersionName,omitempty"`
}

type buildReply struct {
	ServiceID            string            `json:"serviceID"`
	ServiceEnvironmentID string            `json:"serviceEnvironmentID"`
	ProductTierID        string            `json:"productTierID"`
	NewVersion           bool              `json:"isNewServicePlanVersionCreated"`
	UndefinedResources   map[string]string `json:"undefinedResources"`
}

type artifactRequest struct {
	AccountConfigID string `json:"accountConfigID"`
	ArtifactPath    string `json:"artifactPath"`
	Artifact        string `json:"base64EncodedArtifact"`
	EnvironmentType string `json:"environmentType"`
	ProductTierName string `json:"productTierName"`
	ServiceName     string `json:"serviceName"`
}

type artifactReply struct {
	ID              string `json:"id"`
	ArtifactPath    string `json:"artifactPath"`
	AccountConfigID string `json:"accountConfigID"`
	Status          string `json:"status"`
}

func (s *Server) buildRoutes() []route {
	return []route{
		{Method: "PUT", Path: "/service/serviceplanspec/prepare", Operation: "prepareServicePlanSpec", provider: true, role: writes, limit: maxSpec,
			request: prepareRequest{}, reply: prepareReply{}, handle: s.prepare},
		{Method: "PUT", Path: "/service/serviceplanspec", Operation: "buildServicePlanSpec", provider: true, role: writes, limit: maxSpec,
			request: buildRequest{}, reply: buildReply{}, handle: s.build},
		{Method: "POST", Path: "/deployment-artifact", Operation: "uploadDeploymentArtifact", provider: true, role: writes, limit: maxFolder,
			request: artifactRequest{}, reply: "", handle: s.uploadArtifact},
		{Method: "GET", Path: "/deployment-artifact/{id}", Operation: "describeDeploymentArtifact", provider: true, role: reads,
			reply: artifactReply{}, handle: s.artifact},
	}
}

func specOf(content string) ([]byte, error) {
	spec, err := base64.StdEncoding.DecodeString(content)
	if err != nil {
		return nil, invalid("fileContent is not base64: %v", err)
	}
	if len(spec) == 0 {
		return nil, invalid("fileContent is empty: it has the service plan's spec")
	}
	return spec, nil
}

// accountOf is the account config of uploads: there is one cell.
const cellAccount = "ac-embedded"

func (s *Server) prepare(c *call) (any, error) {
	var req prepareRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	spec, err := specOf(req.FileContent)
	if err != nil {
		return nil, err
	}
	b, err := s.Catalog.Prepare(c.ctx(), catalog.Build{
		Service: req.Name, Environment: req.Environment, EnvironmentType: req.EnvironmentType, OrgID: account.ProviderOrg, Spec: spec,
	})
	if err != nil {
		return nil, err
	}
	c.about.service = b.Service.ID
	out := prepareReply{b.Service.ID, b.Environment.ID, b.Plan.ID, b.Plan.Latest == 0, []uploadTask{}}
	if b.LocalPath != "" {
		out.Tasks = append(out.Tasks, uploadTask{cellAccount, b.LocalPath, b.Environment.Type, b.Plan.Name, b.Service.Name})
	}
	return out, nil
}

func (s *Server) build(c *call) (any, error) {
	var req buildRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	spec, err := specOf(req.FileContent)
	if err != nil {
		return nil, err
	}
	b := catalog.Build{
		Service: req.Name, ServiceDescription: req.Description, LogoURL: req.ServiceLogoURL, OrgID: account.ProviderOrg,
		Environment: req.Environment, EnvironmentType: req.EnvironmentType, Spec: spec, DryRun: req.DryRun, Force: req.ForceCreate,
	}
	if req.Release || req.ReleaseAsPreferred {
		b.Release = &catalog.Release{
			Name: req.ReleaseVersionName, Description: req.ReleaseVersionName, Preferred: req.ReleaseAsPreferred, By: c.who.UserID, ByName: c.who.Name,
		}
	}
	built, err := s.Catalog.Build(c.ctx(), b)
	c.about.service = built.Service.ID
	return buildReply{built.Service.ID, built.Environment.ID, built.Plan.ID, built.NewVersion, map[string]string{}}, err
}

func (s *Server) uploadArtifact(c *call) (any, error) {
	var req artifactRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(req.Artifact)
	if err != nil {
		return nil, invalid("base64EncodedArtifact is not base64: %v", err)
	}
	a, err := s.Catalog.Receive(c.ctx(), catalog.Artifact{
		Path: req.ArtifactPath, Plan: req.ProductTierName, Service: req.ServiceName,
		Environment: strings.ToUpper(req.EnvironmentType), AccountID: req.AccountConfigID,
	}, data)
	return a.ID, err
}

func (s *Server) artifact(c *call) (any, error) {
	a, err := s.Catalog.Artifact(c.ctx(), c.PathValue("id"))
	return artifactReply{a.ID, a.Path, a.AccountID, "READY"}, err
}
