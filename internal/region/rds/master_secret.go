package rds

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
	"github.com/daybreakdb/daybreak/internal/state"
)

// The master user's password can be the region's to make: then it is in a secret of
// Secrets Manager, which is stored in the same transaction as its verifier.

// managedPassword gives a request for a cluster whose password is the region's to
// make a password.
func (s *service) managedPassword(in *rds.CreateDBClusterInput) (*rds.CreateDBClusterInput, bool, error) {
	managed := aws.ToBool(in.ManageMasterUserPassword)
	switch {
	case !managed && aws.ToString(in.MasterUserSecretKmsKeyId) != "":
		return in, false, awswire.InvalidParameterCombination("MasterUserSecretKmsKeyId needs ManageMasterUserPassword.")
	case !managed:
		return in, false, nil
	case in.MasterUserPassword != nil:
		return in, false, errPasswordTwice()
	case s.secrets == nil:
		return in, false, errNoSecrets()
	}
	given, password := *in, newMasterPassword()
	given.MasterUserPassword = &password
	return &given, true, nil
}

func errPasswordTwice() error {
	return awswire.InvalidParameterCombination("You can't specify MasterUserPassword when ManageMasterUserPassword is enabled.")
}

func errNoSecrets() error {
	return awswire.InvalidParameterCombination("This region can't manage passwords in AWS Secrets Manager. Specify MasterUserPassword.")
}

// newMasterPassword is one that PostgreSQL's tools, and texts of connections, take as
// it is.
func newMasterPassword() string {
	const chars, length = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$()*+-.<=>[]^_{|}~", 32
	var b strings.Builder
	for range length {
		i, _ := rand.Int(rand.Reader, big.NewInt(int64(len(chars)))) // never fails
		b.WriteByte(chars[i.Int64()])
	}
	return b.String()
}

func masterText(user, password string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct { // strings always have JSON
		Username string `json:"username"`
		Password string `json:"password"`
	}{user, password})
	return strings.TrimSpace(b.String())
}

