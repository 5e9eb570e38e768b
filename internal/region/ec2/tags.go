package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

const maxTags = 50

// CreateTags adds tags to resources, or replaces their values.
func (a *API) CreateTags(ctx context.Context, in *api.CreateTagsInput) (*api.CreateTagsOutput, error) {
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return nil, a.retag(ctx, in.Resources, func(old []aurora.Tag) ([]aurora.Tag, error) {
		for _, tag := range tags {
			old = slices.DeleteFunc(old, func(t aurora.Tag) bool { return t.Key == tag.Key })
			old = append(old, tag)
		}
		if len(old) > maxTags {
			return nil, tagLimit()
		}
		return old, nil
	})
}

// DeleteTags removes tags: those of a key, or of a key with just this value; all
// if none is named.
func (a *API) DeleteTags(ctx context.Context, in *api.DeleteTagsInput) (*api.DeleteTagsOutput, error) {
	return nil, a.retag(ctx, in.Resources, func(old []aurora.Tag) ([]aurora.Tag, error) {
		return slices.DeleteFunc(old, func(t aurora.Tag) bool {
			return len(in.Tags) == 0 || slices.ContainsFunc(in.Tags, func(w types.Tag) bool {
				return aws.ToString(w.Key) == t.Key && (w.Value == nil || *w.Value == t.Value)
			})
		}), nil
	})
}

// retag changes the tags of resources that all exist.
func (a *API) retag(ctx context.Context, ids []string, change func([]aurora.Tag) ([]aurora.Tag, error)) error {
	if len(ids) == 0 {
		return awswire.BadRequestf("MissingParameter", "The request must contain the parameter ResourceId")
	}
	targets := make([]func() error, len(ids))
	for i, id := range ids {
		var err error
		if targets[i], err = a.tagTarget(ctx, id, change); err != nil {
			return err
		}
	}
	for _, apply := range targets {
		if err := apply(); err != nil {
			return err
		}
	}
	return nil
}

// tagTarget finds a resource and returns what changes its tags.
func (a *API) tagTarget(ctx context.Context, id string, change func([]aurora.Tag) ([]aurora.Tag, error)) (func() error, error) {
	kind, _, _ := strings.Cut(id, "-")
	switch kind {
	case "sg":
		item, err := a.group(ctx, &id, nil)
		return func() error {
			return a.updateGroup(ctx, item.Key, func(g *aurora.SecurityGroup) (err error) {
				g.Tags, err = change(g.Tags)
				return err
			})
		}, err
	case "sgr":
		groupID, err := a.groupOfRule(ctx, id)
		return func() error { return a.updateGroup(ctx, groupID, retagRule(id, change)) }, err
	}
	exists, err := a.taggable(ctx, id)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, awswire.BadRequestf("InvalidID", "The ID '%.60s' is not valid", id)
	}
	return func() error { return a.retagNetwork(ctx, tagKey(network(ctx), id), change) }, nil
}

// taggable says whether the caller has a part of a VPC, or a gateway, of this id.
func (a *API) taggable(ctx context.Context, id string) (bool, error) {
	networks, err := a.networks(ctx)
	if err != nil {
		return false, err
	}
	for _, n := range networks {
		if slices.Contains(n.ids(), id) {
			return true, nil
		}
	}
	gateways, err := a.allGateways(ctx)
	return slices.ContainsFunc(gateways, func(g attachedGateway) bool { return g.ID == id }), err
}

func (a *API) updateGroup(ctx context.Context, id string, change func(*aurora.SecurityGroup) error) error {
	_, err := a.groups.Update(ctx, id, change)
	return gone(err, id)
}

// groupOfRule is the id of the caller's group that has the rule.
func (a *API) groupOfRule(ctx context.Context, ruleID string) (string, error) {
	groups, err := a.groupsOf(ctx)
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if slices.ContainsFunc(slices.Concat(g.Ingress, g.Egress), func(r aurora.SecurityGroupRule) bool { return r.RuleID == ruleID }) {
			return g.GroupID, nil
		}
	}
	return "", noRule(ruleID)
}

