package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Argon2id's parameters for new hashes. Each hash says with which it was made, so
// that they can be raised.
const (
	hashTime    = 2
	hashMemory  = 19 << 10 // KiB
	hashThreads = 1
	hashSize    = 32
)

const (
	minPassword = 8
	maxPassword = 256
)

func checkPassword(password string) error {
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword || !utf8.ValidString(password) {
		return invalid("the password must have %d to %d characters", minPassword, maxPassword)
	}
	return nil
}

// hash is the password as it is stored. Few are made at once: each takes memory.
func (a *Accounts) hash(ctx context.Context, password string) (string, error) {
	if err := a.takeHashing(ctx); err != nil {
		return "", err
	}
	defer func() { <-a.hashing }()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashSize)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads, b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

func (a *Accounts) takeHashing(ctx context.Context) error {
	select {
	case a.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// matches reports whether the password is the one that was hashed. Without a hash
// it takes as long, so that nobody learns by time which users there are.
func (a *Accounts) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := a.takeHashing(ctx); err != nil {
		return false, err
	}
	defer func() { <-a.hashing }()
	var version int
	var memory, time uint32
	var threads uint8
	salt, sum := make([]byte, 16), make([]byte, hashSize)
	parts := strings.Split(hash, "$")
	known := len(parts) == 6 && parts[1] == "argon2id"
	if known {
		_, err1 := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &threads)
		var err2, err3 error
		salt, err2 = base64.RawStdEncoding.DecodeString(parts[4])
		sum, err3 = base64.RawStdEncoding.DecodeString(parts[5])
		known = err1 == nil && err2 == nil && err3 == nil && version == argon2.Version
	}
	if !known {
		memory, time, threads = hashMemory, hashTime, hashThreads
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(sum)))
	return subtle.ConstantTimeCompare(got, sum) == 1 && known, nil
}
