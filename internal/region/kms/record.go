package kms

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/state"
)

// Key is a KMS key. All fields are written by the actions of this package.
type Key struct {
	ID, Account, Region string
	Created             time.Time
	Description         string
	ManagedFor          string `json:",omitempty"` // the service of one of AWS's own keys, as rds
	Enabled             bool
	DeletionDate        *time.Time `json:",omitempty"` // set while deletion is pending
	DeletionDays        int        `json:",omitempty"`
	Policy              string
	Tags                map[string]string `json:",omitempty"`
	RotationDays        int               `json:",omitempty"` // 0: no automatic rotation
	NextRotation        time.Time         `json:",omitzero"`
	Material            []Material        // the last one encrypts, all decrypt
}

// Material is what a key encrypts with.
type Material struct {
	ID       string // 64 hexadecimal digits
	Made     time.Time
	OnDemand bool   // made by RotateKeyOnDemand
	Sealed   []byte // 32 bytes, sealed for the key and this ID
}

// Alias is a name of a key.
type Alias struct {
	Name             string // alias/…
	Account, Region  string
	Target           string // key's ID
	Created, Updated time.Time
}

func keyTable(s *state.Store) state.Table[Key] { return state.NewTable[Key](s, "region/kms-keys") }
func aliasTable(s *state.Store) state.Table[Alias] {
	return state.NewTable[Alias](s, "region/kms-aliases")
}

// place is the account and region that keys belong to.
type place struct{ account, region string }

func (p place) record(name string) string { return p.account + "/" + p.region + "/" + name }

func (p place) arn(resource string) string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:%s", p.region, p.account, resource)
}

func (k Key) place() place   { return place{k.Account, k.Region} }
func (k Key) record() string { return k.place().record(k.ID) }

// ARN is that of the key.
func (k Key) ARN() string { return k.place().arn("key/" + k.ID) }

func (k Key) state() types.KeyState {
	switch {
	case k.DeletionDate != nil:
		return types.KeyStatePendingDeletion
	case k.Enabled:
		return types.KeyStateEnabled
	}
	return types.KeyStateDisabled
}

func (k Key) metadata() *types.KeyMetadata {
	manager := types.KeyManagerTypeCustomer
	if k.ManagedFor != "" {
		manager = types.KeyManagerTypeAws
	}
	m := &types.KeyMetadata{
		KeyId: &k.ID, AWSAccountId: &k.Account, Arn: aws.String(k.ARN()), CreationDate: &k.Created, Description: &k.Description,
		Enabled: k.state() == types.KeyStateEnabled, KeyState: k.state(), KeyManager: manager,
		KeySpec: types.KeySpecSymmetricDefault,
		//lint:ignore SA1019 older clients read it
		CustomerMasterKeySpec: types.CustomerMasterKeySpecSymmetricDefault,
		KeyUsage:              types.KeyUsageTypeEncryptDecrypt, EncryptionAlgorithms: []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault},
		Origin: types.OriginTypeAwsKms, MultiRegion: aws.Bool(false), CurrentKeyMaterialId: aws.String(k.current().ID),
	}
	if k.DeletionDate != nil {
		m.DeletionDate, m.CurrentKeyMaterialId = k.DeletionDate, nil
	}
	return m
}

func (k Key) current() Material { return k.Material[len(k.Material)-1] }

// managed are the services that have a key of AWS's own in every account and
// region.
func managed() []string { return []string{"rds", "secretsmanager", "sns"} }

// managedFor is the service whose key has an alias; empty if it is none of AWS's.
func managedFor(alias string) string {
	for _, service := range managed() {
		if alias == "alias/aws/"+service {
			return service
		}
	}
	return ""
}

// ManagedKeyID is the id of AWS's own key for a service. It follows from the
// names, so that the key need not be made before it is named.
func ManagedKeyID(account, region, service string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{account, region, "alias/aws/" + service}, "/")))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
