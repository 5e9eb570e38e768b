package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is a service plan as it lies on this machine.
type source struct {
	SpecPath string // the spec.yaml
	Root     string // the folder that stands for the root of the plan's repository; empty: clone it
	Origin   string // for people: what stands for what
}

// sourcedPlan is as much of a spec as is needed to find its stack. The server
// decodes and checks the whole.
type sourcedPlan struct {
	Services []struct {
		Terraform struct {
			PerCloud map[string]struct {
				Path string `yaml:"terraformPath"`
				Git  struct {
					URL string `yaml:"repositoryUrl"`
				} `yaml:"gitConfiguration"`
			} `yaml:"configurationPerCloudProvider"`
		} `yaml:"terraformConfigurations"`
	} `yaml:"services"`
}

// findSource finds the spec at path (a folder or a file) and the checkout its
// stack is served from: the one given for its repository by sources (URL=PATH),
// else the nearest folder above the spec that has the stack at its
// terraformPath. A plan whose stack is not on this machine is cloned by the
// server.
func findSource(pathArg string, sources []string) (source, []string, error) {
	spec, err := findSpec(pathArg)
	if err != nil {
		return source{}, nil, err
	}
	data, err := os.ReadFile(spec)
	if err != nil {
		return source{}, nil, err
	}
	var plan sourcedPlan
	if err := yaml.Unmarshal(data, &plan); err != nil {
		// The server says it better, with every other problem.
		return source{SpecPath: spec}, nil, nil
	}
	stacks, url := plan.stacks()
	root, err := rootFor(url, sources)
	if err != nil {
		return source{}, nil, err
	}
	if root == "" {
		root = rootAbove(filepath.Dir(spec), stacks)
	}
	s := source{SpecPath: spec, Root: root}
	if root != "" && url != "" {
		s.Origin = fmt.Sprintf("%s stands for %s", root, url)
	}
	return s, stacks, nil
}

func findSpec(pathArg string) (string, error) {
	info, err := os.Stat(pathArg)
	if err != nil {
		return "", withHint(fmt.Errorf("service plan: %w", err), "Give the folder of a spec.yaml, or the file itself.")
	}
	if !info.IsDir() {
		return filepath.Abs(pathArg)
	}
	for _, name := range []string{"spec.yaml", "spec.yml"} {
		file := filepath.Join(pathArg, name)
		if _, err := os.Stat(file); err == nil {
			return filepath.Abs(file)
		}
	}
	return "", withHint(fmt.Errorf("no spec.yaml in %s", pathArg), "Give the folder of a spec.yaml, or the file itself.")
}

// stacks returns the Terraform folders of the plan, relative to the root, and
// the repository they are in.
func (p sourcedPlan) stacks() (paths []string, url string) {
	for _, service := range p.Services {
		for _, cloud := range slices.Sorted(maps.Keys(service.Terraform.PerCloud)) {
			c := service.Terraform.PerCloud[cloud]
			if c.Path != "" {
				paths = append(paths, strings.TrimPrefix(path.Clean("/"+c.Path), "/"))
			}
			if url == "" {
				url = c.Git.URL
			}
		}
	}
	return paths, url
}

func rootFor(url string, sources []string) (string, error) {
	for _, s := range sources {
		given, dir, ok := strings.Cut(s, "=")
		if !ok {
			return "", fmt.Errorf("--source %q: want URL=PATH", s)
		}
		if strings.TrimSuffix(given, ".git") != strings.TrimSuffix(url, ".git") {
			continue
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("--source %s: %s is not a folder", given, dir)
		}
		return filepath.Abs(dir)
	}
	return "", nil
}

// rootAbove returns the nearest folder, from dir up, in which every stack is.
func rootAbove(dir string, stacks []string) string {
	if len(stacks) == 0 {
		return ""
	}
	for {
		if !slices.ContainsFunc(stacks, func(stack string) bool {
			info, err := os.Stat(filepath.Join(dir, stack))
			return err != nil || !info.IsDir()
		}) {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// maxArtifact bounds what is sent: a stack is text.
const maxArtifact = 16 << 20

var errTooLarge = errors.New("the stack is larger than 16 MiB: it should hold Terraform files only")

// localModule finds the modules of a stack that lie beside it.
var localModule = regexp.MustCompile(`(?m)^\s*source\s*=\s*"(\.\.?/[^"]*)"`)

// pack writes the spec and the stacks, with the local modules they use, as a
// tar.gz that is the same for the same content.
func (s source) pack(stacks []string) ([]byte, error) {
	files := map[string][]byte{}
	spec, err := os.ReadFile(s.SpecPath)
	if err != nil {
		return nil, err
	}
	files["spec.yaml"] = spec
	if s.Root != "" {
		todo := slices.Clone(stacks)
		seen := map[string]bool{}
		for len(todo) > 0 {
			stack := todo[0]
			todo = todo[1:]
			if seen[stack] {
				continue
			}
			seen[stack] = true
			modules, err := s.addFolder(files, stack)
			if err != nil {
				return nil, err
			}
			todo = append(todo, modules...)
		}
	}
	return writeArchive(files)
}

// addFolder reads a folder of the root into files, under "stack/", and returns
// the local modules that it names.
func (s source) addFolder(files map[string][]byte, folder string) ([]string, error) {
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var modules []string
	err = fs.WalkDir(root.FS(), path.Clean(folder), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); base == ".terraform" || base == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		if ignored(name) {
			return nil
		}
		data, err := fs.ReadFile(root.FS(), name) // a link that leaves the root is an error
		if err != nil {
			return err
		}
		if len(data) > maxArtifact {
			return errTooLarge
		}
		files["stack/"+name] = data
		for _, m := range localModule.FindAllSubmatch(data, -1) {
			modules = append(modules, path.Join(path.Dir(name), string(m[1])))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(s.Root, folder), err)
	}
	return modules, nil
}

// ignored are files that Terraform leaves behind and that belong to no stack.
func ignored(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "terraform.tfstate") || base == ".terraform.lock.hcl"
}

func writeArchive(files map[string][]byte) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := io.Copy(archive, bytes.NewReader(files[name])); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, err
	}
	if buf.Len() > maxArtifact {
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
}
