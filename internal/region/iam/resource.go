package iam

import (
	"context"
	"reflect"
	"strings"

	api "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// resources are the ARNs that an action is about.
func (a *API) resources(ctx context.Context, in any) []string {
	id := awswire.IdentityFrom(ctx)
	field := func(name string) *string {
		p, _ := fieldOf(in, name)
		return p
	}
	if p := field("PolicyArn"); p != nil && field("RoleName") == nil && field("UserName") == nil {
		return []string{*p}
	}
	if name := field("RoleName"); name != nil {
		path := field("Path")
		if role, ok := a.roles.mirror.Get(recordKey(id.Account, *name)); ok {
			return []string{role.Value.arn()}
		}
		return []string{arn(id.Account, "role", orRoot(path), *name)}
	}
	if create, ok := in.(*api.CreatePolicyInput); ok && create.PolicyName != nil {
		return []string{arn(id.Account, "policy", orRoot(create.Path), *create.PolicyName)}
	}
	name := field("UserName")
	if name != nil {
		if user, ok := a.users.mirror.Get(recordKey(id.Account, *name)); ok {
			return []string{user.Value.arn()}
		}
		return []string{arn(id.Account, "user", orRoot(field("Path")), *name)}
	}
	if _, isUsers := fieldOf(in, "UserName"); isUsers {
		return []string{id.ARN} // the caller's own
	}
	return nil
}

func fieldOf(in any, name string) (*string, bool) {
	f := reflect.ValueOf(in).Elem().FieldByName(name)
	if !f.IsValid() {
		return nil, false
	}
	p, _ := f.Interface().(*string)
	return p, true
}

func orRoot(path *string) string {
	if path == nil || !strings.HasPrefix(*path, "/") {
		return "/"
	}
	return *path
}
