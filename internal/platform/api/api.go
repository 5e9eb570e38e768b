// Package api serves the platform's REST API. Handlers decode, call the engine
// and return a value or an error; one function turns either into the answer. It
// must not know Terraform or the state.
package api

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// Engine is what the handlers call.
type Engine interface {
	Upload(ctx context.Context, data []byte) (rest.Artifact, error)
	Up(ctx context.Context, name string, req rest.UpRequest) (rest.Run, error)
	Modify(ctx context.Context, name string, req rest.ModifyRequest) (rest.Run, error)
	Down(ctx context.Context, name string) (rest.Run, error)
	List(ctx context.Context) ([]rest.Deployment, error)
	Describe(ctx context.Context, name string, showSecrets bool) (rest.Deployment, error)
	Log(ctx context.Context, name string, follow bool, w io.Writer, flush func()) error
}

// Config of the API.
type Config struct {
	Engine  Engine
	Token   string // of the administrator
	Status  func() rest.Status
	Metrics http.Handler
	// Fleet serves what Omnistrate's clients call, below FleetPrefix. It asks its callers
	// itself who they are.
	Fleet       http.Handler
	FleetPrefix string
	Accounts    Accounts
	Audit       Audit
	Logger      *slog.Logger
	// MaxArtifact bounds an uploaded plan, in bytes.
	MaxArtifact int64
}

// maxBody bounds every other request.
const maxBody = 1 << 20

type server struct{ Config }

// New returns the API's handler.
func New(c Config) http.Handler {
	s := server{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.answer(func(*http.Request) (any, error) { return c.Status(), nil }))
	mux.HandleFunc("POST /v1/artifacts", s.answer(s.upload))
	mux.HandleFunc("GET /v1/deployments", s.answer(func(r *http.Request) (any, error) { return c.Engine.List(r.Context()) }))
	mux.HandleFunc("GET /v1/deployments/{name}", s.answer(s.describe))
	mux.HandleFunc("PUT /v1/deployments/{name}", s.answer(s.up))
	mux.HandleFunc("PATCH /v1/deployments/{name}", s.answer(s.modify))
	mux.HandleFunc("DELETE /v1/deployments/{name}", s.answer(s.down))
	mux.HandleFunc("GET /v1/deployments/{name}/log", s.log)
	mux.Handle("GET /metrics", c.Metrics)
	if c.Accounts != nil {
		mux.HandleFunc("GET /v1/users", s.answer(s.users))
		mux.HandleFunc("POST /v1/users", s.answer(s.createUser))
		mux.HandleFunc("DELETE /v1/users/{id}", s.answer(s.deleteUser))
		mux.HandleFunc("PUT /v1/users/{id}/password", s.answer(s.setPassword))
	}
	if c.Audit != nil {
		mux.HandleFunc("GET /v1/audit", s.exportAudit)
		mux.HandleFunc("GET /v1/audit/verification", s.answer(s.verifyAudit))
	}
	mux.HandleFunc("/", s.answer(func(r *http.Request) (any, error) {
		return nil, &rest.Error{HTTPStatus: http.StatusNotFound, Code: rest.CodeNotFound, Message: "there is no " + r.Method + " " + r.URL.Path}
	}))
	if c.Audit == nil {
		return s.guard(mux)
	}
	written := s.written(s.guard(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Fleet writes its own calls down; programs ask all the time how the server is.
		if c.Fleet != nil && strings.HasPrefix(r.URL.Path, c.FleetPrefix+"/") || r.URL.Path == "/v1/status" || r.URL.Path == "/metrics" {
			s.guard(mux).ServeHTTP(w, r)
			return
		}
		written.ServeHTTP(w, r)
	})
}

// guard lets in only who has the token, and only under an address or a local
// name: a web page of another site could reach us by a name of its own.
func (s server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localHost(r.Host) {
			s.refuse(w, r, &rest.Error{HTTPStatus: http.StatusForbidden, Code: rest.CodeUnauthorized, Message: "this name is not ours: use an address or localhost"})
			return
		}
		if s.Fleet != nil && strings.HasPrefix(r.URL.Path, s.FleetPrefix+"/") {
			s.Fleet.ServeHTTP(w, r)
			return
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) != 1 {
			s.refuse(w, r, &rest.Error{HTTPStatus: http.StatusUnauthorized, Code: rest.CodeUnauthorized,
				Message: "the token is missing or wrong", Hint: "It is in the data directory, in keys/credentials.json."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func localHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	_, err = netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}

// answer turns what a handler returns into the response.
func (s server) answer(handle func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := handle(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		data, err := json.Marshal(value)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	}
}

// refuse answers with an error. One that is not meant for the caller is logged
// and answered without its text.
func (s server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refused *rest.Error
	if !errors.As(err, &refused) {
		s.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		refused = &rest.Error{HTTPStatus: http.StatusInternalServerError, Code: rest.CodeInternal,
			Message: "the request failed in the server", Hint: "Its log says why: control.log in the data directory's log folder."}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.HTTPStatus)
	_, _ = w.Write(refused.Encode())
}

func badRequest(message string) error {
	return &rest.Error{HTTPStatus: http.StatusBadRequest, Code: rest.CodeInvalid, Message: message}
}

// read reads a body of at most limit bytes.
func read(r *http.Request, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, badRequest("the body broke off")
	}
	if int64(len(data)) > limit {
		return nil, &rest.Error{HTTPStatus: http.StatusRequestEntityTooLarge, Code: rest.CodeInvalid, Message: fmt.Sprintf("the body is larger than %d bytes", limit)}
	}
	return data, nil
}

// decode reads a JSON body: one value, without a field that is not known.
func decode(r *http.Request, into any) error {
	data, err := read(r, maxBody)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return badRequest("the body is not the JSON that is wanted: " + err.Error())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body is more than one JSON value")
	}
	return nil
}

func (s server) upload(r *http.Request) (any, error) {
	data, err := read(r, s.MaxArtifact)
	if err != nil {
		return nil, err
	}
	return s.Engine.Upload(r.Context(), data)
}

func (s server) up(r *http.Request) (any, error) {
	var req rest.UpRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	return s.Engine.Up(r.Context(), r.PathValue("name"), req)
}

func (s server) modify(r *http.Request) (any, error) {
	var req rest.ModifyRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	return s.Engine.Modify(r.Context(), r.PathValue("name"), req)
}

func (s server) down(r *http.Request) (any, error) {
	return s.Engine.Down(r.Context(), r.PathValue("name"))
}

func (s server) describe(r *http.Request) (any, error) {
	return s.Engine.Describe(r.Context(), r.PathValue("name"), r.URL.Query().Get("showSecrets") == "true")
}

func (s server) log(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	begun := false
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	err := s.Engine.Log(r.Context(), r.PathValue("name"), r.URL.Query().Get("follow") == "true", w, func() {
		begun = true
		_ = control.Flush()
	})
	switch {
	case err != nil && begun: // too late for another answer: break it off
		s.Logger.Error("log broken off", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	case err != nil:
		s.refuse(w, r, err)
	}
}
