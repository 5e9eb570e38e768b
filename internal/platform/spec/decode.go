package spec

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// maxSize bounds a document.
const maxSize = 1 << 20

// Decode reads a plan. The error is Problems: all of them, by line.
func Decode(file string, data []byte) (*Plan, error) {
	d := &decoder{file: file}
	if len(data) > maxSize {
		return nil, Problems{{File: file, Message: "larger than 1 MiB"}}
	}
	var doc, more yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, Problems{{File: file, Message: "the document is empty"}}
	} else if err != nil {
		return nil, Problems{syntaxProblem(file, err)}
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		d.problems = append(d.problems, Problem{File: file, Message: "holds more than one document"})
	}
	plan := d.plan(value{d, doc.Content[0], ""})
	plan.Warnings = d.warnings
	return plan, d.problems.orNil()
}

// syntaxProblem takes the line out of the YAML library's message.
func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	var line int
	if _, scanErr := fmt.Sscanf(p.Message, "line %d:", &line); scanErr == nil {
		p.Line, p.Column = line, 1
		p.Message = strings.TrimPrefix(p.Message, "line "+strconv.Itoa(line)+": ")
	}
	p.Message = "not valid YAML: " + p.Message
	return p
}

// Keys that other kinds of plans have and a Terraform plan may carry along.
var (
	planIgnored = []string{"pricing", "metering", "billingProviders", "billingProductID", "maxNumberOfInstancesAllowed",
		"validPaymentMethodRequired", "enableDeletionProtection", "loadBalancers", "sharedFileSystems", "systemWorkflows", "customWorkflows"}
	serviceIgnored = []string{"type", "disable", "deploymentTarget", "compute", "storage", "network", "capabilities", "actionHooks",
		"environmentVariables", "image", "command", "privileged", "proxyType", "jobResourceConfiguration", "agentConfiguration",
		"containerImagesRegistryCopyConfiguration", "helmChartConfiguration", "kustomizeConfiguration", "operatorCRDConfiguration"}
)

func (d *decoder) plan(v value) *Plan {
	p := &Plan{}
	f := v.object([]string{"name", "deployment", "tenancyType", "features", "services"}, planIgnored...)
	p.Name = required(v, f, "name")
	if t, ok := f["tenancyType"]; ok && !t.isNull() {
		oneOf(t, "CUSTOM_TENANCY", "OMNISTRATE_DEDICATED_TENANCY", "OMNISTRATE_MULTI_TENANCY")
	}
	if dep, ok := f["deployment"]; ok {
		dep.object([]string{"hostedDeployment", "byoaDeployment"}, "onPremDeployment", "onPremCopilotDeployment", "requirements", "onPremInstallerTools")
	}
	if features, ok := f["features"]; ok {
		features.object([]string{"INTERNAL", "CUSTOMER"})
	}
	services, ok := f["services"]
	if !ok {
		v.problem("services is missing")
		return p
	}
	names := map[string]bool{}
	for _, item := range services.items() {
		s := d.service(item)
		if names[s.Name] {
			item.problem("a service named %q stands above already", s.Name)
		}
		names[s.Name] = true
		p.Services = append(p.Services, s)
	}
	d.checkRoot(services, p)
	return p
}

// checkRoot sees to it that there is exactly one stack for a customer to ask for.
func (d *decoder) checkRoot(v value, p *Plan) {
	stacks := 0
	for _, s := range p.Services {
		if s.Terraform != nil {
			stacks++
		}
	}
	switch {
	case stacks == 0:
		v.problem("no service has terraformConfigurations.configurationPerCloudProvider.aws, which is what is deployed here")
	case stacks > 1:
		v.problem("%d services have a Terraform stack; plans of one stack are supported", stacks)
	case p.Root() == nil:
		v.problem("the service with the Terraform stack is internal: nobody can ask for it")
	}
}

func (d *decoder) service(v value) Service {
	f := v.object([]string{"name", "internal", "dependsOn", "terraformConfigurations", "apiParameters", "endpointConfiguration"}, serviceIgnored...)
	s := Service{Name: required(v, f, "name"), Internal: flag(f, "internal")}
	s.Key = serviceKey(s.Name)
	if deps, ok := f["dependsOn"]; ok {
		for _, item := range deps.items() {
			s.DependsOn = append(s.DependsOn, item.text())
		}
	}
	if tf, ok := f["terraformConfigurations"]; ok {
		s.Terraform = d.terraform(tf)
	}
	if ps, ok := f["apiParameters"]; ok {
		s.Parameters = d.parameters(ps)
	}
	if es, ok := f["endpointConfiguration"]; ok {
		s.Endpoints = d.endpoints(es)
	}
	return s
}

