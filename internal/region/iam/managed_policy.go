package iam

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
	"github.com/daybreakdb/daybreak/internal/state"
)

func checkManaged(document string) error {
	return parse(document, maxManagedSize, policy.Document.CheckIdentity)
}

// CreatePolicy makes a policy that can be attached to users and roles.
func (a *API) CreatePolicy(ctx context.Context, in *api.CreatePolicyInput) (*api.CreatePolicyOutput, error) {
	now := time.Now().UTC().Truncate(time.Second)
	p := Policy{
		Account: awswire.IdentityFrom(ctx).Account, Name: aws.ToString(in.PolicyName), ID: newID("ANPA"), Created: now, Updated: now,
		Description: aws.ToString(in.Description), Default: "v1", NextVersion: 2,
		Versions: []Version{{ID: "v1", Document: aws.ToString(in.PolicyDocument), Created: now}},
	}
	path, errPath := checkPath(in.Path)
	tags, errTags := mergeTags(nil, in.Tags)
	if err := first(checkName("policyName", p.Name, 128), errPath, errTags, checkManaged(p.document())); err != nil {
		return nil, err
	}
	p.Path, p.Tags = path, tags
	rev, err := a.policies.Create(ctx, recordKey(p.Account, p.Name), p)
	if errors.Is(err, state.ErrExists) {
		return nil, exists("A policy called %s already exists. Duplicate names are not allowed.", p.Name)
	}
	if err != nil {
		return nil, err
	}
	return &api.CreatePolicyOutput{Policy: wirePolicy(p, 0)}, a.policyMirror.WaitRevision(ctx, rev)
}

// policy reads a managed policy: AWS's have revision 0.
func (a *API) policy(ctx context.Context, arn string) (state.Item[Policy], error) {
	if p, ok := awsManaged(arn); ok {
		return state.Item[Policy]{Value: p}, nil
	}
	missing := noSuchEntity("Policy %.200s does not exist or is not attachable.", arn)
	account := awswire.IdentityFrom(ctx).Account
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::"+account+":policy/")
	if !ok {
		return state.Item[Policy]{}, missing
	}
	item, err := a.policies.Get(ctx, recordKey(account, rest[strings.LastIndex(rest, "/")+1:]))
	if errors.Is(err, state.ErrNotFound) || err == nil && item.Value.ARN() != arn {
		return item, missing
	}
	return item, err
}

// updatePolicy changes a customer's policy.
func (a *API) updatePolicy(ctx context.Context, arn string, change func(*Policy) error) (Policy, error) {
	item, err := a.policy(ctx, arn)
	if err != nil {
		return item.Value, err
	}
	if item.Revision == 0 {
		return item.Value, awswire.Errorf(403, "AccessDenied", "The policy %s is AWS's and cannot be changed.", arn)
	}
	item, err = a.policies.Update(ctx, item.Key, change)
	if errors.Is(err, state.ErrNotFound) {
		return item.Value, noSuchEntity("Policy %.200s does not exist or is not attachable.", arn)
	}
	if err != nil {
		return item.Value, err
	}
	return item.Value, a.policyMirror.WaitRevision(ctx, item.Revision)
}

// GetPolicy answers a managed policy without its document.
func (a *API) GetPolicy(ctx context.Context, in *api.GetPolicyInput) (*api.GetPolicyOutput, error) {
	item, err := a.policy(ctx, aws.ToString(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	counts, err := a.attachments(ctx)
	return &api.GetPolicyOutput{Policy: wirePolicy(item.Value, counts[*in.PolicyArn])}, err
}

// attachments is how often each policy is attached in the caller's account.
func (a *API) attachments(ctx context.Context) (map[string]int, error) {
	users, err := a.users.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	roles, err := a.roles.list(ctx, nil)
	counts := map[string]int{}
	for _, u := range users {
		for _, arn := range u.Attached {
			counts[arn]++
		}
	}
	for _, r := range roles {
		for _, arn := range r.Attached {
			counts[arn]++
		}
	}
	return counts, err
}

// ListPolicies answers the policies of a scope (All, AWS, Local) below a path.
func (a *API) ListPolicies(ctx context.Context, in *api.ListPoliciesInput) (*api.ListPoliciesOutput, error) {
	if err := unavailable("PolicyUsageFilter", in.PolicyUsageFilter == types.PolicyUsageTypePermissionsBoundary); err != nil {
		return nil, err
	}
	var all []Policy
	if in.Scope != types.PolicyScopeTypeLocal {
		all = awsManagedPolicies()
	}
	items, _, err := a.policies.List(ctx, recordKey(awswire.IdentityFrom(ctx).Account, ""))
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if in.Scope != types.PolicyScopeTypeAws {
			all = append(all, item.Value)
		}
	}
	counts, err := a.attachments(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p Policy) bool {
		return in.PathPrefix != nil && !strings.HasPrefix(p.Path, *in.PathPrefix) || in.OnlyAttached && counts[p.ARN()] == 0
	})
	page, next, err := awswire.Page(all, in.Marker, in.MaxItems, pages(), Policy.ARN)
	out := &api.ListPoliciesOutput{Marker: next, IsTruncated: next != nil}
	for _, p := range page {
		wire := wirePolicy(p, counts[p.ARN()])
		wire.Tags, wire.Description = nil, nil // as AWS
		out.Policies = append(out.Policies, *wire)
	}
	return out, err
}

