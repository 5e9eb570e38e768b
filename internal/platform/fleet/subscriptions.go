package fleet

import (
	"slices"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
)

type subscriptionReply struct {
	ID                string `json:"id"`
	Status            string `json:"status"`
	ProductTierID     string `json:"productTierId"`
	ProductTierName   string `json:"productTierName"`
	ServiceID         string `json:"serviceId"`
	ServiceName       string `json:"serviceName"`
	RootUserID        string `json:"rootUserId"`
	RootUserEmail     string `json:"rootUserEmail"`
	RootUserName      string `json:"rootUserName"`
	RootUserOrgID     string `json:"rootUserOrgId"`
	CreatedAt         string `json:"createdAt"`
	UpdatedAt         string `json:"updatedAt"`
	UpdatedByUserID   string `json:"updatedByUserId"`
	UpdatedByUserName string `json:"updatedByUserName"`
	InstanceCount     int64  `json:"instanceCount"`
	MaxInstances      int64  `json:"maxNumberOfInstances,omitempty"`
}

type subscriptionsReply struct {
	IDs           []string            `json:"ids"`
	Subscriptions []subscriptionReply `json:"subscriptions"`
}

type requestsReply struct {
	IDs      []string            `json:"ids"`
	Requests []subscriptionReply `json:"subscriptionRequests"`
}

type onBehalfRequest struct {
	UserID          string `json:"onBehalfOfCustomerUserId"`
	ProductTierID   string `json:"productTierId"`
	MaxInstances    int64  `json:"maxNumberOfInstances,omitempty"`
	ExternalPayerID string `json:"externalPayerId,omitempty"`
}

type subscribeRequest struct {
	ProductTierID string `json:"productTierId"`
}

func (s *Server) subscriptionRoutes() []route {
	of := "/fleet/service/{serviceId}/environment/{environmentId}/subscription"
	return []route{
		{Method: "GET", Path: of, Operation: "listSubscription", role: reads, reply: subscriptionsReply{}, handle: s.listSubscriptions},
		{Method: "POST", Path: of, Operation: "createSubscriptionOnBehalfOfCustomer", provider: true, role: writes, request: onBehalfRequest{}, reply: idReply{}, handle: s.subscribeCustomer},
		{Method: "POST", Path: of + "/request", Operation: "requestSubscription", role: manages, request: subscribeRequest{}, reply: idReply{}, handle: s.requestSubscription},
		{Method: "GET", Path: of + "/request", Operation: "listSubscriptionRequests", role: reads, reply: requestsReply{}, handle: s.listRequests},
		{Method: "GET", Path: of + "/request/{id}", Operation: "describeSubscriptionRequest", role: reads, reply: subscriptionReply{}, handle: s.describeSubscription},
		{Method: "PUT", Path: of + "/request/{id}", Operation: "approveSubscriptionRequest", provider: true, role: writes, handle: s.setSubscription(catalog.Active, catalog.Pending)},
		{Method: "DELETE", Path: of + "/request/{id}", Operation: "denySubscriptionRequest", provider: true, role: writes, handle: s.setSubscription(catalog.Denied, catalog.Pending)},
		{Method: "GET", Path: of + "/{id}", Operation: "describeSubscription", role: reads, reply: subscriptionReply{}, handle: s.describeSubscription},
		{Method: "DELETE", Path: of + "/{id}", Operation: "terminateSubscription", provider: true, role: writes, handle: s.setSubscription(catalog.Terminated)},
		{Method: "PUT", Path: of + "/{id}/suspend", Operation: "suspendSubscription", provider: true, role: writes, handle: s.setSubscription(catalog.Suspended, catalog.Active)},
		{Method: "PUT", Path: of + "/{id}/resume", Operation: "resumeSubscription", provider: true, role: writes, handle: s.setSubscription(catalog.Active, catalog.Suspended)},
	}
}

// mySubscriptions are those that the caller sees.
func (s *Server) mySubscriptions(c *call) ([]catalog.Subscription, error) {
	all, err := s.Catalog.Subscriptions(c.ctx())
	return slices.DeleteFunc(all, func(sub catalog.Subscription) bool { return !c.who.Provider && sub.OrgID != c.who.OrgID }), err
}

// subscription is that of the path.
func (s *Server) subscription(c *call) (catalog.Subscription, error) {
	id := c.PathValue("id")
	sub, err := s.Catalog.Subscription(c.ctx(), id)
	if err == nil && (!c.who.Provider && sub.OrgID != c.who.OrgID || sub.ServiceID != c.PathValue("serviceId") || sub.EnvironmentID != c.PathValue("environmentId")) {
		return catalog.Subscription{}, notFound("subscription", id)
	}
	c.about.service, c.about.owner = sub.ServiceID, sub.OrgID
	return sub, err
}

// subscriptionFor is the one that an instance is created under: the one that is
// named, or the caller's own, which is made where that needs no approval.
func (s *Server) subscriptionFor(c *call, id string, e catalog.Environment, p catalog.Plan) (catalog.Subscription, error) {
	if id != "" {
		sub, err := s.Catalog.Subscription(c.ctx(), id)
		if err == nil && (!c.who.Provider && sub.OrgID != c.who.OrgID || sub.PlanID != p.ID) {
			return catalog.Subscription{}, notFound("subscription", id)
		}
		return sub, err
	}
	status := catalog.Active
	if !e.AutoApprove && !c.who.Provider {
		status = catalog.Pending
	}
	sub, err := s.subscribe(c, p, status, 0)
	if err == nil && sub.Status == catalog.Pending {
		return sub, forbidden("the subscription to %s waits for the provider's approval", p.Name)
	}
	return sub, err
}

