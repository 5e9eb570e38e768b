package kms

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

const (
	maxPlaintext  = 4096
	maxCiphertext = 6144
	maxContext    = 8192
	symmetric     = types.EncryptionAlgorithmSpecSymmetricDefault
)

func checkAlgorithm(algorithm types.EncryptionAlgorithmSpec) error {
	if algorithm != "" && algorithm != symmetric {
		return awswire.BadRequestf("InvalidKeyUsageException", "The algorithm %.50s is not one of this key's: SYMMETRIC_DEFAULT.", algorithm)
	}
	return nil
}

func checkContext(encryptionContext map[string]string) error {
	size := 0
	for key, value := range encryptionContext {
		size += len(key) + len(value)
	}
	if size > maxContext {
		return invalid("The encryption context must have at most %d characters.", maxContext)
	}
	return nil
}

// dry ends a call that only asks whether it would succeed.
func dry(run *bool) error {
	if !aws.ToBool(run) {
		return nil
	}
	return awswire.Errorf(412, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
}

// Encrypt encrypts up to 4096 bytes.
func (a *API) Encrypt(ctx context.Context, in *api.EncryptInput) (*api.EncryptOutput, error) {
	if len(in.Plaintext) == 0 || len(in.Plaintext) > maxPlaintext {
		return nil, invalid("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and %d", maxPlaintext)
	}
	if err := first(checkAlgorithm(in.EncryptionAlgorithm), checkContext(in.EncryptionContext)); err != nil {
		return nil, err
	}
	key, err := a.usable(ctx, in.KeyId)
	if err = first(err, dry(in.DryRun)); err != nil {
		return nil, err
	}
	blob, err := a.encrypt(key, in.Plaintext, in.EncryptionContext)
	return &api.EncryptOutput{CiphertextBlob: blob, KeyId: aws.String(key.ARN()), EncryptionAlgorithm: symmetric}, err
}

// open decrypts with the key that the ciphertext names, which must be the given
// one, if any is.
func (a *API) open(ctx context.Context, blob []byte, given *string, encryptionContext map[string]string) ([]byte, Key, Material, error) {
	if len(blob) == 0 || len(blob) > maxCiphertext {
		return nil, Key{}, Material{}, invalid("1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length between 1 and %d", maxCiphertext)
	}
	id, err := keyIDOf(blob)
	if err != nil {
		return nil, Key{}, Material{}, err
	}
	if given != nil {
		named, err := a.key(ctx, given)
		if err != nil {
			return nil, Key{}, Material{}, err
		}
		if named.Value.ID != id {
			return nil, Key{}, Material{}, awswire.BadRequestf("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
		}
	}
	key, err := a.usable(ctx, &id)
	var refused *awswire.Error
	if errors.As(err, &refused) && refused.Code == "NotFoundException" {
		err = errCiphertext
	}
	if err != nil {
		return nil, key, Material{}, err
	}
	plain, material, err := a.decrypt(key, blob, encryptionContext)
	return plain, key, material, err
}

// Decrypt decrypts what a key of the account and region encrypted.
func (a *API) Decrypt(ctx context.Context, in *api.DecryptInput) (*api.DecryptOutput, error) {
	if err := first(checkAlgorithm(in.EncryptionAlgorithm), unavailable("Recipient", in.Recipient != nil),
		unavailable("DryRunModifiers", len(in.DryRunModifiers) > 0)); err != nil {
		return nil, err
	}
	plain, key, material, err := a.open(ctx, in.CiphertextBlob, in.KeyId, in.EncryptionContext)
	if err = first(err, dry(in.DryRun)); err != nil {
		return nil, err
	}
	return &api.DecryptOutput{
		Plaintext: plain, KeyId: aws.String(key.ARN()), KeyMaterialId: &material.ID, EncryptionAlgorithm: symmetric,
	}, nil
}

// ReEncrypt brings a ciphertext to another key or context, without showing what
// is in it.
func (a *API) ReEncrypt(ctx context.Context, in *api.ReEncryptInput) (*api.ReEncryptOutput, error) {
	if err := first(checkAlgorithm(in.SourceEncryptionAlgorithm), checkAlgorithm(in.DestinationEncryptionAlgorithm),
		checkContext(in.DestinationEncryptionContext), unavailable("DryRunModifiers", len(in.DryRunModifiers) > 0)); err != nil {
		return nil, err
	}
	plain, source, material, err := a.open(ctx, in.CiphertextBlob, in.SourceKeyId, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	key, err := a.usable(ctx, in.DestinationKeyId)
	if err = first(err, dry(in.DryRun)); err != nil {
		return nil, err
	}
	blob, err := a.encrypt(key, plain, in.DestinationEncryptionContext)
	return &api.ReEncryptOutput{
		CiphertextBlob: blob, KeyId: aws.String(key.ARN()), SourceKeyId: aws.String(source.ARN()),
		SourceEncryptionAlgorithm: symmetric, DestinationEncryptionAlgorithm: symmetric,
		SourceKeyMaterialId: &material.ID, DestinationKeyMaterialId: aws.String(key.current().ID),
	}, err
}

// GenerateDataKey makes a data key, in the clear and encrypted.
func (a *API) GenerateDataKey(ctx context.Context, in *api.GenerateDataKeyInput) (*api.GenerateDataKeyOutput, error) {
	if err := unavailable("Recipient", in.Recipient != nil); err != nil {
		return nil, err
	}
	key, plain, blob, err := a.dataKey(ctx, in.KeyId, in.KeySpec, in.NumberOfBytes, in.EncryptionContext, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &api.GenerateDataKeyOutput{
		Plaintext: plain, CiphertextBlob: blob, KeyId: aws.String(key.ARN()), KeyMaterialId: aws.String(key.current().ID),
	}, nil
}

// GenerateDataKeyWithoutPlaintext makes a data key that is only answered
// encrypted.
func (a *API) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *api.GenerateDataKeyWithoutPlaintextInput) (*api.GenerateDataKeyWithoutPlaintextOutput, error) {
	key, _, blob, err := a.dataKey(ctx, in.KeyId, in.KeySpec, in.NumberOfBytes, in.EncryptionContext, in.DryRun)
	if err != nil {
		return nil, err
	}
	return &api.GenerateDataKeyWithoutPlaintextOutput{
		CiphertextBlob: blob, KeyId: aws.String(key.ARN()), KeyMaterialId: aws.String(key.current().ID),
	}, nil
}

func (a *API) dataKey(ctx context.Context, id *string, spec types.DataKeySpec, bytes *int32, encryptionContext map[string]string, dryRun *bool) (Key, []byte, []byte, error) {
	size := map[types.DataKeySpec]int{types.DataKeySpecAes128: 16, types.DataKeySpecAes256: 32}[spec]
	switch {
	case spec == "" && bytes == nil || spec != "" && bytes != nil:
		return Key{}, nil, nil, invalid("Please specify either number of bytes or key spec.")
	case spec != "" && size == 0:
		return Key{}, nil, nil, invalid("Value '%.30s' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]", spec)
	case bytes != nil:
		if size = int(*bytes); size < 1 || size > 1024 {
			return Key{}, nil, nil, invalid("Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and 1024", size)
		}
	}
	if err := checkContext(encryptionContext); err != nil {
		return Key{}, nil, nil, err
	}
	key, err := a.usable(ctx, id)
	if err = first(err, dry(dryRun)); err != nil {
		return key, nil, nil, err
	}
	plain := make([]byte, size)
	_, _ = rand.Read(plain) // never fails
	blob, err := a.encrypt(key, plain, encryptionContext)
	return key, plain, blob, err
}

// GenerateRandom answers random bytes.
func (a *API) GenerateRandom(_ context.Context, in *api.GenerateRandomInput) (*api.GenerateRandomOutput, error) {
	size := aws.ToInt32(in.NumberOfBytes)
	if err := first(unavailable("Recipient", in.Recipient != nil), unavailable("CustomKeyStoreId", in.CustomKeyStoreId != nil)); err != nil {
		return nil, err
	}
	if size < 1 || size > 1024 {
		return nil, invalid("Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and 1024", size)
	}
	plain := make([]byte, size)
	_, _ = rand.Read(plain) // never fails
	return &api.GenerateRandomOutput{Plaintext: plain}, nil
}
