// Package provider is the embedded Terraform provider. It stands in for hashicorp/aws and hashicorp/random
// where these cannot be had, or where their 30-second waits are not wanted: with the same schemas and the
// same state, so that either can go on where the other stopped.
//
// It is a client of the AWS API and must not know what serves it.
package provider

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"

	"github.com/daybreakdb/daybreak/internal/provider/aws"
	"github.com/daybreakdb/daybreak/internal/provider/plugin"
	"github.com/daybreakdb/daybreak/internal/provider/random"
)

// ErrUnknown says that there is no embedded provider of a name.
var ErrUnknown = errors.New("no such embedded provider")

// A source is one provider that this package stands in for.
type source struct {
	name, version string
	new           func() (*plugin.Provider, error)
}

func sources() []source {
	return []source{{"aws", aws.Version, aws.New}, {"random", random.Version, random.New}}
}

// Serve serves the provider "aws" or "random" to the Terraform that started this process, until Terraform is done.
func Serve(name string) error {
	for _, s := range sources() {
		if s.name != name {
			continue
		}
		p, err := s.new()
		if err != nil {
			return err
		}
		server := plugin.NewServer(p)
		return tf5server.Serve("registry.terraform.io/hashicorp/"+name, func() tfprotov5.ProviderServer { return server })
	}
	return fmt.Errorf("%w: %q (aws and random are)", ErrUnknown, name)
}

// Resources lists the resource types, and DataSources the data sources, that the embedded providers have.
func Resources() []string {
	return types(func(p *plugin.Provider) []string { return keys(p.Resources) })
}

// DataSources lists the data sources that the embedded providers have.
func DataSources() []string {
	return types(func(p *plugin.Provider) []string { return keys(p.DataSources) })
}

// Supports says whether an embedded provider has a resource type.
func Supports(resourceType string) bool { return slices.Contains(Resources(), resourceType) }

// SupportsData says whether an embedded provider has a data source.
func SupportsData(dataSource string) bool { return slices.Contains(DataSources(), dataSource) }

func types(of func(*plugin.Provider) []string) []string {
	var all []string
	for _, s := range sources() {
		p, err := s.new()
		if err != nil {
			panic(err) // the schemas are part of the program
		}
		all = append(all, of(p)...)
	}
	slices.Sort(all)
	return all
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
