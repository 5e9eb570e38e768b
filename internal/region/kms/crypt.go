package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// A ciphertext is a header, a nonce, and what AES-256-GCM makes of the plaintext
// with the header and the encryption context as additional data:
//
//	1 byte    format, 1
//	16 bytes  id of the key
//	4 bytes   which of its materials, from 0
const (
	cipherFormat = 1
	headerSize   = 1 + 16 + 4
)

var errCiphertext = awswire.BadRequestf("InvalidCiphertextException",
	"The ciphertext was not made by a key of this account and region, was damaged, or its encryption context is another one.")

// encrypt makes the ciphertext of the key's current material.
func (a *API) encrypt(key Key, plain []byte, encryptionContext map[string]string) ([]byte, error) {
	id, err := hex.DecodeString(strings.ReplaceAll(key.ID, "-", ""))
	if err != nil {
		return nil, fmt.Errorf("id of key %s: %w", key.ID, err)
	}
	blob := append([]byte{cipherFormat}, id...)
	blob = binary.BigEndian.AppendUint32(blob, uint32(len(key.Material)-1))
	aead, err := a.aead(key, key.current())
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	additional := authenticated(blob, encryptionContext)
	return aead.Seal(append(blob, nonce...), nonce, plain, additional), nil
}

// decrypt is the way back; the key must be the one that the ciphertext names.
func (a *API) decrypt(key Key, blob []byte, encryptionContext map[string]string) (plain []byte, material Material, err error) {
	n := binary.BigEndian.Uint32(blob[17:headerSize])
	if int64(n) >= int64(len(key.Material)) {
		return nil, material, errCiphertext
	}
	material = key.Material[n]
	aead, err := a.aead(key, material)
	if err != nil {
		return nil, material, err
	}
	rest := blob[headerSize:]
	if len(rest) < aead.NonceSize() {
		return nil, material, errCiphertext
	}
	nonce, sealed := rest[:aead.NonceSize()], rest[aead.NonceSize():]
	if plain, err = aead.Open(nil, nonce, sealed, authenticated(blob[:headerSize], encryptionContext)); err != nil {
		return nil, material, errCiphertext
	}
	return plain, material, nil
}

func (a *API) aead(key Key, m Material) (cipher.AEAD, error) {
	secret, err := a.keyring.Open(m.Sealed, materialPurpose(key.ID, m.ID))
	if err != nil {
		return nil, fmt.Errorf("material of key %s: %w", key.ID, err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// keyIDOf is the id of the key in a ciphertext's header.
func keyIDOf(blob []byte) (string, error) {
	if len(blob) < headerSize || blob[0] != cipherFormat {
		return "", errCiphertext
	}
	b := blob[1:17]
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// authenticated is the header with the encryption context, which is the same
// only if all its keys and values are.
func authenticated(header []byte, encryptionContext map[string]string) []byte {
	data := slices.Clone(header)
	for _, key := range slices.Sorted(maps.Keys(encryptionContext)) {
		for _, text := range []string{key, encryptionContext[key]} {
			data = binary.BigEndian.AppendUint32(data, uint32(len(text)))
			data = append(data, text...)
		}
	}
	return data
}

// usable reads a key that can be used now. One whose rotation is due gets new
// material first.
func (a *API) usable(ctx context.Context, given *string) (Key, error) {
	item, err := a.key(ctx, given)
	if err != nil {
		return item.Value, err
	}
	key := item.Value
	if err := notGivenUp(&key); err != nil {
		return key, err
	}
	if !key.Enabled {
		return key, awswire.BadRequestf("DisabledException", "%s is disabled.", key.ARN())
	}
	if key.RotationDays == 0 || time.Now().Before(key.NextRotation) {
		return key, nil
	}
	rotated, err := a.keys.Update(ctx, item.Key, func(k *Key) error {
		if k.RotationDays == 0 || time.Now().Before(k.NextRotation) {
			return state.ErrUnchanged // somebody else was here
		}
		k.Material = append(k.Material, a.newMaterial(k.ID, false))
		k.NextRotation = time.Now().UTC().AddDate(0, 0, k.RotationDays)
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return key, noKey(key.ARN())
	}
	return rotated.Value, err
}
