package iam

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// claims are what a session token holds, sealed: so sessions need no state, and
// end when they expire or when their user or role is gone.
type claims struct {
	AccessKeyID string
	Secret      string
	Account     string
	ARN         string
	UserID      string
	Expires     time.Time
	User        string `json:",omitempty"` // record's key
	Role        string `json:",omitempty"`
	EntityID    string `json:",omitempty"` // AIDA… or AROA…, so that a new one of the same name is another
	Policies    []string
}

const tokenPurpose = "sts session token"

// Session is a set of temporary credentials.
type Session struct {
	AccessKeyID, SecretAccessKey, Token string
	Expires                             time.Time
	ARN, UserID                         string
}

func (d *Directory) issue(c claims) (Session, error) {
	c.AccessKeyID, c.Secret = newKey("ASIA")
	c.Expires = c.Expires.UTC().Truncate(time.Second)
	plain, err := json.Marshal(c)
	if err != nil {
		return Session{}, err
	}
	return Session{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, Expires: c.Expires, ARN: c.ARN, UserID: c.UserID,
		Token: base64.StdEncoding.EncodeToString(d.keyring.Seal(plain, tokenPurpose)),
	}, nil
}

// session is the credential of a session token.
func (d *Directory) session(accessKeyID, token string) (awswire.Credential, bool) {
	var c claims
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return awswire.Credential{}, false
	}
	plain, err := d.keyring.Open(sealed, tokenPurpose)
	if err != nil || json.Unmarshal(plain, &c) != nil || c.AccessKeyID != accessKeyID {
		return awswire.Credential{}, false
	}
	who := principal{root: c.User == "" && c.Role == "", user: c.User, role: c.Role, policies: c.Policies}
	if e, ok := d.entity(who); !who.root && (!ok || e.ID != c.EntityID) {
		return awswire.Credential{}, false
	}
	return awswire.Credential{
		AccessKeyID: accessKeyID, SecretAccessKey: c.Secret, Account: c.Account, UserARN: c.ARN, UserID: c.UserID,
		Expires: c.Expires, Principal: who,
	}, true
}

// entity is the user or role that a principal is.
func (d *Directory) entity(p principal) (Entity, bool) {
	if p.user != "" {
		user, ok := d.users.mirror.Get(p.user)
		return user.Value.Entity, ok
	}
	role, ok := d.roles.mirror.Get(p.role)
	return role.Value.Entity, ok
}

// OwnSession makes temporary credentials for the caller, who must not be a
// session.
func (d *Directory) OwnSession(id awswire.Identity, lasts time.Duration) (Session, error) {
	who, _ := id.Principal.(principal)
	if who.role != "" || who.policies != nil || !longLived(id.AccessKeyID) {
		return Session{}, awswire.Errorf(403, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	}
	c := claims{Account: id.Account, ARN: id.ARN, UserID: id.UserID, User: who.user, Expires: time.Now().Add(lasts)}
	if e, ok := d.entity(who); ok {
		c.EntityID = e.ID
	}
	return d.issue(c)
}

func longLived(accessKeyID string) bool { return len(accessKeyID) < 4 || accessKeyID[:4] != "ASIA" }
