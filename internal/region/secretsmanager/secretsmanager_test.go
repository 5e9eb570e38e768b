package secretsmanager_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
	"github.com/daybreakdb/daybreak/internal/state"
)

const value = "the value of a test"

func create(t *testing.T, client *api.Client, name string) *api.CreateSecretOutput {
	t.Helper()
	out, err := client.CreateSecret(t.Context(), &api.CreateSecretInput{Name: &name, SecretString: aws.String(value)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, client *api.Client, in api.GetSecretValueInput) string {
	t.Helper()
	out, err := client.GetSecretValue(t.Context(), &in)
	if err != nil {
		return regiontest.Code(err)
	}
	return aws.ToString(out.SecretString) + string(out.SecretBinary)
}

// TestASecretLivesAsTerraformWantsIt makes the calls of aws_secretsmanager_secret
// and its version, in the provider's order.
func TestASecretLivesAsTerraformWantsIt(t *testing.T) {
	client, ctx := api.NewFromConfig(regiontest.Serve(t).Root), t.Context()
	made, err := client.CreateSecret(ctx, &api.CreateSecretInput{
		Name: aws.String("app/db"), Description: aws.String("of a test"), ClientRequestToken: aws.String(strings.Repeat("a", 32)),
		Tags: []types.Tag{{Key: aws.String("Env"), Value: aws.String("test")}},
	})
	if err != nil || !strings.HasPrefix(*made.ARN, "arn:aws:secretsmanager:us-west-2:"+wiretest.Account+":secret:app/db-") || made.VersionId != nil {
		t.Fatalf("%+v, %v", made, err)
	}
	got, err := client.DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: made.ARN})
	if err != nil || *got.Name != "app/db" || len(got.Tags) != 1 || got.DeletedDate != nil || got.KmsKeyId != nil || *got.Description != "of a test" {
		t.Errorf("%+v, %v", got, err)
	}
	if policy, err := client.GetResourcePolicy(ctx, &api.GetResourcePolicyInput{SecretId: made.ARN}); err != nil || policy.ResourcePolicy != nil {
		t.Errorf("policy %+v, %v", policy, err)
	}
	put, err := client.PutSecretValue(ctx, &api.PutSecretValueInput{SecretId: made.ARN, SecretString: aws.String(value)})
	if err != nil || !slices.Equal(put.VersionStages, []string{"AWSCURRENT"}) {
		t.Fatalf("%+v, %v", put, err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: made.ARN, VersionId: put.VersionId}); got != value {
		t.Errorf("value %s", got)
	}
	if _, err := client.DeleteSecret(ctx, &api.DeleteSecretInput{SecretId: made.ARN, RecoveryWindowInDays: aws.Int64(30)}); err != nil {
		t.Fatal(err)
	}
	got, err = client.DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: made.ARN})
	if err != nil || got.DeletedDate == nil {
		t.Errorf("a secret that was given up: %+v, %v", got, err)
	}
	if _, err := client.DeleteSecret(ctx, &api.DeleteSecretInput{SecretId: made.ARN, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: made.ARN}); regiontest.Code(err) != "ResourceNotFoundException" {
		t.Errorf("a deleted secret: %v", err)
	}
}

