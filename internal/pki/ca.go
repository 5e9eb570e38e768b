// Package pki is the installation's certificate authority: made once, kept in
// one directory, trusted by the clients that are given its certificate. It
// issues certificates in memory, of servers and of the installation's hosts, and
// must not know what serves with them.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

const (
	// authorityFile holds key and certificate together, so that there is never
	// one without the other.
	authorityFile = "authority.pem"
	// CAFile is what clients are given (sslrootcert).
	CAFile = "ca.pem"

	caValidity = 20 * 365 * 24 * time.Hour
	backdate   = time.Hour // for clients whose clock is behind

	keyBlock  = "EC PRIVATE KEY"
	certBlock = "CERTIFICATE"
)

// CA signs certificates.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// Open reads the authority in dir, and makes one at the first use. Of several
// processes that start at once all get the same.
func Open(dir string) (*CA, error) {
	path := filepath.Join(dir, authorityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	ca, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w (restore it from a backup, or remove it to have a new one that clients must be given again)", path, err)
	}
	return ca, ca.publish(filepath.Join(dir, CAFile))
}

// CAPEM is the authority's certificate.
func (ca *CA) CAPEM() []byte { return ca.pem }

func parse(data []byte) (*CA, error) {
	ca := &CA{}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		var err error
		switch block.Type {
		case keyBlock:
			ca.key, err = x509.ParseECPrivateKey(block.Bytes)
		case certBlock:
			ca.cert, err = x509.ParseCertificate(block.Bytes)
			ca.pem = pem.EncodeToMemory(block)
		}
		if err != nil {
			return nil, err
		}
	}
	if ca.key == nil || ca.cert == nil || !ca.key.PublicKey.Equal(ca.cert.PublicKey) {
		return nil, errors.New("no key with its certificate in it")
	}
	return ca, nil
}

// Export reads the authority in dir, with its key, for a host that joins.
func Export(dir string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, authorityFile))
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return data, nil
}

// Import makes the authority that Export gave that of dir. A directory that has
// another one is refused.
func Import(dir string, data []byte) error {
	if _, err := parse(data); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	stored, err := place(filepath.Join(dir, authorityFile), data)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if string(stored) != string(data) {
		return fmt.Errorf("certificate authority: %s has another one", dir)
	}
	_, err = Open(dir)
	return err
}

// create makes the authority.
func create(path string) ([]byte, error) {
	data, err := generate(time.Now())
	if err != nil {
		return nil, err
	}
	return place(path, data)
}

// place writes the authority under a temporary name and links it into place. It
// returns what is there then: what was there before, if anything.
func place(path string, data []byte) ([]byte, error) {
	tmp := fmt.Sprintf("%s.%d.%s", path, os.Getpid(), rand.Text())
	if err := layout.WriteFile(tmp, data, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := layout.SyncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func generate(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 4) // tells authorities of several installations apart
	_, _ = rand.Read(id)  // never fails, see crypto/rand
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Daybreak"}, CommonName: "Daybreak CA " + hex.EncodeToString(id)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})...), nil
}

// publish keeps the certificate in a file of its own.
func (ca *CA) publish(path string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == string(ca.pem) {
		return nil
	}
	if err := layout.WriteFile(path, ca.pem, 0o644); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return nil
}
