package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
)

func versionKey(plan string, number int) string { return fmt.Sprintf("%s/%06d", plan, number) }

// Versions of a plan, newest first.
func (c *Catalog) Versions(ctx context.Context, plan string) ([]Version, error) {
	all, err := list(ctx, c.versions, plan+"/")
	slices.Reverse(all)
	return all, err
}

// Version returns one as clients spell it: 1.0, latest, preferred, or its name.
func (c *Catalog) Version(ctx context.Context, p Plan, text string) (Version, error) {
	switch strings.ToLower(text) {
	case "latest":
		text = numberText(p.Latest)
	case "preferred", "":
		text = numberText(p.Preferred)
	}
	all, err := c.Versions(ctx, p.ID)
	if err != nil {
		return Version{}, err
	}
	for _, v := range all {
		if v.String() == text || v.Name != "" && v.Name == text {
			return v, nil
		}
	}
	// Clients look for the first three words.
	refused := notFound("version", text)
	refused.Message = fmt.Sprintf("Version set not found: %s has no version %q", p.Name, text)
	if text == numberText(0) {
		refused.Message = fmt.Sprintf("Version set not found: no version of %s is released", p.Name)
	}
	return Version{}, refused
}

// Release makes a version of what was built last. The first one is preferred.
func (c *Catalog) Release(ctx context.Context, plan string, r Release) (Version, error) {
	for {
		item, err := c.plans.Get(ctx, plan)
		if err != nil {
			return Version{}, err
		}
		p := item.Value
		if p.Pending == nil {
			return c.releasedAlready(ctx, p, r)
		}
		now := time.Now().UTC()
		v := Version{
			PlanID: p.ID, Number: p.Latest + 1, Name: r.Name, Description: r.Description, Content: *p.Pending,
			ResourceName: r.ResourceName, ResourceKey: r.ResourceKey, ReleaseTime: now, ChangeTime: now, By: r.By, ByName: r.ByName,
		}
		v.Content.Version = v.String()
		p.Latest, p.Pending = v.Number, nil
		if r.Preferred || p.Preferred == 0 {
			p.Preferred = v.Number
		}
		_, err = c.Store.Commit(ctx, c.plans.PutOp(p.ID, p, item.Revision), c.versions.PutOp(versionKey(p.ID, v.Number), v, 0))
		if !errors.Is(err, state.ErrConflict) {
			return v, err
		}
	}
}

// releasedAlready is for a request that comes a second time: there is nothing to
// release, but it can ask for the newest version to be the preferred one.
func (c *Catalog) releasedAlready(ctx context.Context, p Plan, r Release) (Version, error) {
	if p.Latest == 0 {
		return Version{}, invalid("%s has nothing to release: build it first", p.Name)
	}
	v, err := c.Version(ctx, p, "latest")
	if err == nil && r.Preferred {
		err = c.Prefer(ctx, p.ID, v.Number)
	}
	return v, err
}

// Prefer makes a version the one that new deployments get.
func (c *Catalog) Prefer(ctx context.Context, plan string, number int) error {
	_, err := c.plans.Update(ctx, plan, func(p *Plan) error { p.Preferred = number; return nil })
	return err
}

// RenameVersion gives a version another name.
func (c *Catalog) RenameVersion(ctx context.Context, v Version, name string) (Version, error) {
	if err := checkName("version", name); err != nil {
		return v, err
	}
	item, err := c.versions.Update(ctx, versionKey(v.PlanID, v.Number), func(v *Version) error {
		v.Name, v.ChangeTime = name, time.Now().UTC()
		return nil
	})
	return item.Value, err
}
