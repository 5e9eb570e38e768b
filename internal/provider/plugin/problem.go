package plugin

import (
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// A Problem is an error that belongs to an attribute, or that has more to say than one line.
type Problem struct {
	// Attribute is the name of a top-level attribute, empty when the problem is the whole resource's.
	Attribute       string
	Summary, Detail string
}

func (p *Problem) Error() string { return p.Summary }

// diagnose turns errors, joined ones too, into Terraform's diagnostics.
func diagnose(err error) []*tfprotov5.Diagnostic {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*tfprotov5.Diagnostic
		for _, e := range joined.Unwrap() {
			all = append(all, diagnose(e)...)
		}
		return all
	}
	d := &tfprotov5.Diagnostic{Severity: tfprotov5.DiagnosticSeverityError, Summary: err.Error()}
	var problem *Problem
	if errors.As(err, &problem) {
		d.Detail = problem.Detail
		if problem.Attribute != "" {
			d.Attribute = tftypes.NewAttributePath()
			for _, name := range strings.Split(problem.Attribute, ".") {
				d.Attribute = d.Attribute.WithAttributeName(name)
			}
		}
	}
	return []*tfprotov5.Diagnostic{d}
}
