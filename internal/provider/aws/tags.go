package aws

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// tagRules are the tags that the provider block adds to every resource, and those it leaves alone.
type tagRules struct {
	defaults        map[string]string
	ignored         []string
	ignoredPrefixes []string
}

func newTagRules(block plugin.Object) tagRules {
	var r tagRules
	for _, d := range block.Objects("default_tags") {
		r.defaults = d.Map("tags")
	}
	for _, i := range block.Objects("ignore_tags") {
		r.ignored, r.ignoredPrefixes = i.Strings("keys"), i.Strings("key_prefixes")
	}
	return r
}

func (r tagRules) ignore(key string) bool {
	return strings.HasPrefix(key, "aws:") || slices.Contains(r.ignored, key) ||
		slices.ContainsFunc(r.ignoredPrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// plan plans tags_all: a resource's own tags over the provider's.
func (c *client) planTags(p *plugin.Plan) {
	tags, known := p.Config["tags"].(plugin.Object)
	if p.Config["tags"] != nil && !known {
		p.Planned["tags_all"] = plugin.Unknown{}
		return
	}
	all := plugin.Object{}
	for k, v := range c.tags.defaults {
		all[k] = v
	}
	for k, v := range tags {
		if _, unknown := v.(plugin.Unknown); unknown {
			p.Planned["tags_all"] = plugin.Unknown{}
			return
		}
		all[k] = v
	}
	maps.DeleteFunc(all, func(k string, _ any) bool { return c.tags.ignore(k) })
	switch {
	case len(all) > 0:
		p.Planned["tags_all"] = all
	case p.Prior == nil || p.Prior.Has("tags_all"):
		p.Planned["tags_all"] = plugin.Unknown{}
	}
}

// newTags are the tags to create a resource with.
func (c *client) newTags(change *plugin.Change) map[string]string {
	all := maps.Clone(c.tags.defaults)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, change.State.Map("tags"))
	maps.DeleteFunc(all, func(k, _ string) bool { return c.tags.ignore(k) })
	return all
}

// setTags stores the tags found on a resource. The provider's own show under tags only where the resource
// names them too.
func (c *client) setTags(state plugin.Object, found map[string]string) {
	own := state.Map("tags")
	tags, all := plugin.Object{}, plugin.Object{}
	for k, v := range found {
		if c.tags.ignore(k) {
			continue
		}
		all[k] = v
		if d, isDefault := c.tags.defaults[k]; isDefault && d == v {
			if _, named := own[k]; !named {
				continue
			}
		}
		tags[k] = v
	}
	state["tags"], state["tags_all"] = tags, all
}

// tagChange says which tags an update sets and which it removes.
func (c *client) tagChange(change *plugin.Change) (set map[string]string, removed []string) {
	set = c.newTags(change)
	for k, v := range change.Prior.Map("tags_all") {
		if now, ok := set[k]; !ok {
			removed = append(removed, k)
		} else if now == v {
			delete(set, k)
		}
	}
	slices.Sort(removed)
	return set, removed
}

func rdsTags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

func fromRDSTags(tags []types.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

// readRDSTags reads tags that the description of a resource does not hold.
func (c *client) readRDSTags(ctx context.Context, state plugin.Object) error {
	out, err := c.rds.ListTagsForResource(ctx, &rds.ListTagsForResourceInput{ResourceName: aws.String(state.String("arn"))})
	if err != nil {
		return err
	}
	c.setTags(state, fromRDSTags(out.TagList))
	return nil
}

func (c *client) updateRDSTags(ctx context.Context, change *plugin.Change) error {
	arn := aws.String(change.Prior.String("arn"))
	set, removed := c.tagChange(change)
	if len(removed) > 0 {
		if _, err := c.rds.RemoveTagsFromResource(ctx, &rds.RemoveTagsFromResourceInput{ResourceName: arn, TagKeys: removed}); err != nil {
			return err
		}
	}
	if len(set) > 0 {
		if _, err := c.rds.AddTagsToResource(ctx, &rds.AddTagsToResourceInput{ResourceName: arn, Tags: rdsTags(set)}); err != nil {
			return err
		}
	}
	return nil
}
