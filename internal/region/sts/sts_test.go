package sts_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

func TestCallersLearnWhoTheyAreInAnyRegion(t *testing.T) {
	cfg := regiontest.Serve(t).Root
	for _, region := range []string{"us-west-2", "local-1", "us-gov-east-1"} {
		cfg.Region = region
		out, err := api.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.Account) != wiretest.Account || aws.ToString(out.Arn) != regiontest.RootARN || aws.ToString(out.UserId) == "" {
			t.Errorf("identity %+v", out)
		}
	}
}

func TestAPresignedURLOfGetCallerIdentityWorksWithoutASigner(t *testing.T) {
	cfg := regiontest.Serve(t).Root
	signed, err := api.NewPresignClient(api.NewFromConfig(cfg)).PresignGetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "<Account>"+wiretest.Account+"</Account>") {
		t.Errorf("%s %v: %s", resp.Status, err, body)
	}
}

const reads = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}`

// makeRole makes a role that the account may assume, and that reads EC2.
func makeRole(t *testing.T, r regiontest.Region, name, condition string) string {
	t.Helper()
	client := iam.NewFromConfig(r.Root)
	out, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"` + regiontest.RootARN + `"}` + condition + `}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("reads"), PolicyDocument: aws.String(reads)}); err != nil {
		t.Fatal(err)
	}
	return *out.Role.Arn
}

func TestASessionOfARoleMayDoWhatTheRoleMay(t *testing.T) {
	r := regiontest.Serve(t)
	arn := makeRole(t, r, "reader", "")
	out, err := api.NewFromConfig(r.Root).AssumeRole(t.Context(), &api.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("night-shift")})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(*out.Credentials.Expiration); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the session lasts %s", left)
	}
	session := r.As(out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey, out.Credentials.SessionToken)
	who, err := api.NewFromConfig(session).GetCallerIdentity(t.Context(), nil)
	want := "arn:aws:sts::" + wiretest.Account + ":assumed-role/reader/night-shift"
	if err != nil || *who.Arn != want || !strings.HasSuffix(*who.UserId, ":night-shift") || *out.AssumedRoleUser.Arn != want {
		t.Errorf("identity %+v, %v", who, err)
	}
	client := ec2.NewFromConfig(session)
	if _, err := client.DescribeVpcs(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_, err = client.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("x"), Description: aws.String("x")})
	if regiontest.Code(err) != "UnauthorizedOperation" {
		t.Errorf("what the role may not do: %v", err)
	}
	if _, err := api.NewFromConfig(session).GetSessionToken(t.Context(), nil); regiontest.Code(err) != "AccessDenied" {
		t.Errorf("a session of a session: %v", err)
	}
	for name, cfg := range map[string]aws.Config{
		"without its token":  r.As(out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey, nil),
		"with another key":   r.As(aws.String(wiretest.AccessKey), out.Credentials.SecretAccessKey, out.Credentials.SessionToken),
		"with another token": r.As(out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey, aws.String("AQ==")),
	} {
		if _, err := api.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil); regiontest.Code(err) != "InvalidClientTokenId" {
			t.Errorf("%s: %v", name, err)
		}
	}
	deleteRole(t, r, "reader")
	if _, err := client.DescribeVpcs(t.Context(), nil); regiontest.Code(err) != "AuthFailure" {
		t.Errorf("a session whose role is gone: %v", err)
	}
}

func deleteRole(t *testing.T, r regiontest.Region, name string) {
	t.Helper()
	client := iam.NewFromConfig(r.Root)
	if _, err := client.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: aws.String("reads")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: &name}); err != nil {
		t.Fatal(err)
	}
}

func TestARoleIsAssumedAsItsTrustPolicySays(t *testing.T) {
	r := regiontest.Serve(t)
	open := makeRole(t, r, "open", "")
	guarded := makeRole(t, r, "guarded", `,"Condition":{"StringEquals":{"sts:ExternalId":"shared secret"}}`)
	client := api.NewFromConfig(r.Root)
	for name, test := range map[string]struct {
		in   api.AssumeRoleInput
		code string
	}{
		"trusted":               {api.AssumeRoleInput{RoleArn: &open}, ""},
		"external id":           {api.AssumeRoleInput{RoleArn: &guarded, ExternalId: aws.String("shared secret")}, ""},
		"no external id":        {api.AssumeRoleInput{RoleArn: &guarded}, "AccessDenied"},
		"another external id":   {api.AssumeRoleInput{RoleArn: &guarded, ExternalId: aws.String("guess")}, "AccessDenied"},
		"no such role":          {api.AssumeRoleInput{RoleArn: aws.String(open + "x")}, "AccessDenied"},
		"no role":               {api.AssumeRoleInput{RoleArn: aws.String(regiontest.RootARN)}, "AccessDenied"},
		"too long":              {api.AssumeRoleInput{RoleArn: &open, DurationSeconds: aws.Int32(7200)}, "ValidationError"},
		"too short":             {api.AssumeRoleInput{RoleArn: &open, DurationSeconds: aws.Int32(60)}, "ValidationError"},
		"a session policy":      {api.AssumeRoleInput{RoleArn: &open, Policy: aws.String(reads)}, ""},
		"not a session policy":  {api.AssumeRoleInput{RoleArn: &open, Policy: aws.String("{}")}, "MalformedPolicyDocument"},
		"tags that it lacks":    {api.AssumeRoleInput{RoleArn: &open, TransitiveTagKeys: []string{"a"}}, "ValidationError"},
		"a name that is no one": {api.AssumeRoleInput{RoleArn: &open, RoleSessionName: aws.String("a b")}, "ValidationError"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.in.RoleSessionName == nil {
				test.in.RoleSessionName = aws.String("me")
			}
			if _, err := client.AssumeRole(t.Context(), &test.in); regiontest.Code(err) != test.code {
				t.Errorf("%v, want %s", err, test.code)
			}
		})
	}
}

func TestRootHasTemporaryCredentialsToo(t *testing.T) {
	r := regiontest.Serve(t)
	out, err := api.NewFromConfig(r.Root).GetSessionToken(t.Context(), &api.GetSessionTokenInput{DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	session := r.As(out.Credentials.AccessKeyId, out.Credentials.SecretAccessKey, out.Credentials.SessionToken)
	if who, err := api.NewFromConfig(session).GetCallerIdentity(t.Context(), nil); err != nil || *who.Arn != regiontest.RootARN {
		t.Errorf("identity %+v, %v", who, err)
	}
	if _, err := iam.NewFromConfig(session).ListUsers(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if _, err := api.NewFromConfig(r.Root).GetSessionToken(t.Context(), &api.GetSessionTokenInput{DurationSeconds: aws.Int32(1)}); regiontest.Code(err) != "ValidationError" {
		t.Errorf("a second: %v", err)
	}
}
