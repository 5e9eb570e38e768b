package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

const (
	// HostCommonName is the subject of every host's certificate and of no other.
	HostCommonName = "Daybreak host"
	// hostScheme and hostPart make the URI that says which host: daybreak://host/<id>.
	hostScheme, hostPart = "daybreak", "host"
)

// errNoHost says that a certificate is not one of a host.
var errNoHost = errors.New("the certificate is not that of a host of this installation")

// HostCertificate returns the certificate by which a host of the installation is
// known to the others, as server and as client. It is reached at addr, a name or
// an IP address.
func (ca *CA) HostCertificate(id, addr string) *Certificate {
	template := x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"Daybreak"}, CommonName: HostCommonName},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{{Scheme: hostScheme, Host: hostPart, Path: "/" + id}},
	}
	if ip := net.ParseIP(addr); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{addr}
	}
	return &Certificate{ca: ca, template: template, now: time.Now}
}

// HostID is the id of the host that a certificate is of. It checks no signature.
func HostID(cert *x509.Certificate) (string, error) {
	if cert.Subject.CommonName != HostCommonName || len(cert.URIs) != 1 {
		return "", errNoHost
	}
	u := cert.URIs[0]
	if u.Scheme != hostScheme || u.Host != hostPart || len(u.Path) < 2 {
		return "", errNoHost
	}
	return u.Path[1:], nil
}

// PeerHost is the id of the host at the other end of a connection whose settings
// HostServer or HostClient made.
func PeerHost(s tls.ConnectionState) (string, error) {
	if len(s.PeerCertificates) == 0 {
		return "", errNoHost
	}
	return HostID(s.PeerCertificates[0])
}

// HostServer returns TLS 1.3 settings that take connections of hosts only.
// accept says which of them.
func (ca *CA) HostServer(own *Certificate, accept func(id string) error) *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		GetCertificate:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.Get() },
		ClientAuth:       tls.RequireAndVerifyClientCert,
		ClientCAs:        ca.pool(),
		VerifyConnection: checkHost(accept),
	}
}

// HostClient returns TLS 1.3 settings for a connection to the host of this id.
// Where it is reached does not matter.
func (ca *CA) HostClient(own *Certificate, id string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.Get() },
		// The name that is checked is not that of a server: see VerifyConnection.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if err := ca.verifyServer(s.PeerCertificates); err != nil {
				return err
			}
			return checkHost(func(is string) error {
				if is != id {
					return fmt.Errorf("host %s answers where host %s was expected", is, id)
				}
				return nil
			})(s)
		},
	}
}

// Fingerprint names an authority in a way that cannot be forged.
func (ca *CA) Fingerprint() string { return fingerprint(ca.cert) }

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// FingerprintClient returns TLS 1.3 settings of a host that does not yet have the
// authority: the server must show a host's certificate and the authority with
// this fingerprint that signed it.
func FingerprintClient(authority string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the check is VerifyConnection
		VerifyConnection: func(s tls.ConnectionState) error {
			last := s.PeerCertificates[len(s.PeerCertificates)-1]
			if fingerprint(last) != authority {
				return errors.New("the server is not of the installation that made the token")
			}
			if err := (&CA{cert: last}).verifyServer(s.PeerCertificates); err != nil {
				return err
			}
			return checkHost(func(string) error { return nil })(s)
		},
	}
}

func checkHost(accept func(id string) error) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		id, err := PeerHost(s)
		if err != nil {
			return err
		}
		return accept(id)
	}
}

func (ca *CA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// verifyServer checks who signed a server's certificate, whatever its names.
func (ca *CA) verifyServer(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errNoHost
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: ca.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// WriteFile writes the certificate, as it is now, with its key into one file, for
// a program that reads them from there.
func (c *Certificate) WriteFile(path string) error {
	cert, err := c.Get()
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	var data []byte
	for _, der := range cert.Certificate {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})...)
	}
	data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	return layout.WriteFile(path, data, 0o600)
}
