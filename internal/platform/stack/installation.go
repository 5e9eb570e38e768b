package stack

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Installation says where Terraform takes providers from.
type Installation struct {
	// Embedded is the mirror of the embedded providers.
	Embedded string
	// Mirror is a filesystem mirror of real providers; empty: the registry.
	Mirror string
	// UseEmbedded takes hashicorp/aws and hashicorp/random from Embedded.
	UseEmbedded bool
}

// registries under which the same providers are known.
var registries = []string{"registry.terraform.io", "registry.opentofu.org"}

// cliConfig is Terraform's CLI configuration for a run.
func (i Installation) cliConfig() string {
	var b strings.Builder
	var excluded []string
	mirror := func(path string, providers ...string) {
		var include []string
		for _, r := range registries {
			for _, p := range providers {
				include = append(include, fmt.Sprintf("%q", r+"/"+p))
			}
		}
		excluded = append(excluded, include...)
		fmt.Fprintf(&b, "  filesystem_mirror {\n    path    = %q\n    include = [%s]\n  }\n", path, strings.Join(include, ", "))
	}
	b.WriteString("provider_installation {\n")
	if i.UseEmbedded {
		mirror(i.Embedded, "hashicorp/aws", "hashicorp/random")
	} else if i.Mirror != "" {
		has := i.mirrored()
		mirror(i.Mirror, has...)
		if !slices.Contains(has, "hashicorp/random") {
			mirror(i.Embedded, "hashicorp/random")
		}
	}
	fmt.Fprintf(&b, "  direct {\n    exclude = [%s]\n  }\n}\n", strings.Join(excluded, ", "))
	return b.String()
}

// mirrored are the providers that the mirror holds, as hashicorp/aws.
func (i Installation) mirrored() []string {
	var providers []string
	for _, r := range registries {
		found, _ := fs.Glob(os.DirFS(i.Mirror), r+"/*/*")
		for _, f := range found {
			providers = append(providers, strings.TrimPrefix(f, r+"/"))
		}
	}
	slices.Sort(providers)
	return slices.Compact(providers)
}

func (i Installation) write(path string) error {
	return layout.WriteFile(path, []byte(i.cliConfig()), 0o600)
}
