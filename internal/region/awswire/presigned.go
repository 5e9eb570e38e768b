package awswire

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Presigned is a presigned request for nothing but to say who signed it, as tokens
// for databases are.
type Presigned struct {
	Identity
	Host    string // as signed, with its port
	Service string
	Query   url.Values
	Signed  time.Time
}

// VerifyPresigned verifies such a request, a URL without a scheme.
func VerifyPresigned(text string, store CredentialStore, now time.Time) (Presigned, error) {
	u, err := url.Parse("https://" + text)
	if err != nil || u.User != nil || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return Presigned{}, fmt.Errorf("it is not a presigned request")
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	s, ref := parsePresigned(u.Query())
	if ref.reason != accepted {
		return Presigned{}, fmt.Errorf("it is incomplete: %s", ref.message)
	}
	credential, ok := store.Credential(s.accessKeyID, s.token)
	if !ok {
		return Presigned{}, fmt.Errorf("its access key is not known, or its session token is not that key's")
	}
	switch ref := s.verify(r, nil, credential.SecretAccessKey, now); {
	case ref.reason == refusedSignature:
		return Presigned{}, fmt.Errorf("its signature does not match")
	case ref.reason != accepted:
		return Presigned{}, fmt.Errorf("it has expired, or is not yet valid")
	case !credential.Expires.IsZero() && !now.Before(credential.Expires):
		return Presigned{}, fmt.Errorf("the credentials that signed it have expired")
	}
	signed, _ := time.Parse(isoBasic, s.timestamp) // complete has checked it
	p := Presigned{Host: u.Host, Service: s.service, Query: u.Query(), Signed: signed}
	p.Account, p.Region, p.AccessKeyID = credential.Account, s.region, credential.AccessKeyID
	p.ARN, p.UserID, p.Principal = credential.UserARN, credential.UserID, credential.Principal
	return p, nil
}
