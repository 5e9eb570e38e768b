package fleet

import (
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
)

type upgradeRequest struct {
	SourceVersion string              `json:"sourceVersion"`
	TargetVersion string              `json:"targetVersion"`
	Filters       map[string][]string `json:"upgradeFilters"`
	Overrides     map[string]any      `json:"configurationOverrides,omitempty"`
	Max           int                 `json:"maxConcurrentUpgrades,omitempty"`
	Notify        bool                `json:"notifyCustomer,omitempty"`
	ScheduledDate string              `json:"scheduledDate,omitempty"`
}

type manageRequest struct {
	Action  string         `json:"action"`
	Payload map[string]any `json:"actionPayload,omitempty"`
}

type targetRequest struct {
	TargetVersion string `json:"targetVersion"`
}

type upgradeReply struct {
	ID             string                   `json:"upgradePathId"`
	ServiceID      string                   `json:"serviceId"`
	ProductTierID  string                   `json:"productTierId"`
	Type           string                   `json:"type"`
	Status         string                   `json:"status"`
	SourceVersion  string                   `json:"sourceVersion"`
	SourceName     string                   `json:"sourceVersionName"`
	TargetVersion  string                   `json:"targetVersion"`
	TargetName     string                   `json:"targetVersionName"`
	Total          int64                    `json:"totalCount"`
	Pending        int64                    `json:"pendingCount"`
	InProgress     int64                    `json:"inProgressCount"`
	Completed      int64                    `json:"completedCount"`
	Failed         int64                    `json:"failedCount"`
	Skipped        int64                    `json:"skippedCount"`
	Scheduled      int64                    `json:"scheduledCount"`
	CreatedAt      string                   `json:"createdAt"`
	CreatedBy      string                   `json:"createdBy"`
	UpdatedAt      string                   `json:"updatedAt"`
	ReleasedAt     string                   `json:"releasedAt"`
	CompletedAt    string                   `json:"completedAt,omitempty"`
	PlannedDate    string                   `json:"plannedExecutionDate,omitempty"`
	Max            int                      `json:"maxConcurrentUpgrades"`
	NotifyCustomer bool                     `json:"notifyCustomer"`
	LastAction     string                   `json:"lastRequestedAction,omitempty"`
	Reasons        map[string]failureReason `json:"failedInstanceReasons"`
}

type failureReason struct {
	Reason string `json:"reason"`
}

type upgradesReply struct {
	Paths []upgradeReply `json:"upgradePaths"`
}

type instanceUpgrade struct {
	InstanceID      string `json:"instanceId"`
	CloudProvider   string `json:"cloudProviderName"`
	Region          string `json:"cloudProviderRegion"`
	CreatedAt       string `json:"createdAt"`
	UpdatedAt       string `json:"updatedAt"`
	LifecycleStatus string `json:"lifecycleStatus"`
	OrgName         string `json:"orgName"`
	ResourceName    string `json:"resourceName"`
	Status          string `json:"status"`
	WorkflowID      string `json:"workflowID"`
	Started         string `json:"upgradeStartTime,omitempty"`
	Ended           string `json:"upgradeEndTime,omitempty"`
}

type eligibleReply struct {
	Instances     []instanceUpgrade `json:"instances"`
	ProductTierID string            `json:"productTierId"`
	ServiceID     string            `json:"serviceId"`
	UpgradePathID string            `json:"upgradePathId"`
}

func (s *Server) upgradeRoutes() []route {
	of := "/fleet/service/{serviceId}/productTier/{productTierId}/upgrade-path"
	return []route{
		{Method: "POST", Path: of, Operation: "createUpgradePath", provider: true, role: writes, request: upgradeRequest{}, reply: upgradeReply{}, handle: s.createUpgrade},
		{Method: "GET", Path: of + "s", Operation: "listUpgradePaths", provider: true, role: reads, reply: upgradesReply{}, handle: s.listUpgrades},
		{Method: "GET", Path: of + "/{upgradePathId}", Operation: "describeUpgradePath", provider: true, role: reads, reply: upgradeReply{}, handle: s.describeUpgrade},
		{Method: "GET", Path: of + "/{upgradePathId}/eligible-instances", Operation: "listEligibleInstancesPerUpgrade", provider: true, role: reads, reply: eligibleReply{}, handle: s.eligible},
		{Method: "POST", Path: of + "/{upgradePathId}/manage-lifecycle", Operation: "manageUpgradePath", provider: true, role: writes, request: manageRequest{}, reply: upgradeReply{}, handle: s.manageUpgrade},
		{Method: "POST", Path: of + "/{upgradePathId}/target-version", Operation: "changeUpgradePathTargetVersion", provider: true, role: writes, request: targetRequest{}, reply: upgradeReply{}, handle: s.retarget},
	}
}

