package catalog

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

// Receive keeps a folder that a client sends for a build.
func (c *Catalog) Receive(ctx context.Context, a Artifact, data []byte) (Artifact, error) {
	if err := workflow.CheckFolder(data); err != nil {
		return a, err
	}
	a.ID, a.CreateTime = newID("da-"), time.Now().UTC()
	a.Data = "uploads/" + a.ID
	if err := c.Blobs.Put(ctx, a.Data, c.Keyring.Seal(data, a.Data)); err != nil {
		return a, err
	}
	_, err := c.artifacts.Create(ctx, a.ID, a)
	return a, err
}

// Artifact returns one that was received.
func (c *Catalog) Artifact(ctx context.Context, id string) (Artifact, error) {
	return get(ctx, c.artifacts, "deployment artifact", id)
}

// sent is the folder that was last sent for this build.
func (c *Catalog) sent(ctx context.Context, b Built) ([]byte, error) {
	all, err := list(ctx, c.artifacts, "")
	if err != nil {
		return nil, err
	}
	var last Artifact
	for _, a := range all {
		if a.Path == b.LocalPath && a.Plan == b.Plan.Name && strings.EqualFold(a.Service, b.Service.Name) && a.Environment == b.Environment.Type &&
			a.CreateTime.After(last.CreateTime) {
			last = a
		}
	}
	if last.ID == "" {
		return nil, invalid("the folder %s was not sent: upload it as a deployment artifact first", b.LocalPath)
	}
	sealed, err := c.Blobs.Get(ctx, last.Data)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, refuse(http.StatusNotFound, rest.CodeNotFound, "the folder %s is gone: upload it again", b.LocalPath)
	}
	if err != nil {
		return nil, err
	}
	return c.Keyring.Open(sealed, last.Data)
}
