package fleet

import (
	"net/http"

	"github.com/daybreakdb/daybreak/internal/platform/account"
)

// route is one operation: what it is called with, who may, and what it answers. The
// OpenAPI document is made of these.
type route struct {
	Method, Path, Operation string
	open                    bool // without a token
	provider                bool // for the provider's people alone
	role                    account.Role
	status                  int   // of success; 0 is 200
	limit                   int64 // of the body; 0 is maxBody
	request, reply          any   // values of the types; nil is no body
	handle                  func(*call) (any, error)
}

func (r route) success() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// Roles that a route can need.
const (
	reads   = account.RoleReader
	writes  = account.RoleEditor
	manages = account.RoleAdmin
)

// routes are all operations. Spellings of paths differ as the clients' do.
func (s *Server) routes() []route {
	var all []route
	for _, some := range [][]route{
		s.signInRoutes(), s.userRoutes(), s.buildRoutes(), s.serviceRoutes(), s.planRoutes(), s.instanceRoutes(),
		s.workflowRoutes(), s.subscriptionRoutes(), s.upgradeRoutes(), s.operationsRoutes(), s.refusedRoutes(),
	} {
		all = append(all, some...)
	}
	return all
}