// DeletePolicy removes a policy that is attached to nobody and has one version.
func (a *API) DeletePolicy(ctx context.Context, in *api.DeletePolicyInput) (*api.DeletePolicyOutput, error) {
	for {
		item, err := a.policy(ctx, aws.ToString(in.PolicyArn))
		if err != nil {
			return nil, err
		}
		if item.Revision == 0 {
			return nil, awswire.Errorf(403, "AccessDenied", "The policy %s is AWS's and cannot be changed.", *in.PolicyArn)
		}
		checks, holders, err := a.attachedTo(ctx, *in.PolicyArn)
		if err != nil {
			return nil, err
		}
		if len(holders.users)+len(holders.roles) > 0 {
			return nil, conflict("Cannot delete a policy attached to entities.")
		}
		if len(item.Value.Versions) > 1 {
			return nil, conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. " +
				"The default version is deleted with the policy.")
		}
		rev, err := a.store.Commit(ctx, append(checks, a.policies.DeleteOp(item.Key, item.Revision))...)
		if err == nil {
			return nil, a.policyMirror.WaitRevision(ctx, rev)
		}
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
}

// holders are the users and roles that have a policy.
type holders struct {
	users []User
	roles []Role
}

// attachedTo finds who has a policy, and the conditions under which nobody else
// has it.
func (a *API) attachedTo(ctx context.Context, arn string) ([]state.Op, holders, error) {
	var h holders
	users, usersAt, err := a.users.table.List(ctx, "")
	if err != nil {
		return nil, h, err
	}
	roles, rolesAt, err := a.roles.table.List(ctx, "")
	account := awswire.IdentityFrom(ctx).Account
	for _, u := range users {
		if u.Value.Account == account && slices.Contains(u.Value.Attached, arn) {
			h.users = append(h.users, u.Value)
		}
	}
	for _, r := range roles {
		if r.Value.Account == account && slices.Contains(r.Value.Attached, arn) {
			h.roles = append(h.roles, r.Value)
		}
	}
	return []state.Op{a.users.table.UnchangedOp(usersAt), a.roles.table.UnchangedOp(rolesAt)}, h, err
}

// ListEntitiesForPolicy answers the users and roles that have a policy.
func (a *API) ListEntitiesForPolicy(ctx context.Context, in *api.ListEntitiesForPolicyInput) (*api.ListEntitiesForPolicyOutput, error) {
	if err := unavailable("PolicyUsageFilter", in.PolicyUsageFilter == types.PolicyUsageTypePermissionsBoundary); err != nil {
		return nil, err
	}
	if _, err := a.policy(ctx, aws.ToString(in.PolicyArn)); err != nil {
		return nil, err
	}
	_, h, err := a.attachedTo(ctx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	below := func(path string) bool { return in.PathPrefix == nil || strings.HasPrefix(path, *in.PathPrefix) }
	out := &api.ListEntitiesForPolicyOutput{}
	for _, u := range h.users {
		if below(u.Path) && (in.EntityFilter == "" || in.EntityFilter == types.EntityTypeUser) {
			out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserName: &u.Name, UserId: &u.ID})
		}
	}
	for _, r := range h.roles {
		if below(r.Path) && (in.EntityFilter == "" || in.EntityFilter == types.EntityTypeRole) {
			out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleName: &r.Name, RoleId: &r.ID})
		}
	}
	return out, nil
}

func wirePolicy(p Policy, attached int) *types.Policy {
	wire := &types.Policy{
		PolicyName: &p.Name, PolicyId: &p.ID, Arn: aws.String(p.ARN()), Path: &p.Path, DefaultVersionId: &p.Default,
		AttachmentCount: aws.Int32(int32(attached)), PermissionsBoundaryUsageCount: aws.Int32(0), IsAttachable: true,
		CreateDate: &p.Created, UpdateDate: &p.Updated, Tags: wireTags(p.Tags),
	}
	if p.Description != "" {
		wire.Description = &p.Description
	}
	return wire
}
