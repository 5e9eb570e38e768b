package keyring

import (
	"bytes"
	"errors"
	"sync"
	"testing"
)

func TestSealedValueOpensOnlyWithItsKeyAndPurpose(t *testing.T) {
	k, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sealed := k.Seal([]byte("secret"), "a")
	if plain, err := k.Open(sealed, "a"); err != nil || string(plain) != "secret" {
		t.Fatalf("%q, %v", plain, err)
	}
	if bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, k.Seal([]byte("secret"), "a")) {
		t.Error("a sealed value shows what it holds")
	}
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.Open(sealed, "b") },
		"another key":     func() ([]byte, error) { return other.Open(sealed, "a") },
		"damaged":         func() ([]byte, error) { return k.Open(damaged, "a") },
		"cut off":         func() ([]byte, error) { return k.Open(sealed[:5], "a") },
	} {
		if _, err := open(); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v, want ErrUnreadable", name, err)
		}
	}
}

func TestProcessesThatStartTogetherGetOneKey(t *testing.T) {
	dir := t.TempDir()
	sealed := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range sealed {
		wg.Go(func() {
			k, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			sealed[i] = k.Seal([]byte("x"), "p")
		})
	}
	wg.Wait()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sealed {
		if _, err := k.Open(s, "p"); err != nil {
			t.Error(err)
		}
	}
}

func TestImportedKeyIsTheSameAndReplacesNone(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	k, err := Open(from)
	if err != nil {
		t.Fatal(err)
	}
	key, err := Export(from)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // repeatable
		if err := Import(to, key); err != nil {
			t.Fatal(err)
		}
	}
	same, err := Open(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := same.Open(k.Seal([]byte("x"), "p"), "p"); err != nil {
		t.Error(err)
	}
	other := t.TempDir()
	if _, err := Open(other); err != nil {
		t.Fatal(err)
	}
	if err := Import(other, key); err == nil {
		t.Error("a key was replaced")
	}
	if err := Import(t.TempDir(), []byte("short")); err == nil {
		t.Error("a short key was imported")
	}
}
