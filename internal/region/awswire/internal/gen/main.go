// Command gen writes the wire models of the services, for go generate in package
// awswire.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/region/awswire/internal/sdkmodel"
)

func main() {
	log.SetFlags(0)
	for _, service := range sdkmodel.Services() {
		text, err := sdkmodel.Generate(service)
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("model", service+".txt"), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
