package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"sync"
	"time"
)

// Validity is how long a server certificate is good for. Certificate replaces it
// when a third of that is left.
const Validity = 30 * 24 * time.Hour

// Issue makes a key, which is never stored, and a certificate for servers that
// are reached by these names and addresses.
func (ca *CA) Issue(names []string, ips []net.IP) (*tls.Certificate, error) {
	return ca.issue(serverTemplate(names, ips), time.Now())
}

// serverTemplate is what a server's certificate says.
func serverTemplate(names []string, ips []net.IP) x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"Daybreak"}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
		IPAddresses: ips,
	}
}

func (ca *CA) issue(template x509.Certificate, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(Validity)
	der, err := x509.CreateCertificate(rand.Reader, &template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v %v %v: %w", template.DNSNames, template.IPAddresses, template.URIs, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// Certificate is a certificate that is renewed while it is in use.
type Certificate struct {
	ca       *CA
	template x509.Certificate
	now      func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// Certificate returns one for servers that are reached by these names and
// addresses.
func (ca *CA) Certificate(names []string, ips []net.IP) *Certificate {
	return &Certificate{ca: ca, template: serverTemplate(names, ips), now: time.Now}
}

// Get returns a valid certificate. It issues one at the first call, when the
// last third of the validity has begun, and when the clock was set back.
func (c *Certificate) Get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.current != nil && now.After(c.current.Leaf.NotBefore) && now.Before(c.current.Leaf.NotAfter.Add(-Validity/3)) {
		return c.current, nil
	}
	cert, err := c.ca.issue(c.template, now)
	if err != nil {
		return nil, err
	}
	c.current = cert
	return cert, nil
}

// ServerConfig returns TLS settings of a server: TLS 1.2 or newer, with the
// certificate that get returns.
func ServerConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
}
