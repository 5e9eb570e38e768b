package rds_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	kmsapi "github.com/aws/aws-sdk-go-v2/service/kms"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	secrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// managing is a region that can manage passwords, and the clients for it.
type managing struct {
	regiontest.Region
	rds     *api.Client
	secrets *secrets.Client
}

func serveManaging(t *testing.T) managing {
	t.Helper()
	r := regiontest.Serve(t, func(ctx context.Context, store *state.Store) (*awswire.Service, error) {
		keys, err := keyring.New(make([]byte, 32)) // as regiontest's
		if err != nil {
			return nil, err
		}
		return rds.Config{Store: store, Keyring: keys}.New(ctx)
	})
	return managing{r, api.NewFromConfig(r.Root), secrets.NewFromConfig(r.Root)}
}

func managedInput(id string) *api.CreateDBClusterInput {
	in := clusterInput(id)
	in.MasterUserPassword, in.ManageMasterUserPassword = nil, aws.Bool(true)
	return in
}

// read returns what the secret of a cluster says, and checks that the cluster has a
// verifier of it.
func (m managing) read(t *testing.T, secret *types.MasterUserSecret) map[string]string {
	t.Helper()
	out, err := m.secrets.GetSecretValue(t.Context(), &secrets.GetSecretValueInput{SecretId: secret.SecretArn})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]string
	if err := json.Unmarshal([]byte(*out.SecretString), &v); err != nil || len(v) != 2 || v["username"] != "postgres" || len(v["password"]) < 20 {
		t.Fatalf("%s, %v", *out.SecretString, err)
	}
	if c := m.stored(t); !rds.Verifies(c.Spec.MasterUserVerifier, v["password"]) {
		t.Errorf("the cluster's verifier is not that of the secret's password")
	}
	return v
}

func (m managing) stored(t *testing.T) aurora.DBCluster {
	t.Helper()
	items, _, err := state.DBClusters(m.Store).List(t.Context(), "")
	if err != nil || len(items) != 1 {
		t.Fatalf("%+v, %v", items, err)
	}
	return items[0].Value
}

