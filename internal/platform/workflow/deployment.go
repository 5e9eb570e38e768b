// Package workflow keeps deployments: what a customer asked for, stored first,
// and the runs that make it so, each a list of steps that can be repeated. A run
// that was interrupted, by whatever, is taken up again by the next process. The
// package knows plans, Terraform runs and the AWS API; it must not know HTTP.
package workflow

import (
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// Deployment is stored under platform/deployments/<id>. Requests write it only
// while no run is under way; the engine writes it during a run.
type Deployment struct {
	ID         string    `json:"id"` // instance- and nine letters or digits
	Name       string    `json:"name"`
	CreateTime time.Time `json:"createTime"`

	Artifact string `json:"artifact"` // digest of the plan
	Origin   string `json:"origin,omitempty"`
	Commit   string `json:"commit,omitempty"`
	PlanName string `json:"planName"`
	Target   string `json:"target"`
	Provider string `json:"provider"`
	// Product is what it was bought as; one that was made from a local folder has none.
	Product Product           `json:"product,omitzero"`
	Tags    map[string]string `json:"tags,omitempty"`
	// Values are the parameters, sealed.
	Values []byte `json:"values"`

	Run Run `json:"run"`
	// Deployed says that a run of up has succeeded: from then on its databases
	// hold data.
	Deployed bool `json:"deployed,omitempty"`
	// Stopped says that its databases were told to stop.
	Stopped bool `json:"stopped,omitempty"`
	// Unsure says that an apply began and did not end well, so that AWS may have
	// resources that the state does not know.
	Unsure bool `json:"unsure,omitempty"`

	// Outputs are those of the last apply, sealed.
	Outputs   []byte                   `json:"outputs,omitempty"`
	Endpoints map[string]rest.Endpoint `json:"endpoints,omitempty"`
	Tool      string                   `json:"tool,omitempty"`
	Providers map[string]string        `json:"providers,omitempty"`
	Region    string                   `json:"region,omitempty"`
	Vpc       string                   `json:"vpc,omitempty"`
}

// Product says what a deployment was bought as, and whose it is.
type Product struct {
	ServiceID      string `json:"serviceId"`
	EnvironmentID  string `json:"environmentId"`
	PlanID         string `json:"planId"`
	Version        string `json:"version"`
	SubscriptionID string `json:"subscriptionId"`
	OrgID          string `json:"orgId"`
	UserID         string `json:"userId"`
}

// Run is the last run of a deployment.
type Run struct {
	ID        int64     `json:"id"`
	Operation Operation `json:"operation"`
	By        string    `json:"by,omitempty"` // the user who asked for it
	Requested time.Time `json:"requested,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	// Upgrade is what an upgrade puts in place of what there was.
	Upgrade *Upgrade `json:"upgrade,omitempty"`
	// Databases are those that the Terraform plan would destroy or replace, for which it
	// was stopped; Approved are those for which somebody has said that they may go.
	Databases []string `json:"databases,omitempty"`
	Approved  []string `json:"approved,omitempty"`
	// Terminate says that somebody wants the run to end.
	Terminate bool `json:"terminate,omitempty"`
	// Breakpoints are the events at which the run waits to be resumed; Held is the one
	// it waits at, and Passed are those that it need not wait at again.
	Breakpoints []string `json:"breakpoints,omitempty"`
	Held        string   `json:"held,omitempty"`
	Passed      []string `json:"passed,omitempty"`

	AllowReplace bool           `json:"allowReplace,omitempty"`
	Done         bool           `json:"done"`
	Failed       bool           `json:"failed,omitempty"`
	Changed      bool           `json:"changed,omitempty"`
	Message      string         `json:"message,omitempty"`
	Problems     []rest.Problem `json:"problems,omitempty"`
	Hint         string         `json:"hint,omitempty"`
	Steps        []Step         `json:"steps,omitempty"`
}

// Operation is what a run is for.
type Operation string

// Operations.
const (
	OperationUp     Operation = "up"
	OperationModify Operation = "modify"
	OperationDown   Operation = "down"
	// OperationUpgrade puts another version of the plan in the place of the one there is.
	OperationUpgrade Operation = "upgrade"
	// These are for the databases alone: no Terraform runs.
	OperationStop    Operation = "stop"
	OperationStart   Operation = "start"
	OperationRestart Operation = "restart"
)

// Upgrade says between which contents of a plan an upgrade goes.
type Upgrade struct {
	From, To Content
}

// Content is a plan's content, pinned.
type Content struct {
	Artifact string `json:"artifact"`
	Origin   string `json:"origin,omitempty"`
	Commit   string `json:"commit,omitempty"`
	Version  string `json:"version"`
}

func (d *Deployment) content() Content {
	return Content{Artifact: d.Artifact, Origin: d.Origin, Commit: d.Commit, Version: d.Product.Version}
}

func (d *Deployment) setContent(c Content) {
	d.Artifact, d.Origin, d.Commit, d.Product.Version = c.Artifact, c.Origin, c.Commit, c.Version
}

// Step is one step of a run.
type Step struct {
	Name    string    `json:"name"`
	Status  string    `json:"status"` // rest.Step…
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Detail  string    `json:"detail,omitempty"`
}

// Status is the deployment's status, which follows from its runs.
func (d *Deployment) Status() string {
	switch {
	case !d.Run.Done && d.Run.Operation == OperationDown:
		return rest.StatusDeleting
	case !d.Run.Done && d.Run.Operation == OperationStop:
		return rest.StatusStopping
	case !d.Run.Done && d.Run.Operation == OperationStart:
		return rest.StatusStarting
	case !d.Run.Done && d.Run.Operation == OperationRestart:
		return rest.StatusRestarting
	case !d.Run.Done && d.Deployed:
		return rest.StatusModifying
	case !d.Run.Done:
		return rest.StatusDeploying
	case d.Run.Failed:
		return rest.StatusFailed
	case d.Stopped:
		return rest.StatusStopped
	}
	return rest.StatusRunning
}

// storedOutput is an output as it is sealed.
type storedOutput = stack.Output

func Problems(ps spec.Problems) []rest.Problem {
	out := make([]rest.Problem, len(ps))
	for i, p := range ps {
		out[i] = rest.Problem{File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Message: p.Message}
	}
	return out
}
