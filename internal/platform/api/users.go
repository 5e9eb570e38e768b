package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// Accounts is what the handlers of users call.
type Accounts interface {
	Users(ctx context.Context, org string) ([]account.User, error)
	User(ctx context.Context, id string) (account.User, error)
	CreateUser(ctx context.Context, n account.NewUser) (account.User, error)
	DeleteUser(ctx context.Context, id string) error
	SetPassword(ctx context.Context, id, password string) error
	Organization(ctx context.Context, id string) (account.Organization, error)
}

// Audit is the log of all calls.
type Audit interface {
	Export(ctx context.Context, w io.Writer) error
	Verify(ctx context.Context) (int64, error)
	Append(ctx context.Context, e audit.Event, changes bool) error
}

// status is what a handler answered with.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets a handler flush.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// written serves a request and writes it down.
func (s server) written(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := &status{w, http.StatusOK}
		next.ServeHTTP(asked, r)
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		e := audit.Event{
			Time: time.Now().UTC(), Operation: "v1", Method: r.Method, Path: r.URL.Path, Status: asked.code, IPAddress: host, UserAgent: r.UserAgent(),
		}
		if asked.code != http.StatusUnauthorized {
			e.AuthMethod, e.OrgID, e.UserName = "credential", account.ProviderOrg, "installation"
		}
		if err := s.Audit.Append(context.WithoutCancel(r.Context()), e, r.Method != http.MethodGet || asked.code == http.StatusUnauthorized); err != nil {
			s.Logger.Error("audit log", "error", err)
		}
	})
}

func (s server) userView(r *http.Request, u account.User) (rest.User, error) {
	org, err := s.Accounts.Organization(r.Context(), u.OrgID)
	return rest.User{
		ID: u.ID, Email: u.Email, Name: u.Name, Organization: org.Name, Provider: org.Provider, Role: string(u.Role), Suspended: u.Suspended,
	}, err
}

func (s server) users(r *http.Request) (any, error) {
	users, err := s.Accounts.Users(r.Context(), "")
	out := []rest.User{}
	for _, u := range users {
		view, err := s.userView(r, u)
		if err != nil {
			return nil, err
		}
		out = append(out, view)
	}
	return out, err
}

func (s server) createUser(r *http.Request) (any, error) {
	var req rest.NewUser
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	u, err := s.Accounts.CreateUser(r.Context(), account.NewUser{
		Email: req.Email, Name: req.Name, Organization: req.Organization, Role: account.Role(req.Role), Password: req.Password,
	})
	if err != nil {
		return nil, err
	}
	return s.userView(r, u)
}

func (s server) setPassword(r *http.Request) (any, error) {
	var req rest.NewPassword
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	u, err := s.Accounts.User(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.SetPassword(r.Context(), u.ID, req.Password); err != nil {
		return nil, err
	}
	return s.userView(r, u)
}

func (s server) deleteUser(r *http.Request) (any, error) {
	u, err := s.Accounts.User(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	view, err := s.userView(r, u)
	if err != nil {
		return nil, err
	}
	return view, s.Accounts.DeleteUser(r.Context(), u.ID)
}

func (s server) exportAudit(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := s.Audit.Export(r.Context(), w); err != nil {
		s.refuse(w, r, err)
	}
}

func (s server) verifyAudit(r *http.Request) (any, error) {
	n, err := s.Audit.Verify(r.Context())
	v := rest.Verification{Events: n, Intact: err == nil}
	if err != nil {
		v.Problem = err.Error()
	}
	return v, nil
}
