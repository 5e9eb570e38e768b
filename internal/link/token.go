package link

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/pki"
)

// token is what a host needs to join: whom to ask, how to know that it is they who
// answer, and what to show them. Whoever has it gets the installation's keys.
type token struct {
	Addr      string    `json:"addr"`      // of a link
	Authority string    `json:"authority"` // fingerprint of the installation's authority
	Secret    []byte    `json:"secret"`
	Expires   time.Time `json:"expires"`
}

const (
	tokenPrefix = "daybreak."
	// joinPurpose is what the secret of a token is sealed for: its expiry is in it,
	// and only hosts of the installation can make and read it.
	joinPurpose = "join"
)

// NewToken makes a token with which hosts can join by way of the link at addr.
func NewToken(addr string, ca *pki.CA, keys *keyring.Keyring, expires time.Time) (string, error) {
	sealed, err := expires.UTC().MarshalText()
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(token{Addr: addr, Authority: ca.Fingerprint(), Secret: keys.Seal(sealed, joinPurpose), Expires: expires.UTC()})
	if err != nil {
		return "", err
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(data), nil
}

// errToken does not show the token, which is a secret.
var errToken = errors.New("the token is not one that 'daybreak server token' printed: copy all of it")

func parseToken(text string) (token, error) {
	var t token
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok {
		return t, errToken
	}
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return t, errToken
	}
	if err := json.Unmarshal(data, &t); err != nil || t.Addr == "" || t.Authority == "" {
		return t, errToken
	}
	return t, nil
}

// checkSecret refuses a secret that no host of the installation made, or that has
// expired.
func checkSecret(keys *keyring.Keyring, secret []byte, now time.Time) error {
	text, err := keys.Open(secret, joinPurpose)
	if err != nil {
		return errors.New("the token is not of this installation")
	}
	var expires time.Time
	if err := expires.UnmarshalText(text); err != nil {
		return errToken
	}
	if now.After(expires) {
		return fmt.Errorf("the token has expired at %s: make another with 'daybreak server token'", expires.Format(time.RFC3339))
	}
	return nil
}
