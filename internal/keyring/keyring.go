// Package keyring seals small secrets (passwords, Terraform states) with the
// installation's root key, so that neither etcd nor an object holds them in the
// clear. It knows nothing of what it seals.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// ErrUnreadable says that a sealed value was made with another root key, was
// bound to another purpose, or was damaged.
var ErrUnreadable = errors.New("sealed value cannot be opened: it was sealed with another root key or is damaged")

const (
	keySize    = 32
	rootKey    = "root.key"
	formatByte = 1 // first byte of a sealed value
)

// Keyring seals and opens with AES-256-GCM under a random nonce.
type Keyring struct {
	aead cipher.AEAD
}

// Open reads the root key in dir, and makes one at the first use.
func Open(dir string) (*Keyring, error) {
	path := filepath.Join(dir, rootKey)
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	return New(key)
}

// New returns a keyring of a 32-byte root key.
func New(key []byte) (*Keyring, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("root key: %d bytes, want %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Keyring{aead: aead}, nil
}

// Export reads the root key in dir, for a host that joins.
func Export(dir string) ([]byte, error) {
	key, err := os.ReadFile(filepath.Join(dir, rootKey))
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	return key, nil
}

// Import makes the key that Export gave that of dir. A directory that has another
// one is refused.
func Import(dir string, key []byte) error {
	if _, err := New(key); err != nil {
		return err
	}
	stored, err := place(filepath.Join(dir, rootKey), key)
	if err != nil {
		return fmt.Errorf("root key: %w", err)
	}
	if !bytes.Equal(stored, key) {
		return fmt.Errorf("root key: %s has another one", dir)
	}
	return nil
}

// create makes the key.
func create(path string) ([]byte, error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return place(path, key)
}

// place writes the key under a temporary name and links it into place, so that of
// several processes that start at once all get the same key: that which it returns.
func place(path string, key []byte) ([]byte, error) {
	tmp := path + "." + rand.Text()
	if err := layout.WriteFile(tmp, key, 0o600); err != nil {
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

// Seal encrypts plain. Only Open with the same purpose gives it back.
func (k *Keyring) Seal(plain []byte, purpose string) []byte {
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	sealed := append([]byte{formatByte}, nonce...)
	return k.aead.Seal(sealed, nonce, plain, []byte(purpose))
}

// Open decrypts what Seal made for this purpose, or returns ErrUnreadable.
func (k *Keyring) Open(sealed []byte, purpose string) ([]byte, error) {
	n := k.aead.NonceSize()
	if len(sealed) < 1+n || sealed[0] != formatByte {
		return nil, ErrUnreadable
	}
	plain, err := k.aead.Open(nil, sealed[1:1+n], sealed[1+n:], []byte(purpose))
	if err != nil {
		return nil, ErrUnreadable
	}
	return plain, nil
}
