// Package fleet serves the API that Omnistrate's clients call: omnistrate-ctl and
// the Go SDK. It translates between their words and the platform's accounts,
// catalog and deployments, which it keeps nothing beside. It must not know
// Terraform or the state.
package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/audit"
	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

// Prefix of every path.
const Prefix = "/2022-09-01-00"

// Config of the API.
type Config struct {
	Accounts *account.Accounts
	Catalog  *catalog.Catalog
	Engine   *workflow.Engine
	Upgrades *catalog.Upgrades
	Audit    *audit.Log
	Logger   *slog.Logger
	// AccountID is the AWS account, and Region the region, of the cell that instances
	// stand in.
	AccountID, Region string
}

// Server answers the calls.
type Server struct {
	Config
	tree node
}

// New returns the API's handler.
func New(c Config) *Server {
	s := &Server{Config: c}
	for _, r := range s.routes() {
		s.tree.add(r)
	}
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt, ok := s.tree.match(r)
	if !ok {
		rt = route{Operation: "none", open: true, handle: func(c *call) (any, error) {
			return nil, notFound("operation", c.Method+" "+strings.TrimPrefix(c.URL.Path, Prefix))
		}}
	}
	s.serve(w, r, rt)
}

// call is one request, and who makes it.
type call struct {
	*http.Request
	who   account.Principal
	limit int64
	// about is what the audit log says it was about.
	about struct{ service, instance, owner string }
}

func (c *call) ctx() context.Context { return c.Context() }

// from is the address that the request came from.
func (c *call) from() string {
	host, _, err := net.SplitHostPort(c.RemoteAddr)
	if err != nil {
		return c.RemoteAddr
	}
	return host
}

// Bounds of a request's body: most are small; a folder is sent as base64.
const (
	maxBody   = 1 << 20
	maxSpec   = 4 << 20
	maxFolder = workflow.MaxArtifactBytes/3*4 + 1<<16
)

// read decodes a JSON body: one value. Keys that are not known are left alone,
// as newer clients have some.
func (c *call) read(into any) error {
	data, err := io.ReadAll(io.LimitReader(c.Body, c.limit+1))
	if err != nil {
		return invalid("the body broke off")
	}
	if int64(len(data)) > c.limit {
		return invalid("the body is larger than %d bytes", c.limit)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return invalid("the body is not the JSON that is wanted: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("the body is more than one JSON value")
	}
	return nil
}

// serve lets in who may make the call, has it answered, and writes it down.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt route) {
	c := &call{Request: r, limit: maxBody}
	if rt.limit > 0 {
		c.limit = rt.limit
	}
	value, err := s.carryOut(c, rt)
	status, body := rt.success(), []byte(nil)
	if err == nil && value != nil {
		if body, err = json.Marshal(value); err != nil {
			err = errors.New("encode the answer: " + err.Error())
		}
	}
	var refused *apiError
	if err != nil {
		refused = s.refusal(c, err)
		status, body = refused.status, refused.encode()
	}
	changes := r.Method != http.MethodGet && rt.Operation != "search" || status == http.StatusUnauthorized
	if err := s.note(c, rt, status, refused, changes); err != nil {
		s.Logger.Error("audit log", "error", err)
		if changes && refused == nil {
			refused = s.refusal(c, errors.New("the audit log cannot be written"))
			status, body = refused.status, refused.encode()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (s *Server) carryOut(c *call, rt route) (any, error) {
	if rt.open {
		return rt.handle(c)
	}
	token, ok := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, &rest.Error{HTTPStatus: http.StatusUnauthorized, Message: "the token is missing: sign in"}
	}
	who, err := s.Accounts.Authenticate(c.ctx(), token)
	if err != nil {
		return nil, err
	}
	c.who = who
	if rt.provider && !who.Provider {
		return nil, forbidden("this is for the provider's people")
	}
	if !who.Role.Includes(rt.role) {
		return nil, forbidden("this needs the role %s, and yours is %s", rt.role, who.Role)
	}
	return rt.handle(c)
}

func (s *Server) note(c *call, rt route, status int, refused *apiError, changes bool) error {
	e := audit.Event{
		Time: time.Now().UTC(), Operation: rt.Operation, Method: c.Method, Path: c.URL.Path, Status: status,
		UserID: c.who.UserID, UserName: c.who.Name, OrgID: c.who.OrgID, OrgName: c.who.OrgName, Role: string(c.who.Role), AuthMethod: c.who.Method,
		IPAddress: c.from(), UserAgent: c.UserAgent(), ServiceID: c.about.service, InstanceID: c.about.instance, Owner: c.about.owner,
	}
	if refused != nil {
		e.Error = refused.Name
	}
	return s.Audit.Append(context.WithoutCancel(c.ctx()), e, changes)
}
