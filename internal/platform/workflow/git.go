package workflow

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/daybreakdb/daybreak/internal/platform/spec"
)

// clone reads the files of a plan's repository at its reference, and the commit
// that they are of: a plan is pinned to it from then on.
func clone(ctx context.Context, g spec.Git) (files map[string]string, commit string, err error) {
	options := &git.CloneOptions{
		URL: g.RepositoryURL, ReferenceName: plumbing.ReferenceName(reference(g.Reference)),
		SingleBranch: true, NoCheckout: true, Tags: git.NoTags,
	}
	if g.CommitSHA == "" {
		options.Depth = 1
	}
	if g.AccessToken != "" {
		user := g.UserName
		if user == "" {
			user = "git"
		}
		options.Auth = &http.BasicAuth{Username: user, Password: g.AccessToken}
	}
	name := withoutCredentials(g.RepositoryURL)
	repo, err := git.CloneContext(ctx, memory.NewStorage(), nil, options)
	if err != nil {
		return nil, "", fmt.Errorf("clone %s at %s: %w", name, g.Reference, err)
	}
	hash := plumbing.NewHash(g.CommitSHA)
	if g.CommitSHA == "" {
		head, err := repo.Head()
		if err != nil {
			return nil, "", fmt.Errorf("%s at %s: %w", name, g.Reference, err)
		}
		hash = head.Hash()
	}
	c, err := repo.CommitObject(hash)
	if err != nil {
		return nil, "", fmt.Errorf("%s: commit %s: %w", name, hash, err)
	}
	files, err = filesOf(c)
	return files, hash.String(), err
}

// withoutCredentials is a repository's URL as it may be shown.
func withoutCredentials(repository string) string {
	u, err := url.Parse(repository)
	if err != nil || u.User == nil {
		return repository
	}
	u.User = nil
	return u.String()
}

// reference takes a branch's short name too.
func reference(r string) string {
	if strings.HasPrefix(r, "refs/") {
		return r
	}
	return "refs/heads/" + r
}

// filesOf reads the Terraform files and what may belong to them.
func filesOf(c *object.Commit) (map[string]string, error) {
	iter, err := c.Files()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	total := int64(0)
	err = iter.ForEach(func(f *object.File) error {
		if !f.Mode.IsRegular() {
			return nil // a link has no content of its own
		}
		if total += f.Size; total > maxUnpacked || len(files) > maxFiles {
			return fmt.Errorf("the repository is larger than %d MiB or %d files", maxUnpacked>>20, maxFiles)
		}
		text, err := f.Contents()
		files[f.Name] = text
		return err
	})
	return files, err
}
