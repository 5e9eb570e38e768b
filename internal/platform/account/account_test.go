package account_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/platform/account"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

const password = "correct horse"

type fixture struct {
	*account.Accounts
	now time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{now: time.Now()}
	f.Accounts = account.New(account.Config{
		Store: statetest.Start(t), Keyring: keys, Credential: "the-installations-own", Now: func() time.Time { return f.now },
	})
	return f
}

func (f *fixture) user(t *testing.T, email, org string, role account.Role) account.User {
	t.Helper()
	u, err := f.CreateUser(t.Context(), account.NewUser{Email: email, Password: password, Organization: org, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (f *fixture) signIn(t *testing.T, email, password string) account.Tokens {
	t.Helper()
	tokens, err := f.SignIn(t.Context(), email, password, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func status(err error) int {
	var refused *rest.Error
	if errors.As(err, &refused) {
		return refused.HTTPStatus
	}
	return 0
}

func TestSignInGivesATokenOfTheUser(t *testing.T) {
	f := newFixture(t)
	f.user(t, "Ann@Example.com", "Acme", account.RoleEditor)
	tokens := f.signIn(t, "ann@example.COM", password)
	p, err := f.Authenticate(t.Context(), tokens.Token)
	if err != nil || p.Email != "ann@example.com" || p.OrgName != "Acme" || p.Provider || p.Role != account.RoleEditor || p.Method != "password" {
		t.Errorf("%+v, %v", p, err)
	}
	if n := strings.Count(tokens.Token, "."); n != 2 {
		t.Errorf("the token has %d dots, want those of a JWT", n)
	}
}

func TestTokensThatDoNotCount(t *testing.T) {
	f := newFixture(t)
	ann := f.user(t, "ann@example.com", "Acme", "")
	cases := []struct {
		name  string
		spoil func(tokens account.Tokens) string
	}{
		{"none", func(account.Tokens) string { return "" }},
		{"garbage", func(account.Tokens) string { return "a.b.c" }},
		{"unsigned", func(account.Tokens) string {
			return "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1c2VyLWluc3RhbGxhdGlvbiIsImV4cCI6OTk5OTk5OTk5OX0."
		}},
		{"forged", func(s account.Tokens) string { return s.Token[:len(s.Token)-4] + "AAAA" }},
		{"of another installation", func(account.Tokens) string {
			other := newFixture(t)
			other.user(t, "ann@example.com", "Acme", "")
			return other.signIn(t, "ann@example.com", password).Token
		}},
		{"of a session that was ended", func(s account.Tokens) string {
			if err := f.Revoke(t.Context(), s.Refresh); err != nil {
				t.Fatal(err)
			}
			return s.Token
		}},
		{"expired", func(s account.Tokens) string { f.now = f.now.Add(time.Hour); return s.Token }},
		{"of a user who is suspended", func(s account.Tokens) string {
			if err := f.SetSuspended(t.Context(), ann.ID, true); err != nil {
				t.Fatal(err)
			}
			return s.Token
		}},
	}
	for _, c := range cases {
		token := c.spoil(f.signIn(t, "ann@example.com", password))
		if p, err := f.Authenticate(t.Context(), token); status(err) != http.StatusUnauthorized {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
	}
}

func TestRefreshLastsUntilTheSessionEnds(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann@example.com", "Acme", "")
	tokens := f.signIn(t, "ann@example.com", password)
	f.now = f.now.Add(24 * time.Hour)
	fresh, err := f.Refresh(t.Context(), tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Authenticate(t.Context(), fresh.Token); err != nil {
		t.Error(err)
	}
	for _, refresh := range []string{"", "x", tokens.Refresh + "x", strings.Split(tokens.Refresh, ".")[0]} {
		if _, err := f.Refresh(t.Context(), refresh); status(err) != http.StatusUnauthorized {
			t.Errorf("refresh %q: %v", refresh, err)
		}
	}
	f.now = f.now.Add(60 * 24 * time.Hour)
	if _, err := f.Refresh(t.Context(), tokens.Refresh); status(err) != http.StatusUnauthorized {
		t.Errorf("after the session's life: %v", err)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann@example.com", "Acme", "")
	for range 5 {
		if _, err := f.SignIn(t.Context(), "ann@example.com", "wrong password", "192.0.2.1"); status(err) != http.StatusUnauthorized {
			t.Fatal(err)
		}
	}
	_, err := f.SignIn(t.Context(), "ann@example.com", password, "192.0.2.9")
	if status(err) != http.StatusUnauthorized || !strings.Contains(err.Error(), "too many") {
		t.Errorf("the right password at once: %v", err)
	}
	if _, err := f.SignIn(t.Context(), "bob@example.com", "wrong password", "192.0.2.1"); !strings.Contains(err.Error(), "too many") {
		t.Errorf("another user from the same address: %v", err)
	}
	f.now = f.now.Add(10 * time.Second)
	f.signIn(t, "ann@example.com", password)
}

func TestAPIKeyStandsForItsUserWithItsRole(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann@example.com", "Acme", account.RoleAdmin)
	p, err := f.Authenticate(t.Context(), f.signIn(t, "ann@example.com", password).Token)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CreateAPIKey(t.Context(), p, account.APIKey{Name: "ci", Role: account.RoleRoot}); status(err) != http.StatusForbidden {
		t.Errorf("a key above its user: %v", err)
	}
	key, made, err := f.CreateAPIKey(t.Context(), p, account.APIKey{Name: "ci", Role: account.RoleReader})
	if err != nil {
		t.Fatal(err)
	}
	tokens := f.signIn(t, "apikey@apikeys.invalid", key)
	got, err := f.Authenticate(t.Context(), tokens.Token)
	if err != nil || got.UserID != p.UserID || got.Role != account.RoleReader || got.Method != "api-key" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := f.RevokeAPIKey(t.Context(), "user-other", made.ID); status(err) != http.StatusNotFound {
		t.Errorf("revoked by another: %v", err)
	}
	if _, err := f.RevokeAPIKey(t.Context(), p.UserID, made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Authenticate(t.Context(), tokens.Token); status(err) != http.StatusUnauthorized {
		t.Errorf("the token of a revoked key: %v", err)
	}
	if _, err := f.SignIn(t.Context(), "apikey@apikeys.invalid", key, "192.0.2.1"); status(err) != http.StatusUnauthorized {
		t.Errorf("a revoked key: %v", err)
	}
}

func TestInstallationsOwnCredentialIsTheProvidersRoot(t *testing.T) {
	f := newFixture(t)
	direct, err := f.Authenticate(t.Context(), "the-installations-own")
	if err != nil || !direct.Provider || direct.Role != account.RoleRoot {
		t.Errorf("%+v, %v", direct, err)
	}
	p, err := f.Authenticate(t.Context(), f.signIn(t, "apikey@apikeys.invalid", "the-installations-own").Token)
	if err != nil || !p.Provider || p.Role != account.RoleRoot {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestUsersThatCannotBeMade(t *testing.T) {
	f := newFixture(t)
	f.user(t, "ann@example.com", "Acme", "")
	cases := []struct {
		name   string
		user   account.NewUser
		status int
	}{
		{"address taken, in capitals", account.NewUser{Email: "ANN@example.com", Password: password, Organization: "Other"}, http.StatusConflict},
		{"no address", account.NewUser{Email: "ann", Password: password}, http.StatusBadRequest},
		{"reserved address", account.NewUser{Email: "apikey@apikeys.invalid", Password: password}, http.StatusBadRequest},
		{"short password", account.NewUser{Email: "b@example.com", Password: "short"}, http.StatusBadRequest},
		{"long password", account.NewUser{Email: "b@example.com", Password: strings.Repeat("x", 1000)}, http.StatusBadRequest},
		{"unknown role", account.NewUser{Email: "b@example.com", Password: password, Role: "emperor"}, http.StatusBadRequest},
		{"name of an organisation", account.NewUser{Email: "b@example.com", Password: password, Organization: "a/b"}, http.StatusBadRequest},
	}
	for _, c := range cases {
		if _, err := f.CreateUser(t.Context(), c.user); status(err) != c.status {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
