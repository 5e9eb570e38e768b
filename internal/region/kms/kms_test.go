package kms_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

func newKey(t *testing.T, client *api.Client) *types.KeyMetadata {
	t.Helper()
	out, err := client.CreateKey(t.Context(), &api.CreateKeyInput{Description: aws.String("of a test")})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata
}

// TestAKeyLivesAsTerraformWantsIt makes the calls of aws_kms_key and
// aws_kms_alias, in the provider's order.
func TestAKeyLivesAsTerraformWantsIt(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	ctx := t.Context()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}]}`
	made, err := client.CreateKey(ctx, &api.CreateKeyInput{Policy: &policy, Tags: []types.Tag{{TagKey: aws.String("Env"), TagValue: aws.String("test")}}})
	if err != nil {
		t.Fatal(err)
	}
	id := made.KeyMetadata.KeyId
	if m := made.KeyMetadata; !m.Enabled || m.KeyState != types.KeyStateEnabled || m.KeyManager != types.KeyManagerTypeCustomer ||
		*m.Arn != "arn:aws:kms:us-west-2:"+wiretest.Account+":key/"+*id {
		t.Errorf("key %+v", m)
	}
	if _, err := client.EnableKeyRotation(ctx, &api.EnableKeyRotationInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	rotation, err := client.GetKeyRotationStatus(ctx, &api.GetKeyRotationStatusInput{KeyId: id})
	if err != nil || !rotation.KeyRotationEnabled || *rotation.RotationPeriodInDays != 365 || time.Until(*rotation.NextRotationDate) < 364*24*time.Hour {
		t.Errorf("rotation %+v, %v", rotation, err)
	}
	got, err := client.GetKeyPolicy(ctx, &api.GetKeyPolicyInput{KeyId: id, PolicyName: aws.String("default")})
	if err != nil || *got.Policy != policy {
		t.Errorf("policy %+v, %v", got, err)
	}
	tags, err := client.ListResourceTags(ctx, &api.ListResourceTagsInput{KeyId: id})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].TagKey != "Env" {
		t.Errorf("tags %+v, %v", tags, err)
	}
	if _, err := client.CreateAlias(ctx, &api.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: id}); err != nil {
		t.Fatal(err)
	}
	aliases, err := client.ListAliases(ctx, &api.ListAliasesInput{KeyId: id})
	if err != nil || len(aliases.Aliases) != 1 || *aliases.Aliases[0].TargetKeyId != *id {
		t.Errorf("aliases %+v, %v", aliases, err)
	}
	for _, name := range []string{"alias/app", "arn:aws:kms:us-west-2:" + wiretest.Account + ":alias/app", *made.KeyMetadata.Arn} {
		if out, err := client.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: &name}); err != nil || *out.KeyMetadata.KeyId != *id {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if _, err := client.DeleteAlias(ctx, &api.DeleteAliasInput{AliasName: aws.String("alias/app")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: aws.String("alias/app")}); regiontest.Code(err) != "NotFoundException" {
		t.Errorf("a deleted alias: %v", err)
	}
	if _, err := client.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)}); err != nil {
		t.Fatal(err)
	}
	out, err := client.DescribeKey(ctx, &api.DescribeKeyInput{KeyId: id})
	if err != nil || out.KeyMetadata.KeyState != types.KeyStatePendingDeletion || out.KeyMetadata.DeletionDate == nil || out.KeyMetadata.Enabled {
		t.Errorf("a key that is to be deleted: %+v, %v", out, err)
	}
}

func TestAWSsOwnKeysAreThereBeforeAnybodyAsks(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	out, err := client.DescribeKey(t.Context(), &api.DescribeKeyInput{KeyId: aws.String("alias/aws/rds")})
	if err != nil || out.KeyMetadata.KeyManager != types.KeyManagerTypeAws || *out.KeyMetadata.KeyId != kms.ManagedKeyID(wiretest.Account, "us-west-2", "rds") {
		t.Fatalf("key %+v, %v", out, err)
	}
	if _, err := client.DisableKey(t.Context(), &api.DisableKeyInput{KeyId: out.KeyMetadata.KeyId}); regiontest.Code(err) != "AccessDeniedException" {
		t.Errorf("disabling it: %v", err)
	}
	aliases, err := client.ListAliases(t.Context(), nil)
	if err != nil || len(aliases.Aliases) != 3 {
		t.Errorf("aliases %+v, %v", aliases, err)
	}
}

func TestWhatIsEncryptedIsDecryptedUnderTheSameContext(t *testing.T) {
	client := api.NewFromConfig(regiontest.Serve(t).Root)
	id := newKey(t, client).KeyId
	text := rapid.StringMatching(`[a-c]{0,3}`)
	rapid.Check(t, func(rt *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 1, 4096).Draw(rt, "plain")
		with := rapid.MapOfN(text, text, 0, 3).Draw(rt, "context")
		sealed, err := client.Encrypt(t.Context(), &api.EncryptInput{KeyId: id, Plaintext: plain, EncryptionContext: with})
		if err != nil {
			rt.Fatal(err)
		}
		opened, err := client.Decrypt(t.Context(), &api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: with})
		if err != nil || !bytes.Equal(opened.Plaintext, plain) {
			rt.Fatalf("decrypted %x, %v", opened, err)
		}
		other := rapid.MapOfN(text, text, 0, 3).Filter(func(m map[string]string) bool { return !same(m, with) }).Draw(rt, "another context")
		_, err = client.Decrypt(t.Context(), &api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: other})
		if regiontest.Code(err) != "InvalidCiphertextException" {
			rt.Fatalf("another context: %v", err)
		}
		blob := bytes.Clone(sealed.CiphertextBlob)
		blob[rapid.IntRange(0, len(blob)-1).Draw(rt, "damage")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if _, err = client.Decrypt(t.Context(), &api.DecryptInput{CiphertextBlob: blob, EncryptionContext: with}); regiontest.Code(err) != "InvalidCiphertextException" {
			rt.Fatalf("a damaged ciphertext: %v", err)
		}
	})
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			return false
		}
	}
	return true
}

func TestDataKeysAndReEncryption(t *testing.T) {
	r := regiontest.Serve(t)
	client, ctx := api.NewFromConfig(r.Root), t.Context()
	one, two := newKey(t, client), newKey(t, client)
	data, err := client.GenerateDataKey(ctx, &api.GenerateDataKeyInput{KeyId: one.KeyId, KeySpec: types.DataKeySpecAes256, EncryptionContext: map[string]string{"a": "b"}})
	if err != nil || len(data.Plaintext) != 32 {
		t.Fatalf("data key %+v, %v", data, err)
	}
	moved, err := client.ReEncrypt(ctx, &api.ReEncryptInput{CiphertextBlob: data.CiphertextBlob, SourceEncryptionContext: map[string]string{"a": "b"}, DestinationKeyId: two.Arn})
	if err != nil || *moved.SourceKeyId != *one.Arn || *moved.KeyId != *two.Arn {
		t.Fatalf("%+v, %v", moved, err)
	}
	opened, err := client.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: moved.CiphertextBlob, KeyId: two.KeyId})
	if err != nil || !bytes.Equal(opened.Plaintext, data.Plaintext) {
		t.Errorf("decrypted %+v, %v", opened, err)
	}
	if _, err := client.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: moved.CiphertextBlob, KeyId: one.KeyId}); regiontest.Code(err) != "IncorrectKeyException" {
		t.Errorf("with another key: %v", err)
	}
	small, err := client.GenerateDataKeyWithoutPlaintext(ctx, &api.GenerateDataKeyWithoutPlaintextInput{KeyId: one.KeyId, NumberOfBytes: aws.Int32(7)})
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := client.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: small.CiphertextBlob}); err != nil || len(opened.Plaintext) != 7 {
		t.Errorf("decrypted %+v, %v", opened, err)
	}
	cfg := r.Root.Copy()
	cfg.Region = "eu-west-1"
	if _, err := api.NewFromConfig(cfg).Decrypt(ctx, &api.DecryptInput{CiphertextBlob: small.CiphertextBlob}); regiontest.Code(err) != "InvalidCiphertextException" {
		t.Errorf("in another region: %v", err)
	}
}

func TestOldCiphertextsOutliveRotation(t *testing.T) {
	r := regiontest.Serve(t)
	client, ctx := api.NewFromConfig(r.Root), t.Context()
	id := newKey(t, client).KeyId
	encrypt := func() []byte {
		t.Helper()
		out, err := client.Encrypt(ctx, &api.EncryptInput{KeyId: id, Plaintext: []byte("text")})
		if err != nil {
			t.Fatal(err)
		}
		return out.CiphertextBlob
	}
	material := func(blob []byte) string {
		t.Helper()
		out, err := client.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: blob})
		if err != nil || string(out.Plaintext) != "text" {
			t.Fatalf("%+v, %v", out, err)
		}
		return *out.KeyMaterialId
	}
	first := encrypt()
	if _, err := client.RotateKeyOnDemand(ctx, &api.RotateKeyOnDemandInput{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	second := encrypt()
	if _, err := client.EnableKeyRotation(ctx, &api.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: aws.Int32(90)}); err != nil {
		t.Fatal(err)
	}
	keys := state.NewTable[kms.Key](r.Store, "region/kms-keys")
	_, err := keys.Update(ctx, wiretest.Account+"/us-west-2/"+*id, func(k *kms.Key) error {
		k.NextRotation = time.Now().Add(-time.Hour) // as if it were due
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	third := encrypt()
	if a, b, c := material(first), material(second), material(third); a == b || b == c || a == c {
		t.Errorf("materials %s %s %s", a, b, c)
	}
	out, err := client.ListKeyRotations(ctx, &api.ListKeyRotationsInput{KeyId: id})
	if err != nil || len(out.Rotations) != 2 || out.Rotations[0].RotationType != types.RotationTypeOnDemand || out.Rotations[1].RotationType != types.RotationTypeAutomatic {
		t.Errorf("rotations %+v, %v", out, err)
	}
}

func TestAKeyIsUsedOnlyWhileItIsEnabled(t *testing.T) {
	r := regiontest.Serve(t)
	client, ctx := api.NewFromConfig(r.Root), t.Context()
	key := newKey(t, client)
	usable := func() bool {
		_, err := kms.Usable(ctx, r.Store, wiretest.Account, "us-west-2", *key.KeyId)
		return err == nil
	}
	use := func() string {
		_, err := client.Encrypt(ctx, &api.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		if (err == nil) != usable() {
			t.Errorf("%v, but usable: %v", err, usable())
		}
		return regiontest.Code(err)
	}
	step := func(name string, err error, want string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := use(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	_, err := client.DisableKey(ctx, &api.DisableKeyInput{KeyId: key.KeyId})
	step("disabled", err, "DisabledException")
	_, err = client.EnableKey(ctx, &api.EnableKeyInput{KeyId: key.KeyId})
	step("enabled", err, "")
	_, err = client.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: key.KeyId})
	step("given up", err, "KMSInvalidStateException")
	if _, err := client.EnableKey(ctx, &api.EnableKeyInput{KeyId: key.KeyId}); regiontest.Code(err) != "KMSInvalidStateException" {
		t.Errorf("enabling a key that was given up: %v", err)
	}
	_, err = client.CancelKeyDeletion(ctx, &api.CancelKeyDeletionInput{KeyId: key.KeyId})
	step("kept", err, "DisabledException")
	_, err = client.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: key.KeyId})
	step("given up again", err, "KMSInvalidStateException")
	_, err = state.NewTable[kms.Key](r.Store, "region/kms-keys").Update(ctx, wiretest.Account+"/us-west-2/"+*key.KeyId, func(k *kms.Key) error {
		k.DeletionDate = aws.Time(time.Now().Add(-time.Minute)) // as if the days had passed
		return nil
	})
	step("deleted", err, "NotFoundException")
	list, err := client.ListKeys(ctx, nil)
	if err != nil || len(list.Keys) != 3 {
		t.Errorf("keys %+v, %v", list, err)
	}
}

func TestNoMaterialIsStoredInTheClear(t *testing.T) {
	r := regiontest.Serve(t)
	id := newKey(t, api.NewFromConfig(r.Root)).KeyId
	item, err := state.NewTable[kms.Key](r.Store, "region/kms-keys").Get(t.Context(), wiretest.Account+"/us-west-2/"+*id)
	if err != nil {
		t.Fatal(err)
	}
	m := item.Value.Material[0]
	secret, err := r.Keyring.Open(m.Sealed, "kms key "+*id+" "+m.ID)
	if err != nil || len(secret) != 32 || bytes.Contains(m.Sealed, secret) {
		t.Errorf("material %x, %v", m.Sealed, err)
	}
}

func TestPoliciesMayNameKeysByAnyOfTheirNames(t *testing.T) {
	r := regiontest.Serve(t)
	client, ctx, users := api.NewFromConfig(r.Root), t.Context(), iam.NewFromConfig(r.Root)
	mine, other := newKey(t, client), newKey(t, client)
	if _, err := client.CreateAlias(ctx, &api.CreateAliasInput{AliasName: aws.String("alias/mine"), TargetKeyId: mine.KeyId}); err != nil {
		t.Fatal(err)
	}
	name := aws.String("alice")
	if _, err := users.CreateUser(ctx, &iam.CreateUserInput{UserName: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := users.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: name, PolicyDocument: aws.String(
		`{"Statement":{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"` + *mine.Arn + `"}}`)}); err != nil {
		t.Fatal(err)
	}
	key, err := users.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name})
	if err != nil {
		t.Fatal(err)
	}
	as := api.NewFromConfig(r.As(key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey, nil))
	for _, id := range []string{*mine.KeyId, *mine.Arn, "alias/mine"} {
		sealed, err := as.Encrypt(ctx, &api.EncryptInput{KeyId: &id, Plaintext: []byte("x")})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if _, err := as.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := as.Encrypt(ctx, &api.EncryptInput{KeyId: other.KeyId, Plaintext: []byte("x")}); regiontest.Code(err) != "AccessDeniedException" {
		t.Errorf("another key: %v", err)
	}
	sealed, err := client.Encrypt(ctx, &api.EncryptInput{KeyId: other.KeyId, Plaintext: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := as.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}); regiontest.Code(err) != "AccessDeniedException" {
		t.Errorf("what another key encrypted: %v", err)
	}
}

func TestBadRequestsAreRefusedInKMSsWords(t *testing.T) {
	client, ctx := api.NewFromConfig(regiontest.Serve(t).Root), t.Context()
	key := newKey(t, client)
	encrypt := func(in api.EncryptInput) error {
		if in.KeyId == nil {
			in.KeyId = key.KeyId
		}
		if in.Plaintext == nil {
			in.Plaintext = []byte("x")
		}
		_, err := client.Encrypt(ctx, &in)
		return err
	}
	create := func(in api.CreateKeyInput) error {
		_, err := client.CreateKey(ctx, &in)
		return err
	}
	alias := func(name, target string) error {
		_, err := client.CreateAlias(ctx, &api.CreateAliasInput{AliasName: &name, TargetKeyId: &target})
		return err
	}
	dataKey := func(in api.GenerateDataKeyInput) error {
		in.KeyId = key.KeyId
		_, err := client.GenerateDataKey(ctx, &in)
		return err
	}
	if err := alias("alias/taken", *key.KeyId); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		err  error
		code string
	}{
		"no such key":            {encrypt(api.EncryptInput{KeyId: aws.String("1234")}), "NotFoundException"},
		"no such alias":          {encrypt(api.EncryptInput{KeyId: aws.String("alias/none")}), "NotFoundException"},
		"another service's ARN":  {encrypt(api.EncryptInput{KeyId: aws.String("arn:aws:rds:us-west-2:111122223333:cluster:x")}), "InvalidArnException"},
		"another region's key":   {encrypt(api.EncryptInput{KeyId: aws.String("arn:aws:kms:eu-west-1:111122223333:key/x")}), "NotFoundException"},
		"another account's key":  {encrypt(api.EncryptInput{KeyId: aws.String("arn:aws:kms:us-west-2:444455556666:key/x")}), "NotFoundException"},
		"too much text":          {encrypt(api.EncryptInput{Plaintext: make([]byte, 4097)}), "ValidationException"},
		"another algorithm":      {encrypt(api.EncryptInput{EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha1}), "InvalidKeyUsageException"},
		"only asking":            {encrypt(api.EncryptInput{DryRun: aws.Bool(true)}), "DryRunOperationException"},
		"a context too large":    {encrypt(api.EncryptInput{EncryptionContext: map[string]string{"k": strings.Repeat("x", 9000)}}), "ValidationException"},
		"an RSA key":             {create(api.CreateKeyInput{KeySpec: types.KeySpecRsa2048}), "UnsupportedOperationException"},
		"a multi-region key":     {create(api.CreateKeyInput{MultiRegion: aws.Bool(true)}), "UnsupportedOperationException"},
		"no policy":              {create(api.CreateKeyInput{Policy: aws.String("{}")}), "MalformedPolicyDocumentException"},
		"a reserved tag":         {create(api.CreateKeyInput{Tags: []types.Tag{{TagKey: aws.String("aws:x"), TagValue: aws.String("")}}}), "TagException"},
		"no alias":               {alias("app", *key.KeyId), "ValidationException"},
		"a reserved alias":       {alias("alias/aws/app", *key.KeyId), "NotAuthorizedException"},
		"a bad alias":            {alias("alias/a b", *key.KeyId), "InvalidAliasNameException"},
		"an alias that is taken": {alias("alias/taken", *key.KeyId), "AlreadyExistsException"},
		"an alias of an alias":   {alias("alias/app", "alias/taken"), "ValidationException"},
		"neither size nor spec":  {dataKey(api.GenerateDataKeyInput{}), "ValidationException"},
		"size and spec":          {dataKey(api.GenerateDataKeyInput{KeySpec: types.DataKeySpecAes128, NumberOfBytes: aws.Int32(16)}), "ValidationException"},
		"too large a data key":   {dataKey(api.GenerateDataKeyInput{NumberOfBytes: aws.Int32(1025)}), "ValidationException"},
	} {
		if regiontest.Code(test.err) != test.code {
			t.Errorf("%s: %v, want %s", name, test.err, test.code)
		}
	}
	if _, err := client.ScheduleKeyDeletion(ctx, &api.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(6)}); regiontest.Code(err) != "ValidationException" {
		t.Errorf("too soon: %v", err)
	}
	if _, err := client.Decrypt(ctx, &api.DecryptInput{CiphertextBlob: []byte("nonsense")}); regiontest.Code(err) != "InvalidCiphertextException" {
		t.Errorf("no ciphertext: %v", err)
	}
}
