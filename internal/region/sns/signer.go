package sns

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/state"
)

// signingKey is the installation's key for messages, with its certificate, which
// is ours and not AWS's.
type signingKey struct {
	Certificate []byte // PEM
	Sealed      []byte // PKCS #1
}

const (
	signingRecord  = "key"
	signingPurpose = "sns signing key"
	signingYears   = 20
)

// signer signs messages as SNS does.
type signer struct {
	key         *rsa.PrivateKey
	certificate []byte // PEM
}

// signing is the signer, which is made when it is first needed.
func (a *API) signing(ctx context.Context) (*signer, error) {
	a.signerMu.Lock()
	defer a.signerMu.Unlock()
	if a.signer != nil {
		return a.signer, nil
	}
	s, err := openSigner(ctx, a.store, a.keyring)
	if err == nil {
		a.signer = s
	}
	return s, err
}

// openSigner reads the key, and makes one at the first use.
func openSigner(ctx context.Context, store *state.Store, keys *keyring.Keyring) (*signer, error) {
	table := state.NewTable[signingKey](store, "region/sns-signing")
	item, err := table.Get(ctx, signingRecord)
	if errors.Is(err, state.ErrNotFound) {
		if item.Value, err = newSigningKey(keys); err != nil {
			return nil, err
		}
		if _, err := table.Create(ctx, signingRecord, item.Value); errors.Is(err, state.ErrExists) {
			return openSigner(ctx, store, keys)
		} else if err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	der, err := keys.Open(item.Value.Sealed, signingPurpose)
	if err != nil {
		return nil, fmt.Errorf("signing key of sns: %w", err)
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	return &signer{key: key, certificate: item.Value.Certificate}, err
}

func newSigningKey(keys *keyring.Keyring) (signingKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return signingKey{}, err
	}
	now := time.Now().UTC()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Daybreak SNS"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(signingYears, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return signingKey{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Sealed:      keys.Seal(x509.MarshalPKCS1PrivateKey(key), signingPurpose),
	}, err
}

// sign is the signature of a text: version 1 with SHA-1, as AWS still does by
// default, version 2 with SHA-256.
func (s *signer) sign(text, version string) (string, error) {
	hash, digest := crypto.SHA256, sha256.Sum256([]byte(text))
	sum := digest[:]
	if version == "1" {
		old := sha1.Sum([]byte(text))
		hash, sum = crypto.SHA1, old[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, hash, sum)
	return base64.StdEncoding.EncodeToString(signature), err
}
