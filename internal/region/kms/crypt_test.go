package kms

import (
	"testing"

	"github.com/daybreakdb/daybreak/internal/keyring"
)

func FuzzOnlyCiphertextsAreDecrypted(f *testing.F) {
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	a := &API{keyring: keys}
	key := a.newKey(place{"111122223333", "us-west-2"}, "")
	made, err := a.encrypt(key, []byte("plain"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	f.Add(made[:headerSize])
	f.Add([]byte{cipherFormat})
	f.Fuzz(func(t *testing.T, blob []byte) {
		id, err := keyIDOf(blob)
		if err != nil {
			return
		}
		plain, _, err := a.decrypt(key, blob, nil)
		if err == nil && (string(blob) != string(made) || id != key.ID || string(plain) != "plain") {
			t.Fatalf("%x was decrypted to %q", blob, plain)
		}
	})
}
