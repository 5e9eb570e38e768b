package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *CA {
	t.Helper()
	ca, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestParallelCreatorsAgreeOnOneAuthority(t *testing.T) {
	dir := t.TempDir()
	pems := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range pems {
		wg.Go(func() {
			if ca, err := Open(dir); err != nil {
				t.Error(err)
			} else {
				pems[i] = ca.CAPEM()
			}
		})
	}
	wg.Wait()
	for _, pem := range pems {
		if !bytes.Equal(pem, pems[0]) {
			t.Fatal("two creators have different authorities")
		}
	}
	published, err := os.ReadFile(filepath.Join(dir, CAFile))
	if err != nil || !bytes.Equal(published, pems[0]) {
		t.Errorf("%s is not the authority's certificate (%v)", CAFile, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left in the directory: %v %v", entries, err)
	}
}

func TestKeyIsReadableByItsOwnerOnlyAndNotInTheCertificate(t *testing.T) {
	dir := t.TempDir()
	ca := open(t, dir)
	info, err := os.Stat(filepath.Join(dir, authorityFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if strings.Contains(string(ca.CAPEM()), "PRIVATE") {
		t.Error("the certificate given to clients has the key in it")
	}
}

func TestDamagedAuthorityIsRefusedAndKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, authorityFile)
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name the file", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "garbage" {
		t.Error("the damaged file was replaced")
	}
}

func TestIssuedCertificateIsTrustedForItsNamesAndAddressesOnly(t *testing.T) {
	ca := open(t, t.TempDir())
	cert, err := ca.Issue([]string{"db.example.org"}, []net.IP{net.ParseIP("127.42.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.CAPEM())
	for name, trusted := range map[string]bool{"db.example.org": true, "127.42.0.1": true, "127.42.0.2": false, "example.org": false} {
		if err := handshake(t, cert, &tls.Config{RootCAs: roots, ServerName: name}); (err == nil) != trusted {
			t.Errorf("%s: trusted %v, want %v (%v)", name, err == nil, trusted, err)
		}
	}
	if err := handshake(t, cert, &tls.Config{RootCAs: roots, ServerName: "127.42.0.1", MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
}

func handshake(t *testing.T, cert *tls.Certificate, client *tls.Config) error {
	t.Helper()
	c, s := net.Pipe()
	defer c.Close()
	go func() {
		defer s.Close()
		_ = tls.Server(s, ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil })).Handshake()
	}()
	return tls.Client(c, client).Handshake()
}

func TestCertificateIsRenewedBeforeItEndsAndAfterTheClockWasSetBack(t *testing.T) {
	ca := open(t, t.TempDir())
	now := time.Now()
	c := ca.Certificate([]string{"a"}, nil)
	c.now = func() time.Time { return now }
	get := func() *tls.Certificate {
		t.Helper()
		cert, err := c.Get()
		if err != nil {
			t.Fatal(err)
		}
		if now.Before(cert.Leaf.NotBefore) || now.After(cert.Leaf.NotAfter) {
			t.Errorf("at %v: valid from %v to %v", now, cert.Leaf.NotBefore, cert.Leaf.NotAfter)
		}
		return cert
	}
	first := get()
	now = now.Add(Validity / 2)
	if get() != first {
		t.Error("renewed at half of its time")
	}
	now = now.Add(Validity / 4)
	second := get()
	if second == first {
		t.Error("not renewed with a quarter of its time left")
	}
	now = now.Add(-Validity)
	if get() == second {
		t.Error("not issued anew after the clock was set back")
	}
}
