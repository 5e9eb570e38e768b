package spec

// Plan is a service plan.
type Plan struct {
	Name     string
	Services []Service
	Warnings []Problem // accepted, but without effect here
}

// Service is what a customer deploys: a Terraform stack with its parameters.
type Service struct {
	Name       string
	Key        string // name of the service in templates and URLs: postgreSQLAuroraCluster
	Internal   bool
	DependsOn  []string
	Terraform  *Terraform // of the cloud provider aws
	Parameters []Parameter
	Endpoints  []Endpoint
}

// Terraform says where a stack is and what it must give.
type Terraform struct {
	Path              string // of the stack from the root of its source, cleaned: paas/terraform
	Git               *Git
	LocalPath         string // a client's folder that is sent instead of Git
	RequiredOutputs   []RequiredOutput
	ExecutionIdentity string
}

// Git is a place of a repository.
type Git struct {
	RepositoryURL string
	Reference     string // refs/heads/main
	CommitSHA     string
	UserName      string
	AccessToken   string
}

// RequiredOutput must exist after apply.
type RequiredOutput struct {
	Key      string
	Exported bool // customers see it
	line     int
	column   int
}

// Endpoint describes an address that the stack makes.
type Endpoint struct {
	Name    string
	Host    string // a template
	Ports   []int
	Primary bool
}

// Root is the service that a customer asks for: the only one that is not
// internal and has a stack.
func (p *Plan) Root() *Service {
	for i := range p.Services {
		if !p.Services[i].Internal && p.Services[i].Terraform != nil {
			return &p.Services[i]
		}
	}
	return nil
}

// Parameter is a value that a customer gives.
type Parameter struct {
	Key         string
	Name        string
	Description string
	Type        Type
	Required    bool
	Modifiable  bool
	Export      bool
	Default     *string // as written
	Options     []string
	Regex       string
	Min, Max    *float64 // of numbers
	MinLength   *float64 // of strings
	MaxLength   *float64
}

// Sensitive reports whether values of the parameter are secret.
func (p Parameter) Sensitive() bool { return p.Type == TypePassword || p.Type == TypeSecret }

// Type of a parameter.
type Type string

// Types, as Omnistrate spells them.
const (
	TypeString   Type = "String"
	TypeFloat64  Type = "Float64"
	TypeBoolean  Type = "Boolean"
	TypePassword Type = "Password"
	TypeSecret   Type = "Secret"
	TypeJSON     Type = "JSON"
	TypeResource Type = "Resource"
	TypeBytes    Type = "bytes"
	TypeAny      Type = "any"
)

func types() []string {
	return []string{string(TypeString), string(TypeFloat64), string(TypeBoolean), string(TypePassword), string(TypeSecret),
		string(TypeJSON), string(TypeResource), string(TypeBytes), string(TypeAny)}
}
