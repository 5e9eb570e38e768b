package workflow

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// Bounds of an artifact.
const (
	MaxArtifactBytes = 16 << 20 // packed
	maxUnpacked      = 64 << 20
	maxFiles         = 5000
)

// artifact is a plan: its spec.yaml, and the files of its stacks by their path
// from the root of their repository.
type artifact struct {
	spec  []byte
	files map[string]string
}

const (
	specName    = "spec.yaml"
	stackFolder = "stack/"
)

// unpack reads a tar.gz of spec.yaml and stack/….
func unpack(data []byte) (artifact, error) {
	a := artifact{files: map[string]string{}}
	err := eachFile(data, func(name string, content []byte) {
		if name == specName {
			a.spec = content
		} else if file, ok := strings.CutPrefix(name, stackFolder); ok && !leftBehind(file) {
			a.files[file] = string(content)
		}
	})
	if err == nil && a.spec == nil {
		err = errors.New("holds no spec.yaml")
	}
	return a, err
}

// eachFile reads a tar.gz, which holds regular files only, and no path that leaves
// its place.
func eachFile(data []byte, take func(name string, content []byte)) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("not a tar.gz: %w", err)
	}
	archive := tar.NewReader(io.LimitReader(zip, maxUnpacked+1))
	total := 0
	for n := 0; ; n++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not a tar.gz: %w", err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		name := header.Name
		clean := strings.TrimPrefix(name, "./")
		if header.Typeflag != tar.TypeReg || clean != path.Clean(name) || path.IsAbs(name) || strings.HasPrefix(clean, "../") || n >= maxFiles {
			return fmt.Errorf("%q cannot be part of a plan: want at most %d regular files with relative paths", name, maxFiles)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if total += len(content); total > maxUnpacked {
			return fmt.Errorf("larger than %d MiB", maxUnpacked>>20)
		}
		take(clean, content)
	}
}

// unpackFiles reads a tar.gz of a folder.
func unpackFiles(data []byte) (map[string]string, error) {
	files := map[string]string{}
	err := eachFile(data, func(name string, content []byte) {
		if !leftBehind(name) {
			files[name] = string(content)
		}
	})
	return files, err
}

// CheckFolder refuses what Pin could not read as a plan's folder.
func CheckFolder(data []byte) error {
	if _, err := unpackFiles(data); err != nil {
		return invalid("the folder that was sent cannot be read: "+err.Error(), nil)
	}
	return nil
}

// leftBehind says of a file that Terraform made it when it was run in the folder.
// Used in a run, it would stand for another deployment's resources or providers.
func leftBehind(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".terraform" || part == ".terraform.lock.hcl" || strings.HasPrefix(part, "terraform.tfstate") {
			return true
		}
	}
	return false
}

// Upload stores a plan and returns its digest. It is sealed, since a spec may
// hold a repository's access token.
func (e *Engine) Upload(ctx context.Context, data []byte) (rest.Artifact, error) {
	if _, err := unpack(data); err != nil {
		return rest.Artifact{}, invalid("the plan cannot be read: "+err.Error(), nil)
	}
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	return rest.Artifact{Digest: digest}, e.Blobs.Put(ctx, artifactName(digest), e.Keyring.Seal(data, artifactName(digest)))
}

func artifactName(digest string) string { return "artifacts/" + digest }

func (e *Engine) artifact(ctx context.Context, digest string) (artifact, error) {
	data, err := e.Blobs.Get(ctx, artifactName(digest))
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrName) {
		return artifact{}, invalid(fmt.Sprintf("there is no artifact %q: upload it first", digest), nil)
	}
	if err != nil {
		return artifact{}, err
	}
	if data, err = e.Keyring.Open(data, artifactName(digest)); err != nil {
		return artifact{}, fmt.Errorf("artifact %s: %w", digest, err)
	}
	return unpack(data)
}

// pack is the reverse of unpack.
func (a artifact) pack() ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	write := func(name, content string) error {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err := io.WriteString(archive, content)
		return err
	}
	if err := write(specName, string(a.spec)); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(a.files) {
		if err := write(stackFolder+name, a.files[name]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
