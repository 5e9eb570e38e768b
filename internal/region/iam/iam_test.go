package iam_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

const (
	everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	trust      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"monitoring.rds.amazonaws.com"}}]}`
	monitoring = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
)

// newUser makes a user with a key, and the clients' configuration for it.
func newUser(t *testing.T, r regiontest.Region, name string) (aws.Config, *types.AccessKey) {
	t.Helper()
	client := api.NewFromConfig(r.Root)
	if _, err := client.CreateUser(t.Context(), &api.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	out, err := client.CreateAccessKey(t.Context(), &api.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return r.As(out.AccessKey.AccessKeyId, out.AccessKey.SecretAccessKey, nil), out.AccessKey
}

func allow(t *testing.T, r regiontest.Region, user, document string) {
	t.Helper()
	_, err := api.NewFromConfig(r.Root).PutUserPolicy(t.Context(), &api.PutUserPolicyInput{
		UserName: &user, PolicyName: aws.String("p"), PolicyDocument: &document})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAUserMayDoWhatPoliciesAllow(t *testing.T) {
	r := regiontest.Serve(t)
	cfg, _ := newUser(t, r, "alice")
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	const arn = "arn:aws:iam::" + wiretest.Account + ":user/alice"
	if err != nil || *who.Arn != arn || !strings.HasPrefix(*who.UserId, "AIDA") {
		t.Errorf("identity %+v, %v", who, err)
	}
	_, err = api.NewFromConfig(cfg).ListRoles(t.Context(), nil)
	want := "User: " + arn + " is not authorized to perform: iam:ListRoles on resource: * because no identity-based policy allows the iam:ListRoles action"
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "AccessDenied" || e.ErrorMessage() != want {
		t.Errorf("without policies: %v", err)
	}
	allow(t, r, "alice", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["iam:Get*","iam:List*","ec2:*"],"Resource":"*"},
		{"Effect":"Deny","Action":"iam:GetUser","NotResource":"arn:aws:iam::*:user/${aws:username}"},
		{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"us-west-2"}}}]}`)
	client := api.NewFromConfig(cfg)
	if _, err := client.ListRoles(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if out, err := client.GetUser(t.Context(), nil); err != nil || *out.User.UserName != "alice" {
		t.Errorf("who asks without a name: %+v, %v", out, err)
	}
	newUser(t, r, "bob")
	if _, err := client.GetUser(t.Context(), &api.GetUserInput{UserName: aws.String("bob")}); regiontest.Code(err) != "AccessDenied" || !strings.Contains(err.Error(), "explicit deny") {
		t.Errorf("what is denied: %v", err)
	}
	if _, err := client.CreateUser(t.Context(), &api.CreateUserInput{UserName: aws.String("eve")}); regiontest.Code(err) != "AccessDenied" {
		t.Errorf("what is not allowed: %v", err)
	}
	if _, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil); err != nil {
		t.Error(err)
	}
	cfg.Region = "eu-west-1"
	if _, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil); regiontest.Code(err) != "UnauthorizedOperation" {
		t.Errorf("in another region: %v", err)
	}
}

