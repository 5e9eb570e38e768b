package awswire_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/daybreakdb/daybreak/internal/region/awswire/internal/sdkmodel"
)

func TestModelsAreThoseOfTheSDKInGoMod(t *testing.T) {
	for _, service := range sdkmodel.Services() {
		want, err := sdkmodel.Generate(service)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("model", service+".txt")
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is out of date: run go generate ./internal/region/awswire", path)
		}
	}
}