func (m managing) modify(t *testing.T, change func(*api.ModifyDBClusterInput)) (*types.DBCluster, error) {
	t.Helper()
	in := &api.ModifyDBClusterInput{DBClusterIdentifier: aws.String("demo"), ApplyImmediately: aws.Bool(true)}
	change(in)
	out, err := m.rds.ModifyDBCluster(t.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.DBCluster, nil
}

func TestManagedPasswordIsInASecretThatLivesWithItsCluster(t *testing.T) {
	m := serveManaging(t)
	key, err := kmsapi.NewFromConfig(m.Root).CreateKey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := managedInput("demo")
	in.MasterUserSecretKmsKeyId = key.KeyMetadata.KeyId
	out, err := m.rds.CreateDBCluster(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	secret := out.DBCluster.MasterUserSecret
	if !strings.Contains(*secret.SecretArn, ":secret:rds!cluster-") || *secret.SecretStatus != "creating" || *secret.KmsKeyId != *key.KeyMetadata.Arn {
		t.Errorf("%+v %s %s", *secret.SecretArn, *secret.SecretStatus, *secret.KmsKeyId)
	}
	m.read(t, secret)
	shown, err := m.secrets.DescribeSecret(t.Context(), &secrets.DescribeSecretInput{SecretId: secret.SecretArn})
	if err != nil || aws.ToString(shown.OwningService) != "rds" || !*shown.RotationEnabled || *shown.RotationRules.AutomaticallyAfterDays != 7 {
		t.Errorf("%+v, %v", shown, err)
	}
	if _, err := m.rds.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: aws.String("demo"), SkipFinalSnapshot: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = m.secrets.DescribeSecret(t.Context(), &secrets.DescribeSecretInput{SecretId: secret.SecretArn})
	wantCode(t, "the secret of a deleted cluster", err, "ResourceNotFoundException")
}

func TestManagedPasswordIsRotated(t *testing.T) {
	m := serveManaging(t)
	out, err := m.rds.CreateDBCluster(t.Context(), managedInput("demo"))
	if err != nil {
		t.Fatal(err)
	}
	secret := out.DBCluster.MasterUserSecret
	passwords := map[string]bool{m.read(t, secret)["password"]: true}
	changed := func(how string, begin int64) {
		t.Helper()
		wait(t, how+" gives a new password", func() bool { return m.stored(t).Spec.MasterPasswordGeneration == begin+1 })
		passwords[m.read(t, secret)["password"]] = true
	}
	if _, err := m.modify(t, func(i *api.ModifyDBClusterInput) { i.RotateMasterUserPassword = aws.Bool(true) }); err != nil {
		t.Fatal(err)
	}
	changed("ModifyDBCluster", 1)
	rotated, err := m.secrets.RotateSecret(t.Context(), &secrets.RotateSecretInput{SecretId: secret.SecretArn})
	if err != nil {
		t.Fatal(err)
	}
	changed("RotateSecret", 2)
	shown, err := m.secrets.DescribeSecret(t.Context(), &secrets.DescribeSecretInput{SecretId: secret.SecretArn})
	if err != nil || len(shown.VersionIdsToStages) != 2 || shown.VersionIdsToStages[*rotated.VersionId][0] != "AWSCURRENT" {
		t.Errorf("%+v, %v", shown.VersionIdsToStages, err)
	}
	_, err = state.DBClusters(m.Store).Update(t.Context(), m.stored(t).ResourceID, func(c *aurora.DBCluster) error {
		c.Spec.MasterSecret.Rotated = time.Now().Add(-7 * 24 * time.Hour)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	changed("a week", 3)
	if len(passwords) != 4 {
		t.Errorf("%d passwords, want 4", len(passwords))
	}
}

func TestManagementOfAPasswordBeginsAndEnds(t *testing.T) {
	m := serveManaging(t)
	if _, err := m.rds.CreateDBCluster(t.Context(), clusterInput("demo")); err != nil {
		t.Fatal(err)
	}
	c, err := m.modify(t, func(i *api.ModifyDBClusterInput) { i.ManageMasterUserPassword = aws.Bool(true) })
	if err != nil {
		t.Fatal(err)
	}
	first := m.read(t, c.MasterUserSecret)
	again, err := m.modify(t, func(i *api.ModifyDBClusterInput) { i.ManageMasterUserPassword = aws.Bool(true) })
	if err != nil || *again.MasterUserSecret.SecretArn != *c.MasterUserSecret.SecretArn || m.read(t, c.MasterUserSecret)["password"] != first["password"] {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	for what, try := range map[string]func(*api.ModifyDBClusterInput){
		"a password too":     func(i *api.ModifyDBClusterInput) { i.MasterUserPassword = aws.String(password) },
		"an end without one": func(i *api.ModifyDBClusterInput) { i.ManageMasterUserPassword = aws.Bool(false) },
		"a rotation later": func(i *api.ModifyDBClusterInput) {
			i.RotateMasterUserPassword, i.ApplyImmediately = aws.Bool(true), nil
		},
		"a key after creation": func(i *api.ModifyDBClusterInput) { i.MasterUserSecretKmsKeyId = aws.String("alias/aws/rds") },
	} {
		_, err := m.modify(t, try)
		wantCode(t, what, err, "InvalidParameterCombination")
	}
	ended, err := m.modify(t, func(i *api.ModifyDBClusterInput) {
		i.ManageMasterUserPassword, i.MasterUserPassword = aws.Bool(false), aws.String(password)
	})
	if err != nil || ended.MasterUserSecret != nil || !rds.Verifies(m.stored(t).Spec.MasterUserVerifier, password) {
		t.Errorf("%+v, %v", ended, err)
	}
	_, err = m.secrets.DescribeSecret(t.Context(), &secrets.DescribeSecretInput{SecretId: c.MasterUserSecret.SecretArn})
	wantCode(t, "the secret after the end", err, "ResourceNotFoundException")
	_, err = m.modify(t, func(i *api.ModifyDBClusterInput) { i.RotateMasterUserPassword = aws.Bool(true) })
	wantCode(t, "a rotation of nothing", err, "InvalidParameterCombination")
	in := managedInput("other")
	in.MasterUserPassword = aws.String(password)
	_, err = m.rds.CreateDBCluster(t.Context(), in)
	wantCode(t, "a cluster with both", err, "InvalidParameterCombination")
}

func TestManagedSecretIsChangedByItsOwnerOnly(t *testing.T) {
	m := serveManaging(t)
	out, err := m.rds.CreateDBCluster(t.Context(), managedInput("demo"))
	if err != nil {
		t.Fatal(err)
	}
	id := out.DBCluster.MasterUserSecret.SecretArn
	for what, try := range map[string]func() error{
		"delete": func() error {
			_, err := m.secrets.DeleteSecret(t.Context(), &secrets.DeleteSecretInput{SecretId: id})
			return err
		},
		"delete at once": func() error {
			_, err := m.secrets.DeleteSecret(t.Context(), &secrets.DeleteSecretInput{SecretId: id, ForceDeleteWithoutRecovery: aws.Bool(true)})
			return err
		},
		"put a value": func() error {
			_, err := m.secrets.PutSecretValue(t.Context(), &secrets.PutSecretValueInput{SecretId: id, SecretString: aws.String("x")})
			return err
		},
		"update": func() error {
			_, err := m.secrets.UpdateSecret(t.Context(), &secrets.UpdateSecretInput{SecretId: id, SecretString: aws.String("x")})
			return err
		},
	} {
		err := try()
		if wantCode(t, what, err, "InvalidRequestException"); err != nil && !strings.Contains(err.Error(), "managed by another service") {
			t.Errorf("%s: %v", what, err)
		}
	}
	m.read(t, out.DBCluster.MasterUserSecret)
	made, err := m.secrets.CreateSecret(t.Context(), &secrets.CreateSecretInput{Name: aws.String("own"), SecretString: aws.String("x")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.secrets.RotateSecret(t.Context(), &secrets.RotateSecretInput{SecretId: made.ARN})
	wantCode(t, "rotate a secret of one's own", err, "InvalidRequestException")
}

func TestASecretWhoseKeyIsDisabledIsImpaired(t *testing.T) {
	m := serveManaging(t)
	keys := kmsapi.NewFromConfig(m.Root)
	key, err := keys.CreateKey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := managedInput("impaired")
	in.MasterUserSecretKmsKeyId = key.KeyMetadata.KeyId
	made, err := m.rds.CreateDBCluster(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	// There is no data plane to say so.
	_, err = state.DBClusters(m.Store).Update(t.Context(), *made.DBCluster.DbClusterResourceId, func(v *aurora.DBCluster) error {
		v.Status.Status, v.Status.ObservedGeneration = aurora.ClusterStatusAvailable, v.Generation
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want string) {
		t.Helper()
		wait(t, "a secret that is "+want, func() bool {
			out, err := m.rds.DescribeDBClusters(t.Context(), &api.DescribeDBClustersInput{DBClusterIdentifier: in.DBClusterIdentifier})
			return err == nil && *out.DBClusters[0].MasterUserSecret.SecretStatus == want
		})
	}
	shows("active")
	if _, err := keys.DisableKey(t.Context(), &kmsapi.DisableKeyInput{KeyId: in.MasterUserSecretKmsKeyId}); err != nil {
		t.Fatal(err)
	}
	shows("impaired")
	if _, err := keys.EnableKey(t.Context(), &kmsapi.EnableKeyInput{KeyId: in.MasterUserSecretKmsKeyId}); err != nil {
		t.Fatal(err)
	}
	shows("active")
}
