package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Client calls the API at BaseURL with Token.
type Client struct {
	BaseURL string // http://127.0.0.1:8420
	Token   string
	// Patience is how long a server that takes no connections is waited for: one that
	// is being started again.
	Patience time.Duration
}

// Status asks what server this is.
func (c Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Upload stores a plan.
func (c Client) Upload(ctx context.Context, archive []byte) (Artifact, error) {
	var a Artifact
	return a, c.send(ctx, http.MethodPost, "/v1/artifacts", "application/gzip", archive, &a)
}

// Up makes or changes a deployment.
func (c Client) Up(ctx context.Context, name string, req UpRequest) (Run, error) {
	var r Run
	return r, c.call(ctx, http.MethodPut, deploymentPath(name), req, &r)
}

// Modify changes parameters of a deployment.
func (c Client) Modify(ctx context.Context, name string, req ModifyRequest) (Run, error) {
	var r Run
	return r, c.call(ctx, http.MethodPatch, deploymentPath(name), req, &r)
}

// Down removes a deployment and what it made.
func (c Client) Down(ctx context.Context, name string) (Run, error) {
	var r Run
	return r, c.call(ctx, http.MethodDelete, deploymentPath(name), nil, &r)
}

// Users lists who may sign in.
func (c Client) Users(ctx context.Context) ([]User, error) {
	var us []User
	return us, c.call(ctx, http.MethodGet, "/v1/users", nil, &us)
}

// CreateUser makes a user.
func (c Client) CreateUser(ctx context.Context, n NewUser) (User, error) {
	var u User
	return u, c.call(ctx, http.MethodPost, "/v1/users", n, &u)
}

// SetPassword gives a user another password, which ends their sessions.
func (c Client) SetPassword(ctx context.Context, id string, n NewPassword) (User, error) {
	var u User
	return u, c.call(ctx, http.MethodPut, "/v1/users/"+url.PathEscape(id)+"/password", n, &u)
}

// DeleteUser removes a user.
func (c Client) DeleteUser(ctx context.Context, id string) (User, error) {
	var u User
	return u, c.call(ctx, http.MethodDelete, "/v1/users/"+url.PathEscape(id), nil, &u)
}

// VerifyAudit says whether the audit log was changed.
func (c Client) VerifyAudit(ctx context.Context) (Verification, error) {
	var v Verification
	return v, c.call(ctx, http.MethodGet, "/v1/audit/verification", nil, &v)
}

// List returns every deployment.
func (c Client) List(ctx context.Context) ([]Deployment, error) {
	var ds []Deployment
	return ds, c.call(ctx, http.MethodGet, "/v1/deployments", nil, &ds)
}

// Describe returns one deployment.
func (c Client) Describe(ctx context.Context, name string, showSecrets bool) (Deployment, error) {
	path := deploymentPath(name)
	if showSecrets {
		path += "?showSecrets=true"
	}
	var d Deployment
	return d, c.call(ctx, http.MethodGet, path, nil, &d)
}

// Log streams Terraform's words about a deployment; with follow, until its run
// is done.
func (c Client) Log(ctx context.Context, name string, follow bool) (io.ReadCloser, error) {
	path := deploymentPath(name) + "/log"
	if follow {
		path += "?follow=true"
	}
	resp, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func deploymentPath(name string) string { return "/v1/deployments/" + url.PathEscape(name) }

func (c Client) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	return c.send(ctx, method, path, "application/json", body, out)
}

func (c Client) send(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	resp, err := c.do(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("answer to %s %s: %w", method, path, err)
	}
	return nil
}

// redial is the pause between tries to connect.
const redial = 100 * time.Millisecond

// deliver sends a request once. A connection that was refused has carried nothing, so
// it is tried again.
func (c Client) deliver(req *http.Request) (*http.Response, error) {
	for deadline := time.Now().Add(c.Patience); ; {
		resp, err := http.DefaultClient.Do(req)
		if !errors.Is(err, syscall.ECONNREFUSED) || !time.Now().Before(deadline) {
			return resp, err
		}
		select {
		case <-time.After(redial):
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
}

// do returns an answer of the 2xx kind, or the server's Error.
func (c Client) do(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.deliver(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	refused := &Error{HTTPStatus: resp.StatusCode}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(refused); err != nil || refused.Message == "" {
		return nil, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return nil, refused
}