func (s *Server) upgradeView(c *call, u catalog.UpgradePath) (upgradeReply, error) {
	out := upgradeReply{
		ID: u.ID, ServiceID: u.ServiceID, ProductTierID: u.PlanID, Type: "MANUAL", Status: u.Status, SourceVersion: u.Source, TargetVersion: u.Target,
		SourceName: u.Source, TargetName: u.Target, Total: int64(len(u.Instances)), Pending: u.Count(catalog.UpgradePending), InProgress: u.Count(catalog.UpgradeInProgress),
		Completed: u.Count(catalog.UpgradeComplete), Failed: u.Count(catalog.UpgradeFailed), Skipped: u.Count(catalog.UpgradeSkipped), CreatedAt: text(u.CreateTime),
		CreatedBy: u.By, UpdatedAt: text(u.ChangeTime), ReleasedAt: text(u.CreateTime), CompletedAt: text(u.EndTime), PlannedDate: text(u.Scheduled), Max: u.Max,
		NotifyCustomer: u.Notify, LastAction: u.LastAction, Reasons: map[string]failureReason{},
	}
	if u.Status == catalog.UpgradeScheduled {
		out.Scheduled = out.Pending
	}
	for _, i := range u.Instances {
		if i.Message != "" {
			out.Reasons[i.ID] = failureReason{i.Message}
		}
	}
	p, err := s.Catalog.Plan(c.ctx(), u.ServiceID, u.PlanID)
	if err != nil {
		return out, err
	}
	versions, err := s.Catalog.Versions(c.ctx(), p.ID)
	for _, v := range versions {
		if v.Name != "" && v.String() == u.Source {
			out.SourceName = v.Name
		}
		if v.Name != "" && v.String() == u.Target {
			out.TargetName = v.Name
		}
	}
	return out, err
}

func (s *Server) createUpgrade(c *call) (any, error) {
	var req upgradeRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("productTierId"))
	if err != nil {
		return nil, err
	}
	for _, version := range []string{req.SourceVersion, req.TargetVersion} {
		if _, err := s.Catalog.Version(c.ctx(), p, version); err != nil {
			return nil, err
		}
	}
	u := catalog.UpgradePath{
		ServiceID: p.ServiceID, EnvironmentID: p.EnvironmentID, PlanID: p.ID, Source: req.SourceVersion, Target: req.TargetVersion,
		Max: req.Max, Notify: req.Notify, By: c.who.UserID,
	}
	if req.Notify {
		return nil, invalid("notifyCustomer: customers cannot be notified yet")
	}
	if len(req.Overrides) > 0 {
		return nil, invalid("configurationOverrides: a Terraform stack has none")
	}
	for filter := range req.Filters {
		if filter != "INSTANCE_IDS" {
			return nil, invalid("upgradeFilters: there is no filter %q; want INSTANCE_IDS", filter)
		}
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(req.Filters["INSTANCE_IDS"]))) {
		u.Instances = append(u.Instances, catalog.InstanceUpgrade{ID: id})
	}
	if req.ScheduledDate != "" {
		if u.Scheduled, err = time.Parse(time.RFC3339, req.ScheduledDate); err != nil {
			return nil, invalid("scheduledDate: want a time as 2026-01-02T15:04:05Z")
		}
	}
	if u, err = s.Upgrades.Create(c.ctx(), u); err != nil {
		return nil, err
	}
	return s.upgradeView(c, u)
}

func (s *Server) listUpgrades(c *call) (any, error) {
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("productTierId"))
	if err != nil {
		return nil, err
	}
	all, err := s.Upgrades.All(c.ctx())
	out := upgradesReply{Paths: []upgradeReply{}}
	for _, u := range all {
		if u.PlanID != p.ID {
			continue
		}
		view, err := s.upgradeView(c, u)
		if err != nil {
			return nil, err
		}
		out.Paths = append(out.Paths, view)
	}
	return out, err
}

