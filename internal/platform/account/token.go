package account

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// How long what a sign-in gives is good for. A client that has fewer than five
// minutes left asks for another token.
const (
	tokenLife   = 30 * time.Minute
	sessionLife = 30 * 24 * time.Hour
)

const issuer = "daybreak"

// claims of a token.
type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"`
}

const signingKey = "token-signing"

// signingSecret is the key of all tokens: stored once, sealed.
func (a *Accounts) signingSecret(ctx context.Context) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.signing != nil {
		return a.signing, nil
	}
	item, err := a.secrets.Get(ctx, signingKey)
	if errors.Is(err, state.ErrNotFound) {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		_, err = a.secrets.Create(ctx, signingKey, a.Keyring.Seal(key, signingKey))
		if err != nil && !errors.Is(err, state.ErrExists) {
			return nil, err
		}
		item, err = a.secrets.Get(ctx, signingKey)
	}
	if err != nil {
		return nil, err
	}
	key, err := a.Keyring.Open(item.Value, signingKey)
	if err == nil {
		a.signing = key
	}
	return key, err
}

// token is a new one for a session.
func (a *Accounts) token(ctx context.Context, s session) (string, error) {
	key, err := a.signingSecret(ctx)
	if err != nil {
		return "", err
	}
	now := a.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: s.UserID, ID: newID(""),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenLife)),
		},
		Session: s.ID,
	}).SignedString(key)
}

func unauthorized(message string) *rest.Error {
	return refuse(http.StatusUnauthorized, rest.CodeUnauthorized, message)
}

// Authenticate returns who has a bearer token: one of a sign-in, or the
// installation's own credential.
func (a *Accounts) Authenticate(ctx context.Context, token string) (Principal, error) {
	if a.isCredential(token) {
		return a.installation("credential", ""), nil
	}
	key, err := a.signingSecret(ctx)
	if err != nil {
		return Principal{}, err
	}
	var c claims
	_, err = jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithTimeFunc(a.Now))
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Principal{}, unauthorized("the token has expired: sign in again")
	}
	if err != nil {
		return Principal{}, unauthorized("the token is missing or not one of ours: sign in")
	}
	item, err := a.sessions.Get(ctx, c.Session)
	if errors.Is(err, state.ErrNotFound) {
		return Principal{}, unauthorized("the session has ended: sign in again")
	}
	if err != nil {
		return Principal{}, err
	}
	if item.Value.UserID != c.Subject {
		return Principal{}, unauthorized("the token is not one of ours: sign in")
	}
	return a.principal(ctx, item.Value)
}

// principal is who has a session, if they may still use it.
func (a *Accounts) principal(ctx context.Context, s session) (Principal, error) {
	if a.Now().After(s.Expires) {
		return Principal{}, unauthorized("the session has expired: sign in again")
	}
	if s.UserID == installationUser {
		return a.installation(s.Method, s.ID), nil
	}
	item, err := a.users.Get(ctx, s.UserID)
	if errors.Is(err, state.ErrNotFound) || err == nil && item.Value.Suspended {
		return Principal{}, unauthorized("the user is suspended or gone")
	}
	if err != nil {
		return Principal{}, err
	}
	u := item.Value
	role := u.Role
	if s.KeyID != "" {
		key, err := a.keys.Get(ctx, s.KeyID)
		if errors.Is(err, state.ErrNotFound) || err == nil && !key.Value.usable(a.Now()) {
			return Principal{}, unauthorized("the API key is revoked, expired or gone")
		}
		if err != nil {
			return Principal{}, err
		}
		if role.Includes(key.Value.Role) {
			role = key.Value.Role
		}
	}
	org, err := a.Organization(ctx, u.OrgID)
	return Principal{
		UserID: u.ID, Email: u.Email, Name: u.Name, OrgID: org.ID, OrgName: org.Name, Provider: org.Provider,
		Role: role, Method: s.Method, SessionID: s.ID,
	}, err
}

// installation is who has the installation's own credential.
func (a *Accounts) installation(method, session string) Principal {
	return Principal{
		UserID: installationUser, Email: installationEmail, Name: "installation", OrgID: ProviderOrg, OrgName: "Provider",
		Provider: true, Role: RoleRoot, Method: method, SessionID: session,
	}
}
