package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
)

// session is what a sign-in begins. Its refresh token is stored hashed: it is
// random, so that nothing slower is needed.
type session struct {
	ID      string    `json:"id"`
	UserID  string    `json:"userId"`
	KeyID   string    `json:"keyId,omitempty"` // the API key it was begun with
	Method  string    `json:"method"`
	Refresh string    `json:"refresh"` // hashed
	Expires time.Time `json:"expires"`
}

// Tokens are what a client gets.
type Tokens struct{ Token, Refresh string }

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (a *Accounts) isCredential(secret string) bool {
	return a.Credential != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(a.Credential)) == 1
}

// apiKeyEmail is whom Omnistrate's clients sign in as to use an API key.
const apiKeyEmail = "apikey@apikeys.invalid"

// SignIn begins a session with a password, or with an API key or the
// installation's credential as the password of apiKeyEmail. from is the address of
// who asks; guesses from one address, and of one user, are slowed down.
func (a *Accounts) SignIn(ctx context.Context, email, password, from string) (Tokens, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	names := []string{"user " + email, "address " + from}
	if email == apiKeyEmail {
		names = names[1:]
	}
	if wait := a.mustWait(names); wait > 0 {
		return Tokens{}, unauthorized(fmt.Sprintf("too many attempts failed: try again in %d seconds", int(wait.Seconds())+1))
	}
	s, err := a.prove(ctx, email, password)
	if err != nil {
		return Tokens{}, err
	}
	if s.UserID == "" {
		a.failed(names)
		return Tokens{}, unauthorized("the e-mail address or the password is wrong")
	}
	a.succeeded(names)
	return a.open(ctx, s)
}

// prove returns whose password or key it is; nobody's is a session without user.
func (a *Accounts) prove(ctx context.Context, email, password string) (session, error) {
	if email == apiKeyEmail {
		if a.isCredential(password) {
			return session{UserID: installationUser, Method: "credential"}, nil
		}
		key, err := a.keyOf(ctx, password)
		return session{UserID: key.UserID, KeyID: key.ID, Method: "api-key"}, err
	}
	u, err := a.User(ctx, email)
	if err != nil && !isNotFound(err) {
		return session{}, err
	}
	ok, err := a.matches(ctx, password, u.Password)
	if err != nil || !ok || u.Suspended {
		return session{}, err
	}
	return session{UserID: u.ID, Method: "password"}, nil
}

// open stores a session and returns its tokens.
func (a *Accounts) open(ctx context.Context, s session) (Tokens, error) {
	secret := rand.Text()
	s.ID, s.Refresh, s.Expires = newID("session-"), digest(secret), a.Now().Add(sessionLife).UTC()
	if err := a.dropExpired(ctx, s.UserID); err != nil {
		return Tokens{}, err
	}
	if _, err := a.sessions.Create(ctx, s.ID, s); err != nil {
		return Tokens{}, err
	}
	token, err := a.token(ctx, s)
	return Tokens{Token: token, Refresh: s.ID + "." + secret}, err
}

// Refresh gives another token for a session. The refresh token stays the same: a
// client's commands that run side by side share it.
func (a *Accounts) Refresh(ctx context.Context, refresh string) (Tokens, error) {
	s, err := a.session(ctx, refresh)
	if err != nil {
		return Tokens{}, err
	}
	if _, err := a.principal(ctx, s); err != nil {
		return Tokens{}, err
	}
	token, err := a.token(ctx, s)
	return Tokens{Token: token, Refresh: refresh}, err
}

// Revoke ends a session with all its tokens. One that has ended is no error.
func (a *Accounts) Revoke(ctx context.Context, refresh string) error {
	s, err := a.session(ctx, refresh)
	if err != nil {
		if isUnauthorized(err) {
			return nil
		}
		return err
	}
	return a.sessions.Delete(ctx, s.ID)
}

func (a *Accounts) session(ctx context.Context, refresh string) (session, error) {
	id, secret, _ := strings.Cut(refresh, ".")
	item, err := a.sessions.Get(ctx, id)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return session{}, err
	}
	if err != nil || subtle.ConstantTimeCompare([]byte(digest(secret)), []byte(item.Value.Refresh)) != 1 {
		return session{}, unauthorized("the refresh token is not one of ours: sign in")
	}
	return item.Value, nil
}

func (a *Accounts) endSessions(ctx context.Context, user string) error {
	return a.dropSessions(ctx, func(s session) bool { return s.UserID == user })
}

// dropExpired keeps the number of a user's sessions down.
func (a *Accounts) dropExpired(ctx context.Context, user string) error {
	return a.dropSessions(ctx, func(s session) bool { return s.UserID == user && a.Now().After(s.Expires) })
}

func (a *Accounts) dropSessions(ctx context.Context, which func(session) bool) error {
	items, _, err := a.sessions.List(ctx, "")
	if err != nil {
		return err
	}
	for _, item := range items {
		if which(item.Value) {
			if err := a.sessions.Delete(ctx, item.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
