// Package rest is the platform's API as its clients see it: the JSON of requests
// and answers, and a Go client. It imports nothing of the platform.
package rest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Paths of the API, version 1.
//
//	GET    /v1/status                              Status
//	POST   /v1/artifacts                           a tar.gz with spec.yaml and stack/…; answers Artifact
//	PUT    /v1/deployments/{name}                  UpRequest; answers Run
//	PATCH  /v1/deployments/{name}                  ModifyRequest; answers Run
//	DELETE /v1/deployments/{name}                  answers Run
//	GET    /v1/deployments                         []Deployment
//	GET    /v1/deployments/{name}?showSecrets=     Deployment
//	GET    /v1/deployments/{name}/log?follow=      text
//	GET    /v1/users                               []User
//	POST   /v1/users                               NewUser; answers User
//	PUT    /v1/users/{id}/password                 NewPassword; answers User
//	DELETE /v1/users/{id}                          answers User; id or e-mail address
//	GET    /v1/audit                               JSON lines
//	GET    /v1/audit/verification                  Verification
//	GET    /metrics                                Prometheus' text format
//
// What Omnistrate's clients call is below /2022-09-01-00; /2022-09-01-00/openapi.json
// describes it.

// Status says what server this is.
type Status struct {
	Version    string `json:"version"`
	Region     string `json:"region"`
	RegionURL  string `json:"regionUrl"`
	CAFile     string `json:"caFile"`
	Durability string `json:"durability"`       // what the copies on this machine survive, in plain words
	Encryption string `json:"encryption"`       // what is encrypted at rest, in plain words
	Notice     string `json:"notice,omitempty"` // what is not as one would expect on this machine
}

// Artifact is an uploaded plan.
type Artifact struct {
	Digest string `json:"digest"` // sha256:…
}

// Targets of a deployment.
const (
	TargetEmbedded = "embedded"
	TargetAWS      = "aws"
)

// Providers of hashicorp/aws.
const (
	ProviderEmbedded = "embedded"
	ProviderRegistry = "registry"
)

// UpRequest makes a deployment, or changes the one of that name to be so.
type UpRequest struct {
	Artifact   string         `json:"artifact"` // digest
	Parameters map[string]any `json:"parameters,omitempty"`
	Target     string         `json:"target,omitempty"`   // embedded or aws
	Provider   string         `json:"provider,omitempty"` // embedded or registry
	Origin     string         `json:"origin,omitempty"`   // for people: where the plan came from
	// AllowReplace approves a Terraform plan that destroys or replaces a database.
	AllowReplace bool `json:"allowReplace,omitempty"`
}

// ModifyRequest changes parameters of a deployment.
type ModifyRequest struct {
	Parameters   map[string]any `json:"parameters"`
	AllowReplace bool           `json:"allowReplace,omitempty"`
}

// Run is one run of Terraform for a deployment.
type Run struct {
	ID         int64  `json:"id"` // counts up within a deployment
	Deployment string `json:"deployment"`
}

// Statuses of a deployment, in Omnistrate's words.
const (
	StatusDeploying = "DEPLOYING"
	StatusRunning   = "RUNNING"
	StatusModifying = "MODIFYING"
	StatusDeleting  = "DELETING"
	StatusFailed    = "FAILED"

	StatusStopping   = "STOPPING"
	StatusStopped    = "STOPPED"
	StatusStarting   = "STARTING"
	StatusRestarting = "RESTARTING"
)

// Deployment is what there is of one. Sensitive values read Masked unless they
// were asked for.
type Deployment struct {
	ID         string              `json:"id"` // instance-…
	Name       string              `json:"name"`
	Status     string              `json:"status"`
	Changed    bool                `json:"changed"` // by the last run
	Message    string              `json:"message,omitempty"`
	Problems   []Problem           `json:"problems,omitempty"`
	Hint       string              `json:"hint,omitempty"`
	Plan       Plan                `json:"plan"`
	Target     string              `json:"target"`
	Provider   string              `json:"provider"`
	Tool       string              `json:"tool,omitempty"`      // Terraform or OpenTofu, with its version
	Providers  map[string]string   `json:"providers,omitempty"` // hashicorp/aws: 5.100.0
	Region     string              `json:"region"`
	Parameters map[string]any      `json:"parameters"`
	Outputs    map[string]any      `json:"outputs"`
	Endpoints  map[string]Endpoint `json:"endpoints"`
	Run        RunState            `json:"run"`
	Steps      []Step              `json:"steps"` // of the last run
	CreateTime time.Time           `json:"createTime"`
}

// Plan is the service plan that a deployment was made from.
type Plan struct {
	Name     string `json:"name"`
	Artifact string `json:"artifact"`
	Origin   string `json:"origin,omitempty"`
	Commit   string `json:"commit,omitempty"`
}

// Endpoint is where applications connect.
type Endpoint struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// RunState is the state of the last run.
type RunState struct {
	ID        int64  `json:"id"`
	Operation string `json:"operation"` // up, modify or down
	Done      bool   `json:"done"`
	Failed    bool   `json:"failed"`
}

// Step is one step of a run.
type Step struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"` // running, done or failed
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail,omitempty"`
}

// Statuses of a step.
const (
	StepRunning = "running"
	StepDone    = "done"
	StepFailed  = "failed"
)

// User may sign in.
type User struct {
	ID           string `json:"id"`
	Email        string `json:"email"`
	Name         string `json:"name"`
	Organization string `json:"organization"`
	Provider     bool   `json:"provider"`
	Role         string `json:"role"` // root, admin, editor or reader
	Suspended    bool   `json:"suspended"`
}

// NewUser is what a user is made of. Without an organisation they are the provider's.
type NewUser struct {
	Email        string `json:"email"`
	Name         string `json:"name,omitempty"`
	Organization string `json:"organization,omitempty"`
	Role         string `json:"role,omitempty"`
	Password     string `json:"password"`
}

// NewPassword is another password of a user.
type NewPassword struct {
	Password string `json:"password"`
}

// Verification says what is known of the audit log.
type Verification struct {
	Events  int64  `json:"events"`
	Intact  bool   `json:"intact"`
	Problem string `json:"problem,omitempty"`
}

// Masked stands for a sensitive value.
const Masked = "(sensitive)"

// Problem is one thing that is wrong with what was given.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"` // a key of the spec or a parameter
	Message string `json:"message"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:", p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
		}
		b.WriteByte(' ')
	}
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	b.WriteString(p.Message)
	return b.String()
}

// Codes of errors.
const (
	CodeInvalid      = "invalid_request"
	CodeUnauthorized = "unauthorized"
	CodeNotFound     = "not_found"
	CodeConflict     = "conflict"           // a run is under way
	CodeTarget       = "target_unavailable" // AWS or the region did not answer, or refused our credentials
	CodeInternal     = "internal"
)

// Error is the answer to a request that was refused.
type Error struct {
	HTTPStatus int       `json:"-"`
	Code       string    `json:"code"`
	Message    string    `json:"message"`
	Problems   []Problem `json:"problems,omitempty"`
	Hint       string    `json:"hint,omitempty"`
}

func (e *Error) Error() string {
	lines := []string{e.Message}
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// Encode is the JSON of the error.
func (e *Error) Encode() []byte {
	data, _ := json.Marshal(e)
	return data
}
