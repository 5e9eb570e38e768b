// Package dbauth decides on logins by IAM: whether a token, which stands in the place
// of a password, was signed for this database by somebody whose policies allow it. It
// must not know how the login is carried out.
package dbauth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/iam"
)

// service is what tokens are signed for, and the prefix of the action.
const service = "rds-db"

// Validity is how long a token lets in, whatever it says itself.
const Validity = 15 * time.Minute

// Login is what somebody wants with a token.
type Login struct {
	Account, Region string   // the cluster's
	ClusterID       string   // its resource id
	User            string   // of the database
	Hosts           []string // host:port, any of which the token may be for
	Source          netip.Addr
	Token           string
}

// Authority knows access keys and policies.
type Authority struct {
	Directory *iam.Directory
	Now       func() time.Time // nil: time.Now
}

// Check says why a login is not allowed; the error never shows the token.
func (a Authority) Check(ctx context.Context, l Login) error {
	now := time.Now()
	if a.Now != nil {
		now = a.Now()
	}
	p, err := awswire.VerifyPresigned(l.Token, a.Directory, now)
	if err != nil {
		return fmt.Errorf("the token is not accepted: %w", err)
	}
	switch {
	case p.Service != service || p.Query.Get("Action") != "connect":
		return errors.New("the token is not accepted: it is no token for a database")
	case now.After(p.Signed.Add(Validity)):
		return errors.New("the token is not accepted: it is older than 15 minutes")
	case p.Query.Get("DBUser") != l.User:
		return fmt.Errorf("the token is not accepted: it is for the user %q", p.Query.Get("DBUser"))
	case p.Region != l.Region:
		return fmt.Errorf("the token is not accepted: it is for the region %q, the cluster is in %q", p.Region, l.Region)
	case !slices.ContainsFunc(l.Hosts, func(host string) bool { return strings.EqualFold(host, p.Host) }):
		return fmt.Errorf("the token is not accepted: it is for %q, and this endpoint is %s", p.Host, strings.Join(l.Hosts, " or "))
	case p.Account != l.Account:
		return errors.New("the token is not accepted: it is another account's")
	}
	p.SourceIP = l.Source.Unmap().String()
	denied, err := a.Directory.Authorize(ctx, awswire.Call{
		Identity: p.Identity, Service: service, Operation: "connect",
		Resources: func() []string { return []string{l.arn()} },
		Policy:    func(string) (awswire.ResourcePolicy, error) { return awswire.ResourcePolicy{}, nil },
	})
	if err == nil && denied != "" {
		err = errors.New(denied)
	}
	return err
}

// arn names the database user in policies.
func (l Login) arn() string {
	return fmt.Sprintf("arn:aws:rds-db:%s:%s:dbuser:%s/%s", l.Region, l.Account, l.ClusterID, l.User)
}