// upgrade is that of the path.
func (s *Server) upgrade(c *call) (catalog.UpgradePath, error) {
	p, err := s.plan(c, c.PathValue("serviceId"), c.PathValue("productTierId"))
	if err != nil {
		return catalog.UpgradePath{}, err
	}
	return s.Upgrades.Path(c.ctx(), p.ID, c.PathValue("upgradePathId"))
}

func (s *Server) describeUpgrade(c *call) (any, error) {
	u, err := s.upgrade(c)
	if err != nil {
		return nil, err
	}
	return s.upgradeView(c, u)
}

func (s *Server) eligible(c *call) (any, error) {
	u, err := s.upgrade(c)
	if err != nil {
		return nil, err
	}
	out := eligibleReply{[]instanceUpgrade{}, u.PlanID, u.ServiceID, u.ID}
	for _, i := range u.Instances {
		view := instanceUpgrade{
			InstanceID: i.ID, CloudProvider: "aws", Region: s.Region, CreatedAt: text(u.CreateTime), UpdatedAt: text(u.ChangeTime),
			LifecycleStatus: "DELETED", Status: i.Status, Started: text(i.Started), Ended: text(i.Ended),
		}
		d, err := s.Engine.ByID(c.ctx(), i.ID)
		if err == nil {
			as, err := s.soldAs(c, d)
			if err != nil {
				return nil, err
			}
			view.LifecycleStatus, view.OrgName, view.ResourceName, view.CreatedAt = statusOf(d), as.org.Name, as.version.ResourceName, text(d.CreateTime)
		} else if !isNotFound(err) {
			return nil, err
		}
		out.Instances = append(out.Instances, view)
	}
	return out, nil
}

func (s *Server) manageUpgrade(c *call) (any, error) {
	var req manageRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	u, err := s.upgrade(c)
	if err != nil {
		return nil, err
	}
	if u, err = s.Upgrades.Manage(c.ctx(), u.ID, strings.ToUpper(req.Action), idsIn(req.Payload)); err != nil {
		return nil, err
	}
	return s.upgradeView(c, u)
}

// idsIn are the instances that a payload names, under whichever key.
func idsIn(payload map[string]any) []string {
	var ids []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			for id := range strings.SplitSeq(v, ",") {
				if id = strings.TrimSpace(id); strings.HasPrefix(id, "instance-") {
					ids = append(ids, id)
				}
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	for _, v := range payload {
		walk(v)
	}
	return ids
}

func (s *Server) retarget(c *call) (any, error) {
	var req targetRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	u, err := s.upgrade(c)
	if err != nil {
		return nil, err
	}
	p, err := s.Catalog.Plan(c.ctx(), u.ServiceID, u.PlanID)
	if err != nil {
		return nil, err
	}
	v, err := s.Catalog.Version(c.ctx(), p, req.TargetVersion)
	if err != nil {
		return nil, err
	}
	if v.String() == u.Source {
		return nil, invalid("the instances have version %s already", u.Source)
	}
	u, err = s.Upgrades.Change(c.ctx(), u.ID, func(u *catalog.UpgradePath) error {
		if u.Count(catalog.UpgradePending) != int64(len(u.Instances)) {
			return conflict("the upgrade has begun")
		}
		u.Target = v.String()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.upgradeView(c, u)
}

func (s *Server) searchUpgrades(c *call, m matcher) ([]upgradeRecord, error) {
	out := []upgradeRecord{}
	if !c.who.Provider {
		return out, nil
	}
	all, err := s.Upgrades.All(c.ctx())
	if err != nil {
		return nil, err
	}
	for _, u := range pick(m, all, func(u catalog.UpgradePath) (string, string) { return u.ID, "" }) {
		svc, err := s.Catalog.Service(c.ctx(), u.ServiceID)
		if err != nil {
			return nil, err
		}
		e, err := s.Catalog.Environment(c.ctx(), u.ServiceID, u.EnvironmentID)
		if err != nil {
			return nil, err
		}
		p, err := s.Catalog.Plan(c.ctx(), u.ServiceID, u.PlanID)
		if err != nil {
			return nil, err
		}
		out = append(out, upgradeRecord{u.ID, u.Notify, p.ID, p.Name, svc.ID, svc.Name, e.ID, e.Name, e.Type, u.Status})
	}
	return out, nil
}
