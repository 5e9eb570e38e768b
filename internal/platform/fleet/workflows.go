package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

type workflowReply struct {
	ID              string `json:"id"`
	WorkflowType    string `json:"WorkflowType"`
	Status          string `json:"status"`
	CloudProvider   string `json:"cloudProvider"`
	OrgName         string `json:"orgName"`
	StartTime       string `json:"startTime"`
	EndTime         string `json:"endTime,omitempty"`
	ServicePlanName string `json:"servicePlanName"`
	PlanType        string `json:"planType"`
	UpdatedBy       string `json:"UpdatedBy"`
	UpdatedReason   string `json:"UpdatedReason"`
	ResourceCount   int64  `json:"ResourceCount"`
}

type workflowsReply struct {
	EnvironmentID string          `json:"environmentId"`
	ServiceID     string          `json:"serviceId"`
	Workflows     []workflowReply `json:"workflows"`
}

type resourceStatus struct {
	ResourceName string `json:"resourceName"`
	Status       string `json:"status"`
	ActionHook   string `json:"actionHookDeploymentStatus"`
	Compute      string `json:"computeDeploymentStatus"`
	Config       string `json:"configurationStatus"`
	Infra        string `json:"infraDeploymentStatus"`
	Monitoring   string `json:"monitoringStatus"`
	Network      string `json:"networkDeploymentStatus"`
	Storage      string `json:"storageDeploymentStatus"`
}

type workflowDetail struct {
	Workflow      workflowReply    `json:"Workflow"`
	EnvironmentID string           `json:"environmentId"`
	ServiceID     string           `json:"serviceId"`
	Resources     []resourceStatus `json:"Resources"`
}

type workflowEvent struct {
	EventTime string `json:"eventTime"`
	EventType string `json:"eventType"`
	Message   string `json:"message"`
}

type stepEvents struct {
	StepName string          `json:"stepName"`
	Events   []workflowEvent `json:"events"`
}

type resourceEvents struct {
	ResourceID    string       `json:"resourceId"`
	ResourceKey   string       `json:"resourceKey"`
	ResourceName  string       `json:"resourceName"`
	WorkflowSteps []stepEvents `json:"workflowSteps"`
}

type workflowEventsReply struct {
	ID            string           `json:"id"`
	EnvironmentID string           `json:"environmentId"`
	ServiceID     string           `json:"serviceId"`
	Resources     []resourceEvents `json:"resources"`
}

type workflowSummary struct {
	EnvironmentID string `json:"environmentId"`
	ServiceID     string `json:"serviceId"`
	Active        int64  `json:"ActiveWorkflowCount"`
	Completed     int64  `json:"CompletedWorkflowCount"`
	Failed        int64  `json:"FailedWorkflowCount"`
}

type workflowChange struct {
	Status string `json:"status"`
}

func (s *Server) workflowRoutes() []route {
	of := "/fleet/service/{serviceId}/environment/{environmentId}/service-workflows"
	return []route{
		{Method: "GET", Path: of, Operation: "listServiceWorkflows", role: reads, reply: workflowsReply{}, handle: s.listWorkflows},
		{Method: "GET", Path: of + "-summary", Operation: "describeServiceWorkflowSummary", role: reads, reply: workflowSummary{}, handle: s.summarizeWorkflows},
		{Method: "GET", Path: of + "/{id}", Operation: "describeServiceWorkflow", role: reads, reply: workflowDetail{}, handle: s.describeWorkflow},
		{Method: "GET", Path: of + "/{id}/events", Operation: "getWorkflowEvents", role: reads, reply: workflowEventsReply{}, handle: s.workflowEvents},
		{Method: "DELETE", Path: of + "/{id}", Operation: "terminateServiceWorkflow", role: writes, reply: workflowReply{}, handle: s.terminateWorkflow},
		{Method: "PATCH", Path: of + "/{id}", Operation: "updateServiceWorkflow", role: writes, request: workflowChange{}, reply: workflowReply{}, handle: s.changeWorkflow},
	}
}

// verbs of operations, as clients look for them in a workflow's id.
var workflowVerbs = map[workflow.Operation]string{
	workflow.OperationUp: "create", workflow.OperationModify: "modify", workflow.OperationDown: "delete", workflow.OperationUpgrade: "upgrade",
	workflow.OperationStop: "stop", workflow.OperationStart: "start", workflow.OperationRestart: "restart",
}

func workflowID(f workflow.Filed) string {
	return fmt.Sprintf("submit-%s-%s-%d", workflowVerbs[f.Run.Operation], f.Deployment, f.Run.Requested.UnixMicro())
}

