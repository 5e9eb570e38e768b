package cli

import (
	"runtime/debug"
	"testing"
)

func TestBillOfMaterialsNamesWhatWasBuiltIn(t *testing.T) {
	b := billOfMaterials(&debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "example.com/main"}, Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.2.3", Sum: "h1:AAECAw=="},
		{Path: "example.com/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/c", Version: "v2.0.0"}},
	}}, "v9")
	if b.Format != "CycloneDX" || b.Metadata.Component.Version != "v9" || len(b.Components) != 3 {
		t.Fatalf("%+v", b)
	}
	if c := b.Components[0]; c.PURL != "pkg:golang/std@1.26.8" {
		t.Errorf("the standard library is %+v", c)
	}
	if c := b.Components[1]; c.PURL != "pkg:golang/example.com/a@v1.2.3" || len(c.Hashes) != 1 || c.Hashes[0].Content != "00010203" {
		t.Errorf("a module is %+v", c)
	}
	if c := b.Components[2]; c.Name != "example.com/c" || c.Hashes != nil {
		t.Errorf("a module in another's place is %+v", c)
	}
}