func TestAKeyWorksWhileItIsActive(t *testing.T) {
	r := regiontest.Serve(t)
	client := api.NewFromConfig(r.Root)
	cfg, key := newUser(t, r, "alice")
	works := func() string {
		_, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
		return regiontest.Code(err)
	}
	set := func(status types.StatusType) {
		t.Helper()
		if _, err := client.UpdateAccessKey(t.Context(), &api.UpdateAccessKeyInput{UserName: aws.String("alice"), AccessKeyId: key.AccessKeyId, Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	if code := works(); code != "" {
		t.Errorf("a new key: %s", code)
	}
	session, err := sts.NewFromConfig(cfg).GetSessionToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	set(types.StatusTypeInactive)
	if code := works(); code != "InvalidClientTokenId" {
		t.Errorf("an inactive key: %s", code)
	}
	set(types.StatusTypeActive)
	if code := works(); code != "" {
		t.Errorf("an active key: %s", code)
	}
	if _, err := client.CreateAccessKey(t.Context(), &api.CreateAccessKeyInput{UserName: aws.String("alice")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateAccessKey(t.Context(), &api.CreateAccessKeyInput{UserName: aws.String("alice")}); regiontest.Code(err) != "LimitExceeded" {
		t.Errorf("a third key: %v", err)
	}
	if _, err := client.DeleteUser(t.Context(), &api.DeleteUserInput{UserName: aws.String("alice")}); regiontest.Code(err) != "DeleteConflict" {
		t.Errorf("a user with keys: %v", err)
	}
	keys, err := client.ListAccessKeys(t.Context(), &api.ListAccessKeysInput{UserName: aws.String("alice")})
	if err != nil || len(keys.AccessKeyMetadata) != 2 {
		t.Fatalf("keys %+v, %v", keys, err)
	}
	for _, k := range keys.AccessKeyMetadata {
		if _, err := client.DeleteAccessKey(t.Context(), &api.DeleteAccessKeyInput{UserName: aws.String("alice"), AccessKeyId: k.AccessKeyId}); err != nil {
			t.Fatal(err)
		}
	}
	if code := works(); code != "InvalidClientTokenId" {
		t.Errorf("a deleted key: %s", code)
	}
	if _, err := client.DeleteUser(t.Context(), &api.DeleteUserInput{UserName: aws.String("alice")}); err != nil {
		t.Fatal(err)
	}
	newUser(t, r, "alice")
	cfg = r.As(session.Credentials.AccessKeyId, session.Credentials.SecretAccessKey, session.Credentials.SessionToken)
	if code := works(); code != "InvalidClientTokenId" {
		t.Errorf("a session of another user of that name: %s", code)
	}
}

// TestARoleLivesAsTerraformWantsIt makes the calls of aws_iam_role and its
// attachments, in the provider's order.
func TestARoleLivesAsTerraformWantsIt(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	name := aws.String("rds-monitoring")
	made, err := client.CreateRole(t.Context(), &api.CreateRoleInput{
		RoleName: name, AssumeRolePolicyDocument: aws.String(trust), Path: aws.String("/db/"), Description: aws.String("x"),
		MaxSessionDuration: aws.Int32(7200), Tags: []types.Tag{{Key: aws.String("Env"), Value: aws.String("test")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRole(t.Context(), &api.GetRoleInput{RoleName: name})
	if err != nil {
		t.Fatal(err)
	}
	document, err := url.QueryUnescape(*got.Role.AssumeRolePolicyDocument)
	if err != nil || document != trust || *got.Role.Arn != "arn:aws:iam::"+wiretest.Account+":role/db/rds-monitoring" ||
		*got.Role.RoleId != *made.Role.RoleId || *got.Role.MaxSessionDuration != 7200 || len(got.Role.Tags) != 1 || !strings.HasPrefix(*got.Role.RoleId, "AROA") {
		t.Errorf("role %+v %v", got.Role, err)
	}
	if _, err := client.AttachRolePolicy(t.Context(), &api.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(monitoring)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRolePolicy(t.Context(), &api.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("own"), PolicyDocument: aws.String(everything)}); err != nil {
		t.Fatal(err)
	}
	attached, err := client.ListAttachedRolePolicies(t.Context(), &api.ListAttachedRolePoliciesInput{RoleName: name})
	if err != nil || len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyName != "AmazonRDSEnhancedMonitoringRole" {
		t.Errorf("attached %+v, %v", attached, err)
	}
	own, err := client.GetRolePolicy(t.Context(), &api.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("own")})
	if text, _ := url.QueryUnescape(aws.ToString(own.PolicyDocument)); err != nil || text != everything {
		t.Errorf("inline policy %s, %v", text, err)
	}
	remove := func() error {
		_, err := client.DeleteRole(t.Context(), &api.DeleteRoleInput{RoleName: name})
		return err
	}
	if regiontest.Code(remove()) != "DeleteConflict" {
		t.Error("a role with policies was deleted")
	}
	if profiles, err := client.ListInstanceProfilesForRole(t.Context(), &api.ListInstanceProfilesForRoleInput{RoleName: name}); err != nil || len(profiles.InstanceProfiles) > 0 {
		t.Errorf("instance profiles %+v, %v", profiles, err)
	}
	if _, err := client.DetachRolePolicy(t.Context(), &api.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String(monitoring)}); err != nil {
		t.Fatal(err)
	}
	if regiontest.Code(remove()) != "DeleteConflict" {
		t.Error("a role with an inline policy was deleted")
	}
	if _, err := client.DeleteRolePolicy(t.Context(), &api.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("own")}); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	var gone *types.NoSuchEntityException
	if _, err := client.GetRole(t.Context(), &api.GetRoleInput{RoleName: name}); !errors.As(err, &gone) {
		t.Errorf("a deleted role: %v", err)
	}
}

func TestRolesAreListedInPages(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	for i := range 5 {
		_, err := client.CreateRole(t.Context(), &api.CreateRoleInput{RoleName: aws.String(fmt.Sprint("r", i)), AssumeRolePolicyDocument: aws.String(trust)})
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	pages := api.NewListRolesPaginator(client, &api.ListRolesInput{MaxItems: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range page.Roles {
			names = append(names, *role.RoleName)
		}
	}
	if strings.Join(names, " ") != "r0 r1 r2 r3 r4" {
		t.Errorf("roles %v", names)
	}
	if _, err := client.ListRoles(t.Context(), &api.ListRolesInput{MaxItems: aws.Int32(0)}); regiontest.Code(err) != "ValidationError" {
		t.Errorf("a page of none: %v", err)
	}
}

func TestManagedPoliciesHaveVersionsOfWhichOneHolds(t *testing.T) {
	r := regiontest.Serve(t)
	client := api.NewFromConfig(r.Root)
	cfg, _ := newUser(t, r, "alice")
	made, err := client.CreatePolicy(t.Context(), &api.CreatePolicyInput{PolicyName: aws.String("all"), PolicyDocument: aws.String(everything), Path: aws.String("/team/")})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.Policy.Arn
	if _, err := client.AttachUserPolicy(t.Context(), &api.AttachUserPolicyInput{UserName: aws.String("alice"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	may := func() error {
		_, err := api.NewFromConfig(cfg).ListUsers(t.Context(), nil)
		return err
	}
	if err := may(); err != nil {
		t.Error(err)
	}
	nothing := strings.Replace(everything, "Allow", "Deny", 1)
	v2, err := client.CreatePolicyVersion(t.Context(), &api.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: &nothing, SetAsDefault: true})
	if err != nil || *v2.PolicyVersion.VersionId != "v2" {
		t.Fatalf("version %+v, %v", v2, err)
	}
	if err := may(); regiontest.Code(err) != "AccessDenied" {
		t.Errorf("after the second version: %v", err)
	}
	if _, err := client.DeletePolicyVersion(t.Context(), &api.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")}); regiontest.Code(err) != "DeleteConflict" {
		t.Errorf("the default version: %v", err)
	}
	if _, err := client.SetDefaultPolicyVersion(t.Context(), &api.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")}); err != nil {
		t.Fatal(err)
	}
	if err := may(); err != nil {
		t.Error(err)
	}
	remove := func() error {
		_, err := client.DeletePolicy(t.Context(), &api.DeletePolicyInput{PolicyArn: arn})
		return err
	}
	if regiontest.Code(remove()) != "DeleteConflict" {
		t.Error("an attached policy was deleted")
	}
	who, err := client.ListEntitiesForPolicy(t.Context(), &api.ListEntitiesForPolicyInput{PolicyArn: arn})
	if err != nil || len(who.PolicyUsers) != 1 || *who.PolicyUsers[0].UserName != "alice" {
		t.Errorf("entities %+v, %v", who, err)
	}
	if _, err := client.DetachUserPolicy(t.Context(), &api.DetachUserPolicyInput{UserName: aws.String("alice"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	if regiontest.Code(remove()) != "DeleteConflict" {
		t.Error("a policy with two versions was deleted")
	}
	if _, err := client.DeletePolicyVersion(t.Context(), &api.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")}); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := client.GetPolicy(t.Context(), &api.GetPolicyInput{PolicyArn: arn}); regiontest.Code(err) != "NoSuchEntity" {
		t.Errorf("a deleted policy: %v", err)
	}
}

func TestEveryPolicyOfAWSsIsOne(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	list, err := client.ListPolicies(t.Context(), &api.ListPoliciesInput{Scope: types.PolicyScopeTypeAws})
	if err != nil || len(list.Policies) < 10 {
		t.Fatalf("policies %+v, %v", list, err)
	}
	ids := map[string]bool{}
	for _, p := range list.Policies {
		ids[*p.PolicyId] = true
		out, err := client.GetPolicyVersion(t.Context(), &api.GetPolicyVersionInput{PolicyArn: p.Arn, VersionId: p.DefaultVersionId})
		if err != nil {
			t.Fatal(err)
		}
		document, err := url.QueryUnescape(*out.PolicyVersion.Document)
		if err == nil { // as a customer's
			_, err = client.CreatePolicy(t.Context(), &api.CreatePolicyInput{PolicyName: p.PolicyName, PolicyDocument: &document})
		}
		if err != nil {
			t.Errorf("%s: %v", *p.Arn, err)
		}
	}
	if len(ids) != len(list.Policies) {
		t.Error("two policies have one id")
	}
	if _, err := client.DeletePolicy(t.Context(), &api.DeletePolicyInput{PolicyArn: aws.String(monitoring)}); regiontest.Code(err) != "AccessDenied" {
		t.Errorf("deleting one of AWS's: %v", err)
	}
}

func TestBadRequestsAreRefusedInIAMsWords(t *testing.T) {
	r := regiontest.Serve(t)
	client, ctx := api.NewFromConfig(r.Root), t.Context()
	newUser(t, r, "alice")
	role := func(in api.CreateRoleInput) error {
		if in.RoleName == nil {
			in.RoleName = aws.String("role")
		}
		if in.AssumeRolePolicyDocument == nil {
			in.AssumeRolePolicyDocument = aws.String(trust)
		}
		_, err := client.CreateRole(ctx, &in)
		return err
	}
	user := func(in api.CreateUserInput) error {
		_, err := client.CreateUser(ctx, &in)
		return err
	}
	tag := func(key string) []types.Tag { return []types.Tag{{Key: &key, Value: aws.String("")}} }
	for name, test := range map[string]struct {
		err  error
		code string
	}{
		"no name":            {user(api.CreateUserInput{UserName: aws.String("")}), "ValidationError"},
		"a bad name":         {user(api.CreateUserInput{UserName: aws.String("a/b")}), "ValidationError"},
		"a name too long":    {user(api.CreateUserInput{UserName: aws.String(strings.Repeat("x", 65))}), "ValidationError"},
		"a name taken":       {user(api.CreateUserInput{UserName: aws.String("Alice")}), "EntityAlreadyExists"},
		"a bad path":         {user(api.CreateUserInput{UserName: aws.String("b"), Path: aws.String("x")}), "ValidationError"},
		"a boundary":         {user(api.CreateUserInput{UserName: aws.String("b"), PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}), "InvalidInput"},
		"a reserved tag":     {user(api.CreateUserInput{UserName: aws.String("b"), Tags: tag("aws:x")}), "InvalidInput"},
		"a tag twice":        {user(api.CreateUserInput{UserName: aws.String("b"), Tags: append(tag("x"), tag("X")...)}), "InvalidInput"},
		"no trust policy":    {role(api.CreateRoleInput{AssumeRolePolicyDocument: aws.String("{}")}), "MalformedPolicyDocument"},
		"trust in no one":    {role(api.CreateRoleInput{AssumeRolePolicyDocument: aws.String(everything)}), "MalformedPolicyDocument"},
		"a session too long": {role(api.CreateRoleInput{MaxSessionDuration: aws.Int32(50000)}), "ValidationError"},
	} {
		if regiontest.Code(test.err) != test.code {
			t.Errorf("%s: %v, want %s", name, test.err, test.code)
		}
	}
	_, err := client.AttachUserPolicy(ctx, &api.AttachUserPolicyInput{UserName: aws.String("alice"), PolicyArn: aws.String("arn:aws:iam::aws:policy/Nonsense")})
	if regiontest.Code(err) != "NoSuchEntity" {
		t.Errorf("a policy that is not there: %v", err)
	}
	_, err = client.PutUserPolicy(ctx, &api.PutUserPolicyInput{UserName: aws.String("alice"), PolicyName: aws.String("x"), PolicyDocument: aws.String(trust)})
	if regiontest.Code(err) != "MalformedPolicyDocument" {
		t.Errorf("a policy with a principal: %v", err)
	}
	users, err := client.ListUsers(ctx, nil)
	roles, errRoles := client.ListRoles(ctx, nil)
	if err != nil || errRoles != nil || len(users.Users) != 1 || len(roles.Roles) != 0 {
		t.Errorf("refused requests left %+v, %+v", users, roles)
	}
}
