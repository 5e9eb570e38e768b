package fleet

import (
	"cmp"
	"net/http"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type breakpoint struct {
	ID     string   `json:"id"`
	Events []string `json:"events"`
}

type createRequest struct {
	CloudProvider      string         `json:"cloud_provider,omitempty"`
	Region             string         `json:"region,omitempty"`
	ProductTierVersion string         `json:"productTierVersion,omitempty"`
	RequestParams      map[string]any `json:"requestParams,omitempty"`
	SubscriptionID     string         `json:"subscriptionId,omitempty"`
	CustomTags         []tag          `json:"customTags,omitempty"`
	Breakpoints        []breakpoint   `json:"workflowBreakpoints,omitempty"`
	InstanceID         string         `json:"instanceId,omitempty"`
	NetworkType        string         `json:"network_type,omitempty"`
	CustomNetworkID    string         `json:"custom_network_id,omitempty"`
	ExternalPayerID    string         `json:"externalPayerId,omitempty"`
	OnPremPlatform     string         `json:"onprem_platform,omitempty"`
}

type idReply struct {
	ID string `json:"id"`
}

type modifyRequest struct {
	// ResourceID is what clients send of what they were told; some send something else.
	ResourceID    string         `json:"resourceId"`
	RequestParams map[string]any `json:"requestParams,omitempty"`
	NetworkType   string         `json:"network_type,omitempty"`
	CustomTags    *[]tag         `json:"customTags,omitempty"`
}

type deleteRequest struct {
	ResourceID        string `json:"resourceId"`
	SkipFinalSnapshot bool   `json:"skipFinalSnapshot,omitempty"`
}

type resourceRequest struct {
	ResourceID string `json:"resourceId"`
}

type patchRequest struct {
	ResourceID        string         `json:"resourceId"`
	TargetTierVersion string         `json:"targetTierVersion,omitempty"`
	Override          map[string]any `json:"resourceOverrideConfiguration,omitempty"`
}

type evaluateRequest struct {
	ServiceID     string         `json:"serviceID"`
	ProductTierID string         `json:"productTierID,omitempty"`
	InstanceID    string         `json:"instanceID,omitempty"`
	ResourceKey   string         `json:"resourceKey"`
	Expression    string         `json:"expression,omitempty"`
	ExpressionMap map[string]any `json:"expressionMap,omitempty"`
}

type evaluateReply struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (s *Server) instanceRoutes() []route {
	one := "/fleet/service/{serviceId}/environment/{environmentId}/instance/{instanceId}"
	return []route{
		{Method: "GET", Path: "/service-offering/{serviceId}", Operation: "describeServiceOffering", role: reads, reply: offeringReply{}, handle: s.describeOffering},
		{Method: "GET", Path: "/fleet/service-offering/{serviceId}", Operation: "describeFleetServiceOffering", role: reads, reply: fleetOfferingReply{}, handle: s.describeFleetOffering},
		{Method: "POST", Path: "/fleet/resource-instance/{serviceProviderId}/{serviceKey}/{serviceAPIVersion}/{serviceEnvironmentKey}/{serviceModelKey}/{productTierKey}/{resourceKey}",
			Operation: "createResourceInstance", role: writes, status: http.StatusAccepted, request: createRequest{}, reply: idReply{}, handle: s.createInstance},
		{Method: "POST", Path: "/fleet/search-inventory", Operation: "search", role: reads, request: searchRequest{}, reply: searchReply{}, handle: s.search},
		{Method: "GET", Path: "/fleet/service/{serviceId}/environment/{environmentId}/instances", Operation: "listResourceInstances", role: reads, reply: instancesReply{}, handle: s.listInstances},
		{Method: "GET", Path: one, Operation: "describeResourceInstance", role: reads, reply: instanceReply{}, handle: s.describeInstance},
		{Method: "PATCH", Path: one, Operation: "updateResourceInstance", role: writes, request: modifyRequest{}, handle: s.modifyInstance},
		{Method: "DELETE", Path: one, Operation: "deleteResourceInstance", role: writes, request: deleteRequest{}, handle: s.deleteInstance},
		{Method: "POST", Path: one + "/stop", Operation: "stopResourceInstance", role: writes, request: resourceRequest{}, handle: s.operate(workflow.OperationStop)},
		{Method: "POST", Path: one + "/start", Operation: "startResourceInstance", role: writes, request: resourceRequest{}, handle: s.operate(workflow.OperationStart)},
		{Method: "POST", Path: one + "/restart", Operation: "restartResourceInstance", role: writes, request: resourceRequest{}, handle: s.operate(workflow.OperationRestart)},
		{Method: "PATCH", Path: one + "/patch", Operation: "oneOffPatchResourceInstance", role: writes, request: patchRequest{}, reply: instanceReply{}, handle: s.patchInstance},
		// An expression can name what is secret, so that it is for who may write.
		{Method: "POST", Path: "/resource-instance/expression-evaluator", Operation: "evaluateExpression", role: writes, request: evaluateRequest{}, reply: evaluateReply{}, handle: s.evaluate},
		{Method: "GET", Path: one + "/debug", Operation: "debugResourceInstance", role: reads, reply: debugReply{}, handle: s.debugInstance},
		{Method: "GET", Path: one + "/debug/log", Operation: "resourceInstanceLog", role: reads, reply: logReply{}, handle: s.instanceLog},
	}
}

// offered finds the plan that a create's path names.
func (s *Server) offered(c *call) (catalog.Service, catalog.Environment, catalog.Plan, error) {
	none := notFound("offering", c.PathValue("serviceKey")+"/"+c.PathValue("serviceEnvironmentKey")+"/"+c.PathValue("productTierKey"))
	services, err := s.Catalog.Services(c.ctx())
	if err != nil {
		return catalog.Service{}, catalog.Environment{}, catalog.Plan{}, err
	}
	for _, svc := range services {
		if svc.OrgID != c.PathValue("serviceProviderId") || catalog.Key(svc.Name) != c.PathValue("serviceKey") {
			continue
		}
		environments, err := s.environments(c, svc.ID)
		if err != nil {
			return svc, catalog.Environment{}, catalog.Plan{}, err
		}
		for _, e := range environments {
			if catalog.Key(e.Name) != c.PathValue("serviceEnvironmentKey") {
				continue
			}
			plans, err := s.Catalog.Plans(c.ctx(), e.ID)
			if err != nil {
				return svc, e, catalog.Plan{}, err
			}
			for _, p := range plans {
				if catalog.Key(p.Name) == c.PathValue("productTierKey") && c.PathValue("serviceModelKey") == catalog.Key(p.Name) && c.PathValue("serviceAPIVersion") == apiVersion {
					return svc, e, p, nil
				}
			}
		}
	}
	return catalog.Service{}, catalog.Environment{}, catalog.Plan{}, none
}

func tagsOf(list []tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range list {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 {
			return nil, invalid("customTags: a tag's key has 1 to 128 characters, and its value at most 256")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > 50 {
		return nil, invalid("customTags: at most 50")
	}
	return tags, nil
}

// check refuses what a create asks for and this installation does not have.
func (s *Server) check(req createRequest) error {
	switch {
	case req.CloudProvider != "" && req.CloudProvider != "aws":
		return invalid("cloud_provider %q: instances stand in aws", req.CloudProvider)
	case req.Region != "" && req.Region != s.Region:
		return invalid("region %q: this installation's is %s", req.Region, s.Region)
	case req.InstanceID != "":
		return invalid("instanceId: a deleted instance cannot be restored here")
	case req.NetworkType != "" && req.NetworkType != "PUBLIC" && req.NetworkType != "INTERNAL":
		return invalid("network_type %q: want PUBLIC or INTERNAL", req.NetworkType)
	case req.CustomNetworkID != "" || req.OnPremPlatform != "":
		return invalid("custom_network_id and onprem_platform: this installation has one network of its own")
	}
	for _, name := range []string{"cloud_provider_account_config_id", "cloud_provider_native_network_id"} {
		if _, ok := req.RequestParams[name]; ok {
			return invalid("%s: instances in a customer's own account are not supported yet", name)
		}
	}
	return nil
}

func (s *Server) createInstance(c *call) (any, error) {
	var req createRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	if err := s.check(req); err != nil {
		return nil, err
	}
	tags, err := tagsOf(req.CustomTags)
	if err != nil {
		return nil, err
	}
	svc, e, p, err := s.offered(c)
	if err != nil {
		return nil, err
	}
	c.about.service = svc.ID
	v, err := s.Catalog.Version(c.ctx(), p, req.ProductTierVersion)
	if err != nil {
		return nil, err
	}
	if key := c.PathValue("resourceKey"); key != v.ResourceKey {
		return nil, notFound("resource", key)
	}
	sub, err := s.subscriptionFor(c, req.SubscriptionID, e, p)
	if err != nil {
		return nil, err
	}
	order := workflow.Order{
		Product: workflow.Product{
			ServiceID: svc.ID, EnvironmentID: e.ID, PlanID: p.ID, Version: v.String(), SubscriptionID: sub.ID, OrgID: sub.OrgID, UserID: c.who.UserID,
		},
		Content: v.Content, Parameters: req.RequestParams, Tags: tags, By: c.who.UserID,
	}
	for _, b := range req.Breakpoints {
		if b.ID != p.ResourceID && b.ID != v.ResourceKey {
			return nil, notFound("resource of a breakpoint", b.ID)
		}
		if len(b.Events) == 0 {
			b.Events = []string{"TerraformPlan:Start"} // before anything is done
		}
		for _, event := range b.Events {
			name, err := breakpointOf(event)
			if err != nil {
				return nil, err
			}
			order.Breakpoints = append(order.Breakpoints, name)
		}
	}
	var d workflow.Deployment
	err = s.Catalog.Order(c.ctx(), sub, func() (err error) {
		d, err = s.Engine.Create(c.ctx(), order)
		return err
	})
	c.about.instance, c.about.owner = d.ID, sub.OrgID
	return idReply{d.ID}, err
}

// active refuses changes of what a suspended subscription has.
func (s *Server) active(c *call, d workflow.Deployment) error {
	if d.Product.SubscriptionID == "" {
		return nil
	}
	sub, err := s.Catalog.Subscription(c.ctx(), d.Product.SubscriptionID)
	if err == nil && sub.Status != catalog.Active && !c.who.Provider {
		return forbidden("the subscription is %s", sub.Status)
	}
	return err
}

func (s *Server) modifyInstance(c *call) (any, error) {
	var req modifyRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	d, err := s.instance(c)
	if err != nil {
		return nil, err
	}
	if err := s.active(c, d); err != nil {
		return nil, err
	}
	if req.CustomTags != nil {
		tags, err := tagsOf(*req.CustomTags)
		if err != nil {
			return nil, err
		}
		if err := s.Engine.ChangeTags(c.ctx(), d.ID, tags); err != nil || req.RequestParams == nil {
			return nil, err
		}
	}
	return nil, s.Engine.ModifyByID(c.ctx(), d.ID, req.RequestParams, c.who.UserID)
}

func (s *Server) deleteInstance(c *call) (any, error) {
	var req deleteRequest
	if c.ContentLength != 0 {
		if err := c.read(&req); err != nil {
			return nil, err
		}
	}
	d, err := s.instance(c)
	if err != nil {
		return nil, err
	}
	return nil, s.Engine.Delete(c.ctx(), d.ID, c.who.UserID)
}

func (s *Server) operate(op workflow.Operation) func(*call) (any, error) {
	return func(c *call) (any, error) {
		d, err := s.instance(c)
		if err != nil {
			return nil, err
		}
		if err := s.active(c, d); err != nil {
			return nil, err
		}
		return nil, s.Engine.Operate(c.ctx(), d.ID, op, c.who.UserID)
	}
}

func (s *Server) patchInstance(c *call) (any, error) {
	var req patchRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	d, err := s.instance(c)
	if err != nil {
		return nil, err
	}
	if err := s.active(c, d); err != nil {
		return nil, err
	}
	if len(req.Override) > 0 {
		return nil, invalid("resourceOverrideConfiguration: a Terraform stack has none")
	}
	if err := s.upgradeTo(c, d, cmp.Or(req.TargetTierVersion, "latest")); err != nil {
		return nil, err
	}
	return s.describeInstance(c)
}

// upgradeTo puts an instance onto another version of its plan.
func (s *Server) upgradeTo(c *call, d workflow.Deployment, version string) error {
	if d.Product.PlanID == "" {
		return invalid("%s was made from a local folder: change it with daybreak up", d.Name)
	}
	p, err := s.Catalog.Plan(c.ctx(), d.Product.ServiceID, d.Product.PlanID)
	if err != nil {
		return err
	}
	v, err := s.Catalog.Version(c.ctx(), p, version)
	if err != nil {
		return err
	}
	return s.Engine.Upgrade(c.ctx(), d.ID, v.Content, nil, c.who.UserID)
}

// evaluate says what expressions of the stack's templates stand for in an instance.
func (s *Server) evaluate(c *call) (any, error) {
	var req evaluateRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	d, err := s.Engine.ByID(c.ctx(), req.InstanceID)
	if p := productOf(d); err == nil && (!c.owns(p) || p.ServiceID != req.ServiceID) {
		err = notFound("instance", req.InstanceID)
	}
	if err != nil {
		return nil, err
	}
	one := func(expression string) (any, error) { return s.Engine.Evaluate(c.ctx(), d, expression) }
	if req.ExpressionMap == nil {
		value, err := one(req.Expression)
		return evaluateReply{Result: value}, err
	}
	out := map[string]any{}
	for key, expression := range req.ExpressionMap {
		text, ok := expression.(string)
		if !ok {
			return nil, invalid("expressionMap: %s is not a text", key)
		}
		if out[key], err = one(text); err != nil {
			return nil, err
		}
	}
	return evaluateReply{Result: out}, nil
}
