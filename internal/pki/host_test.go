package pki

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// meet makes a connection between two settings and returns what each end says.
func meet(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		done <- tls.Server(conn, server).Handshake()
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(conn, client)
	clientErr = c.Handshake()
	if clientErr != nil {
		_ = conn.Close()
	}
	serverErr = <-done
	_ = conn.Close()
	return serverErr, clientErr
}

func TestHostsTrustHostsOfTheirInstallationOnly(t *testing.T) {
	ca, foreign := open(t, t.TempDir()), open(t, t.TempDir())
	anyone := func(string) error { return nil }
	unknown := func(string) error { return errors.New("not known") }
	one, two := ca.HostCertificate("00000001", "10.0.0.1"), ca.HostCertificate("00000002", "host-2.example")
	stranger := foreign.HostCertificate("00000002", "10.0.0.2")
	endpoint := ca.Certificate([]string{"db.example.org"}, nil)
	anonymous := ca.HostClient(two, "00000001")
	anonymous.GetClientCertificate = nil
	old := ca.HostClient(two, "00000001")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, c := range map[string]struct {
		server, client           *tls.Config
		serverTakes, clientTakes bool
	}{
		"two hosts":                          {ca.HostServer(one, anyone), ca.HostClient(two, "00000001"), true, true},
		"a host that is not known":           {ca.HostServer(one, unknown), ca.HostClient(two, "00000001"), false, true},
		"another host answers":               {ca.HostServer(one, anyone), ca.HostClient(two, "00000003"), false, false},
		"a client of another installation":   {ca.HostServer(one, anyone), ca.HostClient(stranger, "00000001"), false, true},
		"a server of another installation":   {foreign.HostServer(stranger, anyone), ca.HostClient(one, "00000002"), false, false},
		"an endpoint's certificate, client":  {ca.HostServer(one, anyone), ca.HostClient(endpoint, "00000001"), false, true},
		"an endpoint's certificate, server":  {ca.HostServer(endpoint, anyone), ca.HostClient(two, "00000001"), false, false},
		"no certificate":                     {ca.HostServer(one, anyone), anonymous, false, true},
		"TLS 1.2":                            {ca.HostServer(one, anyone), old, false, false},
		"joining, the right fingerprint":     {ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return one.Get() }), FingerprintClient(ca.Fingerprint()), true, true},
		"joining, another fingerprint":       {ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return one.Get() }), FingerprintClient(foreign.Fingerprint()), false, false},
		"joining, an endpoint's certificate": {ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return endpoint.Get() }), FingerprintClient(ca.Fingerprint()), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, c1 := meet(t, c.server, c.client)
			if (s == nil) != c.serverTakes {
				t.Errorf("server: %v", s)
			}
			if (c1 == nil) != c.clientTakes {
				t.Errorf("client: %v", c1)
			}
		})
	}
}

func TestFileOfAHostCanBeLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.pem")
	if err := open(t, t.TempDir()).HostCertificate("00000001", "10.0.0.1").WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(path, path); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestImportedAuthorityIsTheSameAndReplacesNone(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	ca := open(t, from)
	data, err := Export(from)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // repeatable
		if err := Import(to, data); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(open(t, to).CAPEM(), ca.CAPEM()) {
		t.Error("another authority")
	}
	other := t.TempDir()
	mine := open(t, other)
	if err := Import(other, data); err == nil {
		t.Error("an authority was replaced")
	}
	if !bytes.Equal(open(t, other).CAPEM(), mine.CAPEM()) {
		t.Error("a refused import changed something")
	}
	if err := Import(t.TempDir(), []byte("garbage")); err == nil {
		t.Error("garbage was imported")
	}
}