func retagRule(id string, change func([]aurora.Tag) ([]aurora.Tag, error)) func(*aurora.SecurityGroup) error {
	return func(g *aurora.SecurityGroup) error {
		for _, rules := range [][]aurora.SecurityGroupRule{g.Ingress, g.Egress} {
			for i := range rules {
				if rules[i].RuleID == id {
					tags, err := change(rules[i].Tags)
					if err != nil {
						return err
					}
					rules[i].Tags = tags
				}
			}
		}
		return nil
	}
}

// putTags stores the tags of a new resource of a VPC, with it.
func (a *API) putTags(n Network, id string, tags []aurora.Tag) state.Op {
	if len(tags) == 0 {
		return state.Op{}
	}
	return a.tags.PutOp(tagKey(n, id), tags, 0)
}

// dropTags removes the tags of resources of a VPC, with them.
func (a *API) dropTags(ctx context.Context, n Network, ids ...string) ([]state.Op, error) {
	var ops []state.Op
	for _, id := range ids {
		item, err := a.tags.Get(ctx, tagKey(n, id))
		switch {
		case err == nil:
			ops = append(ops, a.tags.DeleteOp(item.Key, item.Revision))
		case !errors.Is(err, state.ErrNotFound):
			return nil, err
		}
	}
	return ops, nil
}

// retagNetwork changes the tags of a part of a VPC.
func (a *API) retagNetwork(ctx context.Context, key string, change func([]aurora.Tag) ([]aurora.Tag, error)) error {
	_, err := a.tags.Create(ctx, key, nil)
	if err != nil && !errors.Is(err, state.ErrExists) {
		return err
	}
	_, err = a.tags.Update(ctx, key, func(tags *[]aurora.Tag) (err error) {
		*tags, err = change(*tags)
		return err
	})
	return err
}

// tagsOf are the tags of the resources of all VPCs of an account and region, by id.
func (a *API) tagsOf(ctx context.Context, n Network) (map[string][]aurora.Tag, error) {
	prefix := tagKey(n, "")
	items, _, err := a.tags.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	tags := make(map[string][]aurora.Tag, len(items))
	for _, item := range items {
		tags[strings.TrimPrefix(item.Key, prefix)] = item.Value
	}
	return tags, nil
}

func tagKey(n Network, id string) string { return n.Account + "/" + n.Region + "/" + id }

// specifiedTags are the tags that a new resource is to have.
func specifiedTags(specifications []types.TagSpecification, resource types.ResourceType) ([]aurora.Tag, error) {
	var tags []types.Tag
	for _, s := range specifications {
		if s.ResourceType != resource {
			return nil, awswire.InvalidParameterValue("'%.60s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		tags = append(tags, s.Tags...)
	}
	return checkTags(tags)
}

func checkTags(tags []types.Tag) ([]aurora.Tag, error) {
	var checked []aurora.Tag
	for _, tag := range tags {
		t := aurora.Tag{Key: aws.ToString(tag.Key), Value: aws.ToString(tag.Value)}
		switch {
		case t.Key == "":
			return nil, awswire.InvalidParameterValue("Tag keys must not be empty.")
		case utf8.RuneCountInString(t.Key) > 127:
			return nil, awswire.InvalidParameterValue("Tag key exceeds the maximum length of 127 characters")
		case utf8.RuneCountInString(t.Value) > 255:
			return nil, awswire.InvalidParameterValue("Tag value exceeds the maximum length of 255 characters")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, awswire.InvalidParameterValue("Tag keys starting with 'aws:' are reserved for internal use")
		case slices.ContainsFunc(checked, func(c aurora.Tag) bool { return c.Key == t.Key }):
			return nil, awswire.InvalidParameterValue("Duplicate tag key '%s' specified.", t.Key)
		}
		checked = append(checked, t)
	}
	if len(checked) > maxTags {
		return nil, tagLimit()
	}
	return checked, nil
}

func tagLimit() error {
	return awswire.BadRequestf("TagLimitExceeded", "The maximum number of tags for a resource (%d) has been reached.", maxTags)
}

func wireTags(tags []aurora.Tag) []types.Tag {
	wire := make([]types.Tag, len(tags))
	for i, tag := range tags {
		wire[i] = types.Tag{Key: &tag.Key, Value: &tag.Value}
	}
	slices.SortFunc(wire, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return wire
}