// instanceOf is the instance of a workflow, which its id has.
func instanceOf(id string) string {
	_, rest, _ := strings.Cut(id, "instance-")
	name, _, _ := strings.Cut(rest, "-")
	return "instance-" + name
}

func workflowStatus(r workflow.Run) string {
	switch {
	case r.Done && r.Terminate && r.Failed:
		return "CANCELLED"
	case r.Done && r.Failed:
		return "FAILED"
	case r.Done:
		return "SUCCESS"
	case len(r.Steps) == 0:
		return "PENDING"
	}
	return "RUNNING"
}

func (s *Server) workflowView(c *call, f workflow.Filed) workflowReply {
	org, err := s.Accounts.Organization(c.ctx(), f.Product.OrgID)
	if err != nil {
		org.Name = f.Product.OrgID
	}
	reason := f.Run.Message
	if f.Run.Held != "" {
		reason = "held at " + f.Run.Held
	}
	return workflowReply{
		ID: workflowID(f), WorkflowType: strings.ToUpper(workflowVerbs[f.Run.Operation]), Status: workflowStatus(f.Run), CloudProvider: "aws", OrgName: org.Name,
		StartTime: text(f.Run.Requested), EndTime: text(f.Run.Ended), ServicePlanName: f.PlanName, PlanType: "CUSTOMER_HOSTED", UpdatedBy: f.Run.By, UpdatedReason: reason, ResourceCount: 1,
	}
}

// runs are those of the path's environment that the caller sees, newest first.
func (s *Server) runs(c *call, instance string) ([]workflow.Filed, error) {
	service, environment := c.PathValue("serviceId"), c.PathValue("environmentId")
	if service != localService || !c.who.Provider {
		if _, err := s.environment(c, service, environment); err != nil {
			return nil, err
		}
	}
	all, err := s.Engine.Runs(c.ctx(), instance)
	var mine []workflow.Filed
	for _, f := range all {
		f.Product = productOf(workflow.Deployment{Product: f.Product})
		if f.Product.ServiceID == service && f.Product.EnvironmentID == environment && c.owns(f.Product) {
			mine = append(mine, f)
		}
	}
	return mine, err
}

// workflow is that of the path.
func (s *Server) workflow(c *call) (workflow.Filed, error) {
	id := c.PathValue("id")
	runs, err := s.runs(c, instanceOf(id))
	if err != nil {
		return workflow.Filed{}, err
	}
	for _, f := range runs {
		if workflowID(f) == id {
			c.about.instance, c.about.owner = f.Deployment, f.Product.OrgID
			return f, nil
		}
	}
	return workflow.Filed{}, notFound("workflow", id)
}

// between leaves what began in the time that the query names.
func between(c *call, runs []workflow.Filed) ([]workflow.Filed, error) {
	for name, outside := range map[string]func(at, bound time.Time) bool{"startDate": time.Time.Before, "endDate": time.Time.After} {
		value := c.URL.Query().Get(name)
		if value == "" {
			continue
		}
		bound, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil, invalid("%s: want a time as 2026-01-02T15:04:05Z", name)
		}
		runs = slices.DeleteFunc(runs, func(f workflow.Filed) bool { return outside(f.Run.Requested, bound) })
	}
	return runs, nil
}

func (s *Server) listWorkflows(c *call) (any, error) {
	runs, err := s.runs(c, c.URL.Query().Get("instanceId"))
	if err == nil {
		runs, err = between(c, runs)
	}
	if err != nil {
		return nil, err
	}
	out := workflowsReply{c.PathValue("environmentId"), c.PathValue("serviceId"), []workflowReply{}}
	for _, f := range runs[:min(len(runs), 200)] {
		out.Workflows = append(out.Workflows, s.workflowView(c, f))
	}
	return out, nil
}

func (s *Server) summarizeWorkflows(c *call) (any, error) {
	runs, err := s.runs(c, "")
	out := workflowSummary{EnvironmentID: c.PathValue("environmentId"), ServiceID: c.PathValue("serviceId")}
	for _, f := range runs {
		switch workflowStatus(f.Run) {
		case "SUCCESS":
			out.Completed++
		case "FAILED", "CANCELLED":
			out.Failed++
		default:
			out.Active++
		}
	}
	return out, err
}

func (s *Server) describeWorkflow(c *call) (any, error) {
	f, err := s.workflow(c)
	if err != nil {
		return nil, err
	}
	status := workflowStatus(f.Run)
	return workflowDetail{
		s.workflowView(c, f), c.PathValue("environmentId"), c.PathValue("serviceId"),
		[]resourceStatus{{f.PlanName, status, "N/A", status, status, status, status, status, status}},
	}, nil
}