func TestValuesHaveVersionsOfWhichOneIsCurrent(t *testing.T) {
	client, ctx := api.NewFromConfig(regiontest.Serve(t).Root), t.Context()
	id := create(t, client, "s").ARN
	token := aws.String(strings.Repeat("t", 40))
	put := func(text string) (*api.PutSecretValueOutput, error) {
		return client.PutSecretValue(ctx, &api.PutSecretValueInput{SecretId: id, SecretString: &text, ClientRequestToken: token})
	}
	if _, err := put("second"); err != nil {
		t.Fatal(err)
	}
	if _, err := put("second"); err != nil {
		t.Errorf("the same request once more: %v", err)
	}
	if _, err := put("another"); regiontest.Code(err) != "ResourceExistsException" {
		t.Errorf("another value under the same token: %v", err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != "second" {
		t.Errorf("current %s", got)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id, VersionStage: aws.String("AWSPREVIOUS")}); got != value {
		t.Errorf("previous %s", got)
	}
	third, err := client.PutSecretValue(ctx, &api.PutSecretValueInput{SecretId: id, SecretBinary: []byte{0, 1}, VersionStages: []string{"AWSPENDING"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != "second" {
		t.Errorf("current %s", got)
	}
	move := func(from *string) error {
		_, err := client.UpdateSecretVersionStage(ctx, &api.UpdateSecretVersionStageInput{
			SecretId: id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: third.VersionId, RemoveFromVersionId: from})
		return err
	}
	if err := move(nil); regiontest.Code(err) != "InvalidParameterException" {
		t.Errorf("moving a label without saying from where: %v", err)
	}
	if err := move(token); err != nil {
		t.Fatal(err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != "\x00\x01" {
		t.Errorf("current %q", got)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id, VersionStage: aws.String("AWSPREVIOUS")}); got != "second" {
		t.Errorf("previous %s", got)
	}
	versions, err := client.ListSecretVersionIds(ctx, &api.ListSecretVersionIdsInput{SecretId: id, IncludeDeprecated: aws.Bool(true)})
	if err != nil || len(versions.Versions) != 3 {
		t.Errorf("versions %+v, %v", versions, err)
	}
	versions, err = client.ListSecretVersionIds(ctx, &api.ListSecretVersionIdsInput{SecretId: id})
	if err != nil || len(versions.Versions) != 2 {
		t.Errorf("versions with labels %+v, %v", versions, err)
	}
}

func TestOldVersionsAreForgottenAndLabelledOnesKept(t *testing.T) {
	r := regiontest.Serve(t)
	client := api.NewFromConfig(r.Root)
	id := create(t, client, "s").ARN
	for i := range 101 {
		if _, err := client.PutSecretValue(t.Context(), &api.PutSecretValueInput{SecretId: id, SecretString: aws.String(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	values, _, err := state.NewTable[secretsmanager.Value](r.Store, "region/secret-values").List(t.Context(), "")
	if err != nil || len(values) != 100 {
		t.Errorf("%d values, %v", len(values), err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id, VersionStage: aws.String("AWSPREVIOUS")}); got != "99" {
		t.Errorf("previous %s", got)
	}
}

func TestASecretThatWasGivenUpIsNotReadButCanBeKept(t *testing.T) {
	r := regiontest.Serve(t)
	client, ctx := api.NewFromConfig(r.Root), t.Context()
	id := create(t, client, "s").ARN
	other := create(t, client, "s-"+(*id)[len(*id)-6:]+"/t") // whose name is below that of the first one's ARN
	remove := func() {
		t.Helper()
		if _, err := client.DeleteSecret(ctx, &api.DeleteSecretInput{SecretId: id, RecoveryWindowInDays: aws.Int64(7)}); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != "InvalidRequestException" {
		t.Errorf("read %s", got)
	}
	if _, err := client.CreateSecret(ctx, &api.CreateSecretInput{Name: aws.String("s")}); regiontest.Code(err) != "InvalidRequestException" || !strings.Contains(err.Error(), "scheduled for deletion") {
		t.Errorf("another of its name: %v", err)
	}
	list, err := client.ListSecrets(ctx, nil)
	all, errAll := client.ListSecrets(ctx, &api.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)})
	if err != nil || errAll != nil || len(list.SecretList) != 1 || len(all.SecretList) != 2 {
		t.Errorf("listed %+v and %+v", list, all)
	}
	if _, err := client.RestoreSecret(ctx, &api.RestoreSecretInput{SecretId: id}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != value {
		t.Errorf("read %s", got)
	}
	remove()
	secrets := state.NewTable[secretsmanager.Secret](r.Store, "region/secrets")
	_, err = secrets.Update(ctx, wiretest.Account+"/us-west-2/s", func(s *secretsmanager.Secret) error {
		s.DeleteAt = aws.Time(time.Now().Add(-time.Minute)) // as if the days had passed
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != "ResourceNotFoundException" {
		t.Errorf("read %s", got)
	}
	again := create(t, client, "s")
	if *again.ARN == *id {
		t.Error("another secret has the same ARN")
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: id}); got != "ResourceNotFoundException" {
		t.Errorf("by the ARN of the one that is gone: %s", got)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: other.ARN}); got != value {
		t.Errorf("the other one: %s", got)
	}
}

func TestNoValueIsStoredInTheClear(t *testing.T) {
	r := regiontest.Serve(t)
	create(t, api.NewFromConfig(r.Root), "s")
	values, _, err := state.NewTable[secretsmanager.Value](r.Store, "region/secret-values").List(t.Context(), "")
	if err != nil || len(values) != 1 || bytes.Contains(values[0].Value.Sealed, []byte(value)) {
		t.Errorf("values %+v, %v", values, err)
	}
}

func TestASecretIsReadWithItsKeyOnly(t *testing.T) {
	r := regiontest.Serve(t)
	client, keys, ctx := api.NewFromConfig(r.Root), kms.NewFromConfig(r.Root), t.Context()
	key, err := keys.CreateKey(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := key.KeyMetadata.KeyId
	if _, err := client.CreateSecret(ctx, &api.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String(value), KmsKeyId: id}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.DescribeSecret(ctx, &api.DescribeSecretInput{SecretId: aws.String("s")}); err != nil || *got.KmsKeyId != *key.KeyMetadata.Arn {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := keys.DisableKey(ctx, &kms.DisableKeyInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, client, api.GetSecretValueInput{SecretId: aws.String("s")}); got != "DecryptionFailure" {
		t.Errorf("read %s", got)
	}
	if _, err := client.PutSecretValue(ctx, &api.PutSecretValueInput{SecretId: aws.String("s"), SecretString: aws.String("x")}); regiontest.Code(err) != "EncryptionFailure" {
		t.Errorf("written: %v", err)
	}
}

func TestSecretsAreListedInPagesAndFiltered(t *testing.T) {
	client, ctx := api.NewFromConfig(regiontest.Serve(t).Root), t.Context()
	for _, name := range []string{"b/2", "a/1", "b/1"} {
		create(t, client, name)
	}
	if _, err := client.TagResource(ctx, &api.TagResourceInput{SecretId: aws.String("a/1"), Tags: []types.Tag{{Key: aws.String("Env"), Value: aws.String("prod")}}}); err != nil {
		t.Fatal(err)
	}
	names := func(in api.ListSecretsInput) string {
		t.Helper()
		var all []string
		pages := api.NewListSecretsPaginator(client, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page.SecretList {
				all = append(all, *s.Name)
			}
		}
		return strings.Join(all, " ")
	}
	filter := func(key types.FilterNameStringType, values ...string) []types.Filter {
		return []types.Filter{{Key: key, Values: values}}
	}
	for want, in := range map[string]api.ListSecretsInput{
		"b/2 a/1 b/1": {MaxResults: aws.Int32(1)},
		"b/1 a/1 b/2": {SortOrder: types.SortOrderTypeDesc},
		"a/1 b/1 b/2": {SortBy: types.SortByTypeName, MaxResults: aws.Int32(2)},
		"b/2 b/1 a/1": {SortBy: types.SortByTypeName, SortOrder: types.SortOrderTypeDesc, MaxResults: aws.Int32(1)},
		"b/2 b/1":     {Filters: filter(types.FilterNameStringTypeName, "b/")},
		"a/1":         {Filters: filter(types.FilterNameStringTypeTagKey, "Env")},
		"b/1":         {Filters: append(filter(types.FilterNameStringTypeName, "b"), filter(types.FilterNameStringTypeAll, "1")...)},
		"":            {Filters: filter(types.FilterNameStringTypeTagValue, "test")},
	} {
		if got := names(in); got != want {
			t.Errorf("%+v: %s, want %s", in, got, want)
		}
	}
}

func TestRandomPasswordsHaveWhatIsAskedFor(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	rapid.Check(t, func(rt *rapid.T) {
		in := &api.GetRandomPasswordInput{
			PasswordLength: aws.Int64(int64(rapid.IntRange(5, 60).Draw(rt, "length"))), ExcludeUppercase: aws.Bool(rapid.Bool().Draw(rt, "no upper case")),
			ExcludeNumbers: aws.Bool(rapid.Bool().Draw(rt, "no numbers")), IncludeSpace: aws.Bool(rapid.Bool().Draw(rt, "spaces")),
			ExcludeCharacters: aws.String(`/@"'\abc`),
		}
		out, err := client.GetRandomPassword(t.Context(), in)
		if err != nil {
			rt.Fatal(err)
		}
		p := *out.RandomPassword
		has := func(chars string) bool { return strings.ContainsAny(p, chars) }
		if int64(len(p)) != *in.PasswordLength || has(*in.ExcludeCharacters) || !has("defghijklmnopqrstuvwxyz") ||
			has("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == *in.ExcludeUppercase || has("0123456789") == *in.ExcludeNumbers || has(" ") != *in.IncludeSpace {
			rt.Fatalf("%q for %+v", p, in)
		}
	})
}

func TestBadRequestsAreRefusedInSecretsManagersWords(t *testing.T) {
	client, ctx := api.NewFromConfig(regiontest.Serve(t).Root), t.Context()
	create(t, client, "taken")
	made := func(in api.CreateSecretInput) error {
		_, err := client.CreateSecret(ctx, &in)
		return err
	}
	put := func(in api.PutSecretValueInput) error {
		in.SecretId = aws.String("taken")
		_, err := client.PutSecretValue(ctx, &in)
		return err
	}
	remove := func(in api.DeleteSecretInput) error {
		in.SecretId = aws.String("taken")
		_, err := client.DeleteSecret(ctx, &in)
		return err
	}
	name := aws.String("new")
	for what, test := range map[string]struct {
		err  error
		code string
	}{
		"a bad name":      {made(api.CreateSecretInput{Name: aws.String("a b")}), "ValidationException"},
		"a taken name":    {made(api.CreateSecretInput{Name: aws.String("taken")}), "ResourceExistsException"},
		"a short token":   {made(api.CreateSecretInput{Name: name, ClientRequestToken: aws.String("x")}), "InvalidParameterException"},
		"two values":      {made(api.CreateSecretInput{Name: name, SecretString: aws.String("x"), SecretBinary: []byte("x")}), "InvalidParameterException"},
		"too large":       {made(api.CreateSecretInput{Name: name, SecretString: aws.String(strings.Repeat("x", 65537))}), "InvalidParameterException"},
		"no such key":     {made(api.CreateSecretInput{Name: name, KmsKeyId: aws.String("alias/none")}), "EncryptionFailure"},
		"replicas":        {made(api.CreateSecretInput{Name: name, AddReplicaRegions: []types.ReplicaRegionType{{Region: aws.String("eu-west-1")}}}), "InvalidParameterException"},
		"no value":        {put(api.PutSecretValueInput{}), "InvalidRequestException"},
		"an empty label":  {put(api.PutSecretValueInput{SecretString: aws.String("x"), VersionStages: []string{""}}), "InvalidParameterException"},
		"too soon":        {remove(api.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(1)}), "InvalidParameterException"},
		"now and later":   {remove(api.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)}), "InvalidParameterException"},
		"no such version": {missing(client, api.GetSecretValueInput{SecretId: aws.String("taken"), VersionId: aws.String(strings.Repeat("x", 32))}, t), "ResourceNotFoundException"},
		"no such label":   {missing(client, api.GetSecretValueInput{SecretId: aws.String("taken"), VersionStage: aws.String("x")}, t), "ResourceNotFoundException"},
		"no such secret":  {missing(client, api.GetSecretValueInput{SecretId: aws.String("none")}, t), "ResourceNotFoundException"},
	} {
		if regiontest.Code(test.err) != test.code {
			t.Errorf("%s: %v, want %s", what, test.err, test.code)
		}
	}
	if list, err := client.ListSecrets(ctx, nil); err != nil || len(list.SecretList) != 1 {
		t.Errorf("refused requests left %+v, %v", list, err)
	}
}

func missing(client *api.Client, in api.GetSecretValueInput, t *testing.T) error {
	_, err := client.GetSecretValue(t.Context(), &in)
	return err
}
