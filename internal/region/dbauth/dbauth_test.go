package dbauth_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/dbauth"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

const (
	region = "us-west-2"
	host   = "demo.cluster-abc.us-west-2.rds.example:5432"
	of     = "arn:aws:rds-db:us-west-2:" + wiretest.Account + ":dbuser:cluster-ABC/"
)

// stand is a region with the user alice, who has a key.
type stand struct {
	authority dbauth.Authority
	root      regiontest.Region
	alice     aws.CredentialsProvider
}

func newStand(t *testing.T) *stand {
	t.Helper()
	r := regiontest.Serve(t)
	client := api.NewFromConfig(r.Root)
	name := aws.String("alice")
	if _, err := client.CreateUser(t.Context(), &api.CreateUserInput{UserName: name}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateAccessKey(t.Context(), &api.CreateAccessKeyInput{UserName: name})
	if err != nil {
		t.Fatal(err)
	}
	directory, err := iam.NewDirectory(t.Context(), r.Store, r.Keyring, awswire.StaticCredentials{{
		AccessKeyID: wiretest.AccessKey, SecretAccessKey: wiretest.SecretKey, Account: wiretest.Account, UserARN: regiontest.RootARN,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return &stand{
		authority: dbauth.Authority{Directory: directory}, root: r,
		alice: credentials.NewStaticCredentialsProvider(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, ""),
	}
}

// allow gives alice a policy, and waits until the authority knows it.
func (s *stand) allow(t *testing.T, document string) {
	t.Helper()
	_, err := api.NewFromConfig(s.root.Root).PutUserPolicy(t.Context(), &api.PutUserPolicyInput{
		UserName: aws.String("alice"), PolicyName: aws.String("p"), PolicyDocument: &document})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for s.authority.Check(t.Context(), login(s.token(t, s.alice, host, region, "app"))) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the policy does not let alice in as app")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *stand) token(t *testing.T, who aws.CredentialsProvider, host, region, user string) string {
	t.Helper()
	token, err := auth.BuildAuthToken(t.Context(), host, region, user, who)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func login(token string) dbauth.Login {
	return dbauth.Login{Account: wiretest.Account, Region: region, ClusterID: "cluster-ABC", User: "app",
		Hosts: []string{"127.42.0.1:5432", host}, Source: netip.MustParseAddr("10.1.2.3"), Token: token}
}

func TestTokensOfTheSDK(t *testing.T) {
	s := newStand(t)
	if err := s.authority.Check(t.Context(), login(s.token(t, s.alice, host, region, "app"))); err == nil ||
		!strings.Contains(err.Error(), "is not authorized to perform: rds-db:connect on resource: "+of+"app") {
		t.Errorf("without a policy: %v", err)
	}
	s.allow(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"rds-db:connect","Resource":["`+of+`app","`+of+`elsewhere"]},
		{"Effect":"Deny","Action":"rds-db:connect","Resource":"`+of+`elsewhere","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}]}`)
	token := s.token(t, s.alice, host, region, "app")
	for name, test := range map[string]struct {
		login   func() dbauth.Login
		because string
	}{
		"the token":         {func() dbauth.Login { return login(token) }, ""},
		"a host as written": {func() dbauth.Login { return login(s.token(t, s.alice, strings.ToUpper(host), region, "app")) }, ""},
		"an address":        {func() dbauth.Login { return login(s.token(t, s.alice, "127.42.0.1:5432", region, "app")) }, ""},
		"root":              {func() dbauth.Login { return login(s.token(t, s.root.Root.Credentials, host, region, "app")) }, ""},
		"a password":        {func() dbauth.Login { return login("secret") }, "incomplete"},
		"nothing":           {func() dbauth.Login { return login("") }, "not accepted"},
		"an unknown key": {func() dbauth.Login {
			return login(s.token(t, credentials.NewStaticCredentialsProvider("AKIAUNKNOWN", "x", ""), host, region, "app"))
		}, "access key"},
		"a wrong secret": {func() dbauth.Login {
			alice, _ := s.alice.Retrieve(t.Context())
			return login(s.token(t, credentials.NewStaticCredentialsProvider(alice.AccessKeyID, "x", ""), host, region, "app"))
		}, "signature"},
		"a changed user": {func() dbauth.Login { return login(strings.Replace(token, "DBUser=app", "DBUser=postgres", 1)) }, "signature"},
		"a longer life":  {func() dbauth.Login { return login(strings.Replace(token, "Expires=900", "Expires=9000", 1)) }, "signature"},
		"another user": {func() dbauth.Login {
			l := login(token)
			l.User = "postgres"
			return l
		}, `it is for the user "app"`},
		"another host": {func() dbauth.Login { return login(s.token(t, s.alice, "other.example:5432", region, "app")) }, "other.example:5432"},
		"another port": {func() dbauth.Login {
			return login(s.token(t, s.alice, strings.Replace(host, "5432", "5433", 1), region, "app"))
		}, "5433"},
		"another region":  {func() dbauth.Login { return login(s.token(t, s.alice, host, "eu-central-1", "app")) }, "eu-central-1"},
		"another account": {func() dbauth.Login { l := login(token); l.Account = "999988887777"; return l }, "another account"},
		"another cluster": {func() dbauth.Login { l := login(token); l.ClusterID = "cluster-DEF"; return l }, "is not authorized"},
		"a denied address": {func() dbauth.Login {
			l := login(s.token(t, s.alice, host, region, "elsewhere"))
			l.User = "elsewhere"
			return l
		}, "explicit deny"},
	} {
		err := s.authority.Check(t.Context(), test.login())
		if test.because == "" && err != nil || test.because != "" && (err == nil || !strings.Contains(err.Error(), test.because)) {
			t.Errorf("%s: %v, want %q", name, err, test.because)
		}
	}
}

func TestATokenLivesAQuarterOfAnHour(t *testing.T) {
	s := newStand(t)
	root := s.root.Root.Credentials
	token := s.token(t, root, host, region, "app")
	for after, accepted := range map[time.Duration]bool{-time.Hour: false, 0: true, 14 * time.Minute: true, 16 * time.Minute: false} {
		authority := s.authority
		authority.Now = func() time.Time { return time.Now().Add(after) }
		if err := authority.Check(t.Context(), login(token)); (err == nil) != accepted {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

func TestTokensOfARole(t *testing.T) {
	s := newStand(t)
	client := api.NewFromConfig(s.root.Root)
	name := aws.String("db")
	role, err := client.CreateRole(t.Context(), &api.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"` + regiontest.RootARN + `"}}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.PutRolePolicy(t.Context(), &api.PutRolePolicyInput{RoleName: name, PolicyName: name, PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect","Resource":"` + of + `app"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	session, err := sts.NewFromConfig(s.root.Root).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	c := session.Credentials
	provider := credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := s.authority.Check(t.Context(), login(s.token(t, provider, host, region, "app")))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	l := login(s.token(t, provider, host, region, "postgres"))
	l.User = "postgres"
	if err := s.authority.Check(t.Context(), l); err == nil || !strings.Contains(err.Error(), "not authorized") {
		t.Errorf("another user: %v", err)
	}
}