// stages are what clients call groups of steps.
var stages = []struct {
	name  string
	steps []string
}{
	{"Bootstrap", []string{"opentofu", "render", "init", "validate"}},
	{"Deployment", []string{"start", "plan", "apply", "destroy", "outputs", "leftovers", "stop", "restart"}},
	{"Monitoring", []string{"endpoints"}},
}

func (s *Server) workflowEvents(c *call) (any, error) {
	f, err := s.workflow(c)
	if err != nil {
		return nil, err
	}
	out := resourceEvents{ResourceID: "r-local", ResourceKey: "stack", ResourceName: f.PlanName, WorkflowSteps: []stepEvents{}}
	if p, err := s.Catalog.Plan(c.ctx(), f.Product.ServiceID, f.Product.PlanID); err == nil {
		if v, err := s.Catalog.Version(c.ctx(), p, f.Product.Version); err == nil {
			out.ResourceID, out.ResourceKey, out.ResourceName = p.ResourceID, v.ResourceKey, v.ResourceName
		}
	}
	for _, stage := range stages {
		if events := stageEvents(f.Run, stage.steps); len(events) > 0 {
			out.WorkflowSteps = append(out.WorkflowSteps, stepEvents{stage.name, events})
		}
	}
	return workflowEventsReply{c.PathValue("id"), c.PathValue("environmentId"), c.PathValue("serviceId"), []resourceEvents{out}}, nil
}

// stageEvents tell what the steps of a stage did. A stage is over with its last step.
func stageEvents(r workflow.Run, names []string) []workflowEvent {
	events := []workflowEvent{}
	last := ""
	var ended time.Time
	for _, step := range r.Steps {
		if !slices.Contains(names, step.Name) {
			continue
		}
		if len(events) == 0 {
			events = append(events, workflowEvent{text(step.Started), "WorkflowStepStarted", step.Name})
		}
		events = append(events, workflowEvent{text(step.Started), "WorkflowStepDebug", strings.TrimSuffix(step.Name+": "+step.Status+", "+step.Detail, ", ")})
		last, ended = step.Status, step.Ended
	}
	switch {
	case len(events) == 0:
	case last == rest.StepFailed:
		events = append(events, workflowEvent{text(ended), "WorkflowStepFailed", r.Message})
	case last == rest.StepDone && (r.Done || !slices.Contains(names, r.Steps[len(r.Steps)-1].Name)):
		events = append(events, workflowEvent{text(ended), "WorkflowStepCompleted", "done"})
	}
	return events
}

// last refuses to change a workflow that another has followed.
func (s *Server) last(c *call) (workflow.Filed, error) {
	f, err := s.workflow(c)
	if err != nil {
		return f, err
	}
	d, err := s.Engine.ByID(c.ctx(), f.Deployment)
	if isNotFound(err) || err == nil && d.Run.ID != f.Run.ID {
		return f, conflict("the workflow is over")
	}
	return f, err
}

func (s *Server) terminateWorkflow(c *call) (any, error) {
	f, err := s.last(c)
	if err == nil {
		err = s.Engine.Terminate(c.ctx(), f.Deployment)
	}
	return s.workflowView(c, f), err
}

func (s *Server) changeWorkflow(c *call) (any, error) {
	var req workflowChange
	if err := c.read(&req); err != nil {
		return nil, err
	}
	f, err := s.last(c)
	if err != nil {
		return nil, err
	}
	switch strings.ToLower(req.Status) {
	case "resume":
		err = s.Engine.Resume(c.ctx(), f.Deployment, c.who.UserID)
	case "retry":
		err = s.Engine.Retry(c.ctx(), f.Deployment, c.who.UserID)
	default:
		err = invalid("status %q: want resume or retry", req.Status)
	}
	return s.workflowView(c, f), err
}

// breakpointOf is an event as workflows know it: clients write TerraformPlanStart,
// or with something between.
func breakpointOf(event string) (string, error) {
	squeezed := strings.NewReplacer(":", "", "-", "", "_", "", " ", "").Replace(strings.ToLower(event))
	for _, step := range []string{"TerraformPlan", "TerraformApply"} {
		for _, when := range []string{"Start", "Complete", "Fail"} {
			low, on := strings.ToLower(step), strings.ToLower(when)
			if squeezed == low+on || squeezed == on+low || squeezed == low+on+"ed" {
				return step + ":" + when, nil
			}
		}
	}
	return "", invalid("there is no breakpoint at %q; want TerraformPlan or TerraformApply with Start, Complete or Fail", event)
}