func (s *Server) subscribe(c *call, p catalog.Plan, status string, limit int64) (catalog.Subscription, error) {
	return s.Catalog.Subscribe(c.ctx(), catalog.Subscription{
		ServiceID: p.ServiceID, EnvironmentID: p.EnvironmentID, PlanID: p.ID, OrgID: c.who.OrgID, UserID: c.who.UserID, UserEmail: c.who.Email, UserName: c.who.Name,
		Status: status, MaxInstances: limit, ChangedBy: c.who.UserID, ChangedByName: c.who.Name,
	})
}

func (s *Server) subscriptionView(c *call, sub catalog.Subscription) (subscriptionReply, error) {
	svc, err := s.Catalog.Service(c.ctx(), sub.ServiceID)
	if err != nil {
		return subscriptionReply{}, err
	}
	p, err := s.Catalog.Plan(c.ctx(), sub.ServiceID, sub.PlanID)
	if err != nil {
		return subscriptionReply{}, err
	}
	n, err := s.Catalog.Instances(c.ctx(), sub.ID)
	return subscriptionReply{
		ID: sub.ID, Status: sub.Status, ProductTierID: p.ID, ProductTierName: p.Name, ServiceID: svc.ID, ServiceName: svc.Name, RootUserID: sub.UserID,
		RootUserEmail: sub.UserEmail, RootUserName: sub.UserName, RootUserOrgID: sub.OrgID, CreatedAt: text(sub.CreateTime), UpdatedAt: text(sub.ChangeTime),
		UpdatedByUserID: sub.ChangedBy, UpdatedByUserName: sub.ChangedByName, InstanceCount: n, MaxInstances: sub.MaxInstances,
	}, err
}

// subscriptionsOf are those of the path's environment with one of the statuses.
func (s *Server) subscriptionsOf(c *call, is func(status string) bool) (ids []string, views []subscriptionReply, err error) {
	e, err := s.environment(c, c.PathValue("serviceId"), c.PathValue("environmentId"))
	if err != nil {
		return nil, nil, err
	}
	all, err := s.mySubscriptions(c)
	ids, views = []string{}, []subscriptionReply{}
	for _, sub := range all {
		if sub.EnvironmentID != e.ID || !is(sub.Status) {
			continue
		}
		view, err := s.subscriptionView(c, sub)
		if err != nil {
			return nil, nil, err
		}
		ids, views = append(ids, sub.ID), append(views, view)
	}
	return ids, views, err
}

func (s *Server) listSubscriptions(c *call) (any, error) {
	inactive := c.URL.Query().Get("includeInactive") == "true"
	ids, views, err := s.subscriptionsOf(c, func(status string) bool {
		return status == catalog.Active || status == catalog.Suspended || inactive && status == catalog.Terminated
	})
	return subscriptionsReply{ids, views}, err
}

func (s *Server) listRequests(c *call) (any, error) {
	ids, views, err := s.subscriptionsOf(c, func(status string) bool { return status == catalog.Pending || status == catalog.Denied })
	return requestsReply{ids, views}, err
}

func (s *Server) describeSubscription(c *call) (any, error) {
	sub, err := s.subscription(c)
	if err != nil {
		return nil, err
	}
	return s.subscriptionView(c, sub)
}

func (s *Server) subscribeCustomer(c *call) (any, error) {
	var req onBehalfRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	p, err := s.plan(c, c.PathValue("serviceId"), req.ProductTierID)
	if err == nil && p.EnvironmentID != c.PathValue("environmentId") {
		err = notFound("service plan", req.ProductTierID)
	}
	if err != nil {
		return nil, err
	}
	if req.MaxInstances < 0 {
		return nil, invalid("maxNumberOfInstances: want 0, which is no bound, or more")
	}
	u, err := s.Accounts.User(c.ctx(), req.UserID)
	if err != nil {
		return nil, err
	}
	sub, err := s.Catalog.Subscribe(c.ctx(), catalog.Subscription{
		ServiceID: p.ServiceID, EnvironmentID: p.EnvironmentID, PlanID: p.ID, OrgID: u.OrgID, UserID: u.ID, UserEmail: u.Email, UserName: u.Name,
		Status: catalog.Active, MaxInstances: req.MaxInstances, ChangedBy: c.who.UserID, ChangedByName: c.who.Name,
	})
	c.about.owner = u.OrgID
	return idReply{sub.ID}, err
}

func (s *Server) requestSubscription(c *call) (any, error) {
	var req subscribeRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	e, err := s.environment(c, c.PathValue("serviceId"), c.PathValue("environmentId"))
	if err != nil {
		return nil, err
	}
	p, err := s.plan(c, c.PathValue("serviceId"), req.ProductTierID)
	if err == nil && p.EnvironmentID != e.ID {
		err = notFound("service plan", req.ProductTierID)
	}
	if err != nil {
		return nil, err
	}
	status := catalog.Pending
	if e.AutoApprove {
		status = catalog.Active
	}
	sub, err := s.subscribe(c, p, status, 0)
	return idReply{sub.ID}, err
}

// setSubscription gives a subscription another status; from are those that it may
// have had.
func (s *Server) setSubscription(status string, from ...string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		sub, err := s.subscription(c)
		if err != nil {
			return nil, err
		}
		if len(from) > 0 && sub.Status != status && !slices.Contains(from, sub.Status) {
			return nil, conflict("the subscription is %s", sub.Status)
		}
		return nil, s.Catalog.SetStatus(c.ctx(), sub.ID, status, c.who.UserID, c.who.Name)
	}
}