// serviceKey is the service's name in camel case: "PostgreSQL Aurora Cluster"
// is postgreSQLAuroraCluster.
func serviceKey(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, word := range words {
		runes := []rune(word)
		if i == 0 {
			runes[0] = unicode.ToLower(runes[0])
		} else {
			runes[0] = unicode.ToUpper(runes[0])
		}
		words[i] = string(runes)
	}
	return strings.Join(words, "")
}

func (d *decoder) terraform(v value) *Terraform {
	f := v.object([]string{"configurationPerCloudProvider"}, "configurationPerOnPremPlatform")
	clouds, ok := f["configurationPerCloudProvider"]
	if !ok {
		v.problem("configurationPerCloudProvider is missing")
		return nil
	}
	aws, ok := clouds.object([]string{"aws"}, "gcp", "azure", "oci", "nebius")["aws"]
	if !ok {
		return nil
	}
	g := aws.object([]string{"terraformPath", "gitConfiguration", "terraformExecutionIdentity", "requiredOutputs", "artifactsLocalPath"},
		"artifactRelativePath", "variablesValuesFileOverride", "privateModuleGitAccessTokens", "serviceAccountID", "publicKeyID", "privateKeyPEM")
	t := &Terraform{Path: cleanPath(required(aws, g, "terraformPath")), ExecutionIdentity: get(g, "terraformExecutionIdentity"), LocalPath: get(g, "artifactsLocalPath")}
	if git, ok := g["gitConfiguration"]; ok {
		t.Git = d.git(git)
	}
	if t.Git == nil && t.LocalPath == "" {
		aws.problem("gitConfiguration or artifactsLocalPath is missing: nothing says where the stack is")
	}
	if outputs, ok := g["requiredOutputs"]; ok {
		for _, item := range outputs.items() {
			o := item.object([]string{"key", "exported"})
			t.RequiredOutputs = append(t.RequiredOutputs, RequiredOutput{
				Key: required(item, o, "key"), Exported: flag(o, "exported"), line: item.node.Line, column: item.node.Column,
			})
		}
	}
	return t
}

func cleanPath(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

func (d *decoder) git(v value) *Git {
	f := v.object([]string{"reference", "repositoryUrl", "accessToken", "userName", "commitSHA"})
	return &Git{
		RepositoryURL: required(v, f, "repositoryUrl"), Reference: required(v, f, "reference"),
		AccessToken: get(f, "accessToken"), UserName: get(f, "userName"), CommitSHA: get(f, "commitSHA"),
	}
}

func (d *decoder) endpoints(v value) []Endpoint {
	var endpoints []Endpoint
	v = v.resolved()
	if v.isNull() || v.node.Kind != yaml.MappingNode {
		if !v.isNull() {
			v.problem("want a map of endpoints by name")
		}
		return nil
	}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		name := v.node.Content[i].Value
		item := value{d, v.node.Content[i+1], join(v.path, name)}
		f := item.object([]string{"host", "ports", "portExpressions", "primary"}, "networkingType", "disableMonitoring")
		e := Endpoint{Name: name, Host: required(item, f, "host"), Primary: flag(f, "primary")}
		if ports, ok := f["ports"]; ok {
			for _, p := range ports.items() {
				n := p.number()
				if n != nil && (*n < 1 || *n > 65535 || *n != float64(int(*n))) {
					p.problem("want a port, 1 to 65535")
				} else if n != nil {
					e.Ports = append(e.Ports, int(*n))
				}
			}
		}
		endpoints = append(endpoints, e)
	}
	return endpoints
}

// oneOf checks an enumeration, and returns it as it is spelled.
func oneOf(v value, allowed ...string) string {
	text := v.text()
	name, ok := canonical(text, allowed)
	if !ok {
		v.problem("%q is not allowed%s; allowed: %s", text, suggest(text, allowed), strings.Join(allowed, ", "))
	}
	return name
}
