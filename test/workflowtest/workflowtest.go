// Package workflowtest configures an engine on a real etcd, a real region and a real
// Terraform. It is for tests only.
package workflowtest

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/provider"
	"github.com/daybreakdb/daybreak/internal/region"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// Main is a TestMain: Terraform starts the test's binary as the embedded provider.
func Main(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "provider" {
		if err := provider.Serve(os.Args[2]); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// Config is of an engine whose region and state store are there until the test ends.
func Config(t *testing.T) workflow.Config {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, quiet := statetest.Start(t), slog.New(slog.DiscardHandler)
	service, err := rds.New(t.Context(), store)
	must(err)
	handler, err := region.New(t.Context(), region.Config{Store: store, Logger: quiet, Services: []*awswire.Service{service}, Credentials: awswire.StaticCredentials{{
		AccessKeyID: "AKIATEST", SecretAccessKey: "test-secret-key", Account: "111122223333", UserARN: "arn:aws:iam::111122223333:root",
	}}})
	must(err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	l, err := layout.New(t.TempDir())
	must(err)
	must(l.Create())
	keys, err := keyring.Open(l.Keys())
	must(err)
	binary, err := os.Executable()
	must(err)
	mirror := filepath.Join(l.Root, "providers")
	must(provider.WriteMirror(mirror, binary))
	return workflow.Config{
		Store: store, Keyring: keys, Blobs: blob.Dir{Root: l.Blobs()}, Layout: l, Tool: stack.FindTool, Mirror: mirror, Logger: quiet,
		Region: stack.Target{Embedded: true, Endpoint: server.URL, Region: "us-west-2", AccessKey: "AKIATEST", SecretKey: "test-secret-key"},
	}
}