func (s *service) newMasterSecret(v *aurora.DBCluster, password, kmsKey string) (*aurora.MasterSecret, []state.Op) {
	c := scope{v.Account, v.Region}
	arn := c.arn("cluster", v.Spec.Identifier)
	secret := &aurora.MasterSecret{Name: "rds!cluster-" + newUUID(), KmsKeyID: kmsKey, Rotated: time.Now().UTC()}
	var ops []state.Op
	secret.ARN, ops = s.secrets.Create(c.account, c.region, secret.Name, secretsmanager.Owner{Service: "rds", Resource: v.ResourceID},
		"The secret associated with the primary RDS DB cluster: "+arn, kmsKey, masterText(v.Spec.MasterUsername, password),
		map[string]string{"aws:rds:primaryDBClusterArn": arn, "aws:secretsmanager:owningService": "rds"})
	return secret, ops
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// secretChange is what becomes of a cluster's secret, if that is still what it was.
type secretChange struct{ was, is *aurora.MasterSecret }

func (ch secretChange) take(spec *aurora.DBClusterSpec) error {
	if (ch.was == nil) != (spec.MasterSecret == nil) || ch.was != nil && *ch.was != *spec.MasterSecret {
		return state.ErrConflict
	}
	spec.MasterSecret = ch.is
	return nil
}

// changeMasterSecret begins or ends that the region manages a cluster's password, or
// makes a new one. It returns the request with the password.
func (s *service) changeMasterSecret(ctx context.Context, key string, in *rds.ModifyDBClusterInput) (*rds.ModifyDBClusterInput, secretChange, []state.Op, error) {
	item, err := state.DBClusters(s.store).Get(ctx, key)
	if err != nil {
		return in, secretChange{}, nil, err
	}
	v, manage := &item.Value, in.ManageMasterUserPassword
	ch := secretChange{v.Spec.MasterSecret, v.Spec.MasterSecret}
	if err := checkSecretChange(ch.was, in); err != nil {
		return in, ch, nil, err
	}
	given, password := *in, newMasterPassword()
	switch {
	case manage != nil && !*manage && ch.was != nil:
		ch.is = nil
		ops, err := s.secretOps(func() ([]state.Op, error) { return s.secrets.Delete(ctx, v.Account, v.Region, ch.was.Name) })
		return in, ch, ops, err
	case aws.ToBool(manage) && ch.was == nil:
		if s.secrets == nil {
			return in, ch, nil, errNoSecrets()
		}
		given.MasterUserPassword = &password
		var ops []state.Op
		ch.is, ops = s.newMasterSecret(v, password, aws.ToString(in.MasterUserSecretKmsKeyId))
		return &given, ch, ops, nil
	case aws.ToBool(in.RotateMasterUserPassword):
		given.MasterUserPassword = &password
		ops, err := s.rotateOps(ctx, v, &ch, "", password)
		return &given, ch, ops, err
	}
	return in, ch, nil, nil
}

// checkSecretChange refuses what contradicts itself or the cluster.
func checkSecretChange(was *aurora.MasterSecret, in *rds.ModifyDBClusterInput) error {
	managed := was != nil
	if in.ManageMasterUserPassword != nil {
		managed = *in.ManageMasterUserPassword
	}
	key := aws.ToString(in.MasterUserSecretKmsKeyId)
	switch rotate := aws.ToBool(in.RotateMasterUserPassword); {
	case managed && in.MasterUserPassword != nil:
		return errPasswordTwice()
	case !managed && was != nil && in.MasterUserPassword == nil:
		return awswire.InvalidParameterCombination("You must specify MasterUserPassword when you turn off ManageMasterUserPassword.")
	case rotate && !managed:
		return awswire.InvalidParameterCombination("RotateMasterUserPassword needs ManageMasterUserPassword.")
	case rotate && !aws.ToBool(in.ApplyImmediately):
		return awswire.InvalidParameterCombination("You must apply the change immediately when you rotate the master user password.")
	case key != "" && !managed:
		return awswire.InvalidParameterCombination("MasterUserSecretKmsKeyId needs ManageMasterUserPassword.")
	case key != "" && was != nil && key != was.KmsKeyID:
		return awswire.InvalidParameterCombination("You can't change the KMS key of the secret while ManageMasterUserPassword is enabled.")
	}
	return nil
}

func (s *service) secretOps(make func() ([]state.Op, error)) ([]state.Op, error) {
	if s.secrets == nil {
		return nil, errNoSecrets()
	}
	return make()
}

// rotateOps stores a new password in the cluster's secret.
func (s *service) rotateOps(ctx context.Context, v *aurora.DBCluster, ch *secretChange, version, password string) ([]state.Op, error) {
	rotated := *ch.was
	rotated.Rotated = time.Now().UTC()
	ch.is = &rotated
	ops, err := s.secretOps(func() ([]state.Op, error) {
		return s.secrets.Replace(ctx, v.Account, v.Region, ch.was.Name, version, masterText(v.Spec.MasterUsername, password))
	})
	if errors.Is(err, kms.ErrUnusable) {
		return nil, awswire.BadRequestf("KMSKeyNotAccessibleFault", "The KMS key %s of the secret cannot be used: %v", rotated.KmsKeyID, err)
	}
	return ops, err
}

// dropMasterSecret ends the secret of a cluster that is deleted.
func (s *service) dropMasterSecret(ctx context.Context, key string) (secretChange, []state.Op, error) {
	item, err := state.DBClusters(s.store).Get(ctx, key)
	if err != nil || item.Value.Spec.MasterSecret == nil {
		return secretChange{}, nil, err
	}
	ops, err := s.secretOps(func() ([]state.Op, error) {
		return s.secrets.Delete(ctx, item.Value.Account, item.Value.Region, item.Value.Spec.MasterSecret.Name)
	})
	return secretChange{was: item.Value.Spec.MasterSecret}, ops, err
}

// rotateMasterSecrets makes new passwords for clusters whose users asked for that in
// Secrets Manager, and for those whose password is old. A cluster that is stopped
// gets one when it runs.
func (s *service) rotateMasterSecrets(ctx context.Context, now time.Time) error {
	var failed []error
	isOld := func(m *aurora.MasterSecret) bool { return now.Sub(m.Rotated) >= secretsmanager.ManagedRotation }
	anyAge := func(*aurora.MasterSecret) bool { return true }
	for _, item := range s.rotations.All() {
		cluster, ok := s.clusters.Get(item.Key)
		done := secretsmanager.Rotations(s.store).DeleteOp(item.Key, item.Revision)
		switch {
		case !ok || cluster.Value.DeleteRequested || cluster.Value.Spec.MasterSecret == nil:
			_, err := s.store.Commit(ctx, done)
			failed = append(failed, unlessConflict(err))
		case refuseStopped(&cluster.Value) == nil:
			failed = append(failed, s.rotate(ctx, cluster.Key, item.Value.Version, anyAge, done))
		}
	}
	for _, item := range s.clusters.All() {
		v := &item.Value
		if v.Spec.MasterSecret != nil && !v.DeleteRequested && refuseStopped(v) == nil && isOld(v.Spec.MasterSecret) {
			failed = append(failed, s.rotate(ctx, item.Key, "", isOld))
		}
	}
	return errors.Join(failed...)
}

// rotate makes a new password for one cluster. A conflict is followed by a change of
// what the caller waits for.
func (s *service) rotate(ctx context.Context, key, version string, due func(*aurora.MasterSecret) bool, more ...state.Op) error {
	item, err := state.DBClusters(s.store).Get(ctx, key)
	if err != nil || item.Value.Spec.MasterSecret == nil || !due(item.Value.Spec.MasterSecret) {
		return err
	}
	ch, password := secretChange{was: item.Value.Spec.MasterSecret}, newMasterPassword()
	ops, err := s.rotateOps(ctx, &item.Value, &ch, version, password)
	if err != nil {
		return err
	}
	verifier, err := newVerifier(password)
	if err != nil {
		return err
	}
	_, err = s.updateCluster(ctx, key, func(v *aurora.DBCluster) error {
		if v.DeleteRequested {
			return state.ErrUnchanged
		}
		v.Spec.MasterUserVerifier = verifier
		v.Spec.MasterPasswordGeneration++
		v.Generation++
		return ch.take(&v.Spec)
	}, append(ops, more...)...)
	return unlessConflict(err)
}

func unlessConflict(err error) error {
	if errors.Is(err, state.ErrConflict) {
		return nil
	}
	return err
}

// showMasterSecret shows a secret whose key cannot be used as impaired: nobody can
// read it, and it is not rotated.
func (s *service) showMasterSecret(v *aurora.DBCluster) *types.MasterUserSecret {
	secret := v.Spec.MasterSecret
	if secret == nil {
		return nil
	}
	status := "active"
	switch shown := clusterStatus(v); {
	case shown == aurora.ClusterStatusCreating:
		status = "creating"
	case secret.KmsKeyID != "" && !s.keys.Usable(secret.KmsKeyID):
		status = "impaired"
	case shown == aurora.ClusterStatusResettingCredentials:
		status = "rotating"
	}
	key := scope{v.Account, v.Region}.keyOf("secretsmanager", secret.KmsKeyID)
	return &types.MasterUserSecret{SecretArn: &secret.ARN, SecretStatus: &status, KmsKeyId: &key}
}
