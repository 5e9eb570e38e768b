package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const specText = `services:
  - name: db
    terraformConfigurations:
      configurationPerCloudProvider:
        aws:
          terraformPath: /paas/terraform
          gitConfiguration: {repositoryUrl: "https://example.com/plans"}
`

func TestStackIsServedFromTheCheckoutAroundTheSpec(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "paas/spec.yaml"), specText)
	writeFile(t, filepath.Join(root, "paas/terraform/main.tf"), `module "m" { source = "../modules/m" }`)
	writeFile(t, filepath.Join(root, "paas/modules/m/main.tf"), "")
	s, stacks, err := findSource(filepath.Join(root, "paas"), nil)
	if err != nil || s.Root != root || !slices.Equal(stacks, []string{"paas/terraform"}) {
		t.Fatalf("root %q, stacks %v, %v", s.Root, stacks, err)
	}
	first, err := s.pack(stacks)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.pack(stacks)
	if err != nil || !slices.Equal(first, second) {
		t.Fatal("the same content packs differently", err)
	}
}

func TestSourceFlagNamesTheFolderOfARepository(t *testing.T) {
	spec := writeFile(t, filepath.Join(t.TempDir(), "spec.yaml"), specText)
	other := t.TempDir()
	s, _, err := findSource(spec, []string{"https://example.com/plans.git=" + other})
	if err != nil || s.Root != other {
		t.Fatalf("root %q, %v; want %q", s.Root, err, other)
	}
	if s, _, err = findSource(spec, nil); err != nil || s.Root != "" {
		t.Fatalf("root %q, %v; want none, so that it is cloned", s.Root, err)
	}
}

func TestLinkOutOfTheCheckoutIsRefused(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "paas/spec.yaml"), specText)
	writeFile(t, filepath.Join(root, "paas/terraform/main.tf"), "")
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "paas/terraform/leak.tf")); err != nil {
		t.Fatal(err)
	}
	s, stacks, err := findSource(filepath.Join(root, "paas"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pack(stacks); err == nil {
		t.Fatal("a link to /etc/passwd was packed")
	}
}

func TestParamsComeFromArgumentsFilesAndStandardInput(t *testing.T) {
	dir := t.TempDir()
	secret := writeFile(t, filepath.Join(dir, "secret"), "s3cret=x\n")
	file := writeFile(t, filepath.Join(dir, "params.yaml"), "a: file\nn: 3\n")
	got, err := readParams([]string{"a=arg=1", "b=@" + secret, "c=-"}, []string{file}, strings.NewReader("in\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": "arg=1", "b": "s3cret=x", "c": "in", "n": 3}
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("%s = %v, want %v", key, got[key], want[key])
		}
	}
	if _, err := readParams([]string{"a=-", "b=-"}, nil, strings.NewReader("")); err == nil {
		t.Error("standard input was read twice")
	}
}

func TestPgpassGivesBackEveryPassword(t *testing.T) {
	for _, password := range []string{"simple", `co:lon`, `back\slash`, `\:`, "*"} {
		path := filepath.Join(t.TempDir(), "pgpass")
		p := &pgpass{path: path, password: password}
		if err := p.save(rest.Deployment{Endpoints: map[string]rest.Endpoint{"writer": {Host: "::1", Port: 5432}}}); err != nil {
			t.Fatal(err)
		}
		again, err := openPgpass(path)
		if err != nil || again.password != password {
			t.Errorf("%q came back as %q, %v", password, again.password, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
}

func TestOldAWSCLIsAreKnown(t *testing.T) {
	for line, want := range map[string]bool{
		"aws-cli/1.45.11 Python/3.11.7":  true,
		"aws-cli/1.22.34 Python/3.9":     false,
		"aws-cli/2.12.7 Python/3.11.4":   false,
		"aws-cli/2.13.0 Python/3.11.4":   true,
		"something else that is not aws": false,
	} {
		if got := knowsEndpointURL(line); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}
