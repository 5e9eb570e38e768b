package fleet

import (
	"github.com/daybreakdb/daybreak/internal/platform/account"
)

type createUserRequest struct {
	Email            string `json:"email"`
	Name             string `json:"name"`
	LegalCompanyName string `json:"legalCompanyName"`
	Password         string `json:"password"`
	AutoVerify       bool   `json:"enableAutoVerification"`
}

type accessUser struct {
	UserID            string `json:"userId"`
	Email             string `json:"email"`
	UserName          string `json:"userName"`
	OrgID             string `json:"orgId"`
	OrgName           string `json:"orgName"`
	Status            string `json:"status"`
	Enabled           bool   `json:"enabled"`
	CreatedAt         string `json:"createdAt"`
	LastModifiedAt    string `json:"lastModifiedAt"`
	InstanceCount     int64  `json:"instanceCount"`
	SubscriptionCount int64  `json:"subscriptionCount"`
}

type usersReply struct {
	Users []accessUser `json:"users"`
}

func (s *Server) userRoutes() []route {
	return []route{
		{Method: "GET", Path: "/fleet/users", Operation: "listAllUsers", role: reads, reply: usersReply{}, handle: s.listUsers},
		{Method: "POST", Path: "/fleet/user", Operation: "createConsumptionUser", provider: true, role: manages, request: createUserRequest{}, reply: "", handle: s.createUser},
		{Method: "GET", Path: "/fleet/user/{userId}", Operation: "describeOrgUser", role: reads, reply: accessUser{}, handle: s.describeUser},
		{Method: "DELETE", Path: "/fleet/user/{userId}", Operation: "deleteUser", provider: true, role: manages, handle: s.deleteUser},
		{Method: "PUT", Path: "/fleet/user/{userId}/suspend", Operation: "suspendUser", provider: true, role: manages, handle: s.suspendUser(true)},
		{Method: "PUT", Path: "/fleet/user/{userId}/unsuspend", Operation: "unsuspendUser", provider: true, role: manages, handle: s.suspendUser(false)},
		{Method: "GET", Path: "/fleet/service/{serviceId}/environment/{environmentId}/users", Operation: "listUsers", provider: true, role: reads, reply: usersReply{}, handle: s.listUsers},
	}
}

func (s *Server) userView(c *call, u account.User) (accessUser, error) {
	org, err := s.Accounts.Organization(c.ctx(), u.OrgID)
	if err != nil {
		return accessUser{}, err
	}
	status := "ACTIVE"
	if u.Suspended {
		status = "SUSPENDED"
	}
	out := accessUser{
		UserID: u.ID, Email: u.Email, UserName: u.Name, OrgID: org.ID, OrgName: org.Name, Status: status, Enabled: !u.Suspended,
		CreatedAt: text(u.CreateTime), LastModifiedAt: text(u.ChangeTime),
	}
	subscriptions, err := s.Catalog.Subscriptions(c.ctx())
	if err != nil {
		return out, err
	}
	for _, sub := range subscriptions {
		if sub.UserID != u.ID {
			continue
		}
		n, err := s.Catalog.Instances(c.ctx(), sub.ID)
		if err != nil {
			return out, err
		}
		out.SubscriptionCount++
		out.InstanceCount += n
	}
	return out, nil
}

func (s *Server) listUsers(c *call) (any, error) {
	org := ""
	if !c.who.Provider {
		org = c.who.OrgID
	}
	users, err := s.Accounts.Users(c.ctx(), org)
	if err != nil {
		return nil, err
	}
	out := usersReply{Users: []accessUser{}}
	for _, u := range users {
		view, err := s.userView(c, u)
		if err != nil {
			return nil, err
		}
		out.Users = append(out.Users, view)
	}
	return out, nil
}

// createUser makes a customer: the owner of an organisation, which is made with them.
func (s *Server) createUser(c *call) (any, error) {
	var req createUserRequest
	if err := c.read(&req); err != nil {
		return nil, err
	}
	if req.LegalCompanyName == "" {
		return nil, invalid("legalCompanyName: a customer belongs to an organisation")
	}
	u, err := s.Accounts.CreateUser(c.ctx(), account.NewUser{
		Email: req.Email, Name: req.Name, Password: req.Password, Organization: req.LegalCompanyName, Role: account.RoleRoot,
	})
	return u.ID, err
}

func (s *Server) describeUser(c *call) (any, error) {
	id := c.PathValue("userId")
	u, err := s.Accounts.User(c.ctx(), id)
	if err == nil && !c.who.Provider && u.OrgID != c.who.OrgID {
		err = notFound("user", id)
	}
	if err != nil {
		return nil, err
	}
	return s.userView(c, u)
}

func (s *Server) deleteUser(c *call) (any, error) {
	return nil, s.Accounts.DeleteUser(c.ctx(), c.PathValue("userId"))
}

func (s *Server) suspendUser(suspended bool) func(*call) (any, error) {
	return func(c *call) (any, error) {
		return nil, s.Accounts.SetSuspended(c.ctx(), c.PathValue("userId"), suspended)
	}
}
