// Package account keeps who may use the platform: organisations, their users
// with roles, how they sign in, and API keys. It must not know HTTP, plans or
// deployments.
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Role says what a user may do in their organisation.
type Role string

// Roles, in Omnistrate's words. An organisation's owner is its root.
const (
	RoleRoot   Role = "root"
	RoleAdmin  Role = "admin"
	RoleEditor Role = "editor"
	RoleReader Role = "reader"
)

// rank orders roles; an unknown one is below all.
func (r Role) rank() int { return slices.Index([]Role{RoleReader, RoleEditor, RoleAdmin, RoleRoot}, r) }

// Includes reports whether r may do what other may.
func (r Role) Includes(other Role) bool { return r.rank() >= 0 && r.rank() >= other.rank() }

// Organization has users. The provider's offers plans; the others are customers.
type Organization struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Provider   bool      `json:"provider,omitempty"`
	CreateTime time.Time `json:"createTime"`
}

// User belongs to one organisation.
type User struct {
	ID         string    `json:"id"`
	Email      string    `json:"email"` // lower case
	Name       string    `json:"name"`
	OrgID      string    `json:"orgId"`
	Role       Role      `json:"role"`
	Password   string    `json:"password"` // hashed, see password.go
	Suspended  bool      `json:"suspended,omitempty"`
	CreateTime time.Time `json:"createTime"`
	ChangeTime time.Time `json:"changeTime"`
}

// Principal is who makes a request.
type Principal struct {
	UserID, Email, Name string
	OrgID, OrgName      string
	Provider            bool // of the provider's organisation
	Role                Role
	Method              string // how they proved it: password, api-key or credential
	SessionID           string
}

// ProviderOrg is the id of the organisation that every installation has.
const ProviderOrg = "org-provider"

// The installation's own credential stands for this user.
const (
	installationUser  = "user-installation"
	installationEmail = "installation@localhost"
)

// Config of the accounts.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	// Credential is the installation's own: who has it is the provider's root.
	Credential string
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// Accounts is all of them.
type Accounts struct {
	Config
	orgs     state.Table[Organization]
	users    state.Table[User]
	sessions state.Table[session]
	keys     state.Table[APIKey]
	secrets  state.Table[[]byte]

	mu       sync.Mutex
	signing  []byte
	attempts map[string]attempts
	hashing  chan struct{} // a token for each password that may be hashed at once
}

// New returns the accounts.
func New(c Config) *Accounts {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Accounts{
		Config: c, orgs: state.NewTable[Organization](c.Store, "platform/organizations"),
		users:    state.NewTable[User](c.Store, "platform/users"),
		sessions: state.NewTable[session](c.Store, "platform/sessions"),
		keys:     state.NewTable[APIKey](c.Store, "platform/api-keys"),
		secrets:  state.NewTable[[]byte](c.Store, "platform/keys"),
		attempts: map[string]attempts{}, hashing: make(chan struct{}, 2),
	}
}

func refuse(status int, code, message string, hint ...string) *rest.Error {
	return &rest.Error{HTTPStatus: status, Code: code, Message: message, Hint: strings.Join(hint, "\n")}
}

func invalid(format string, args ...any) *rest.Error {
	return refuse(http.StatusBadRequest, rest.CodeInvalid, fmt.Sprintf(format, args...))
}

func notFound(what, id string) *rest.Error {
	return refuse(http.StatusNotFound, rest.CodeNotFound, fmt.Sprintf("there is no %s %q", what, id))
}

// newID is a random id with a prefix, safe in paths.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()[:12]) }

func emailName(email string) state.Name {
	return state.Name{Kind: "user", Account: "platform", Region: "platform", Name: email}
}

func orgName(name string) state.Name {
	return state.Name{Kind: "organization", Account: "platform", Region: "platform", Name: strings.ToLower(name)}
}

// Organization returns one. The provider's need not be stored.
func (a *Accounts) Organization(ctx context.Context, id string) (Organization, error) {
	item, err := a.orgs.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) && id == ProviderOrg {
		return Organization{ID: ProviderOrg, Name: "Provider", Provider: true}, nil
	}
	if errors.Is(err, state.ErrNotFound) {
		return Organization{}, notFound("organisation", id)
	}
	return item.Value, err
}

// orgCalled returns the organisation of a name, and makes it if there is none.
func (a *Accounts) orgCalled(ctx context.Context, name string) (Organization, error) {
	if name == "" || strings.EqualFold(name, "provider") {
		return a.Organization(ctx, ProviderOrg)
	}
	if len(name) > 100 || strings.ContainsAny(name, "/\x00\n\r") {
		return Organization{}, invalid("%q cannot be an organisation's name: want at most 100 characters, without / and line breaks", name)
	}
	for {
		id, err := a.Store.Lookup(ctx, orgName(name))
		if err == nil {
			return a.Organization(ctx, id)
		}
		if !errors.Is(err, state.ErrNotFound) {
			return Organization{}, err
		}
		org := Organization{ID: newID("org-"), Name: name, CreateTime: a.Now().UTC()}
		_, err = a.orgs.Create(ctx, org.ID, org, orgName(name).Claim(org.ID))
		if err == nil || !errors.Is(err, state.ErrExists) {
			return org, err
		}
	}
}

// emailAddress is enough of an address to be told from a mistake.
var emailAddress = regexp.MustCompile(`^[^@\s/\x00]{1,64}@[^@\s/\x00]{1,190}$`)

// NewUser is what a user is made of.
type NewUser struct {
	Email, Name, Password, Organization string
	Role                                Role
}

// CreateUser makes a user, and their organisation if it is new.
func (a *Accounts) CreateUser(ctx context.Context, n NewUser) (User, error) {
	email := strings.ToLower(strings.TrimSpace(n.Email))
	if !emailAddress.MatchString(email) || email == installationEmail || email == apiKeyEmail {
		return User{}, invalid("%q is not an e-mail address", n.Email)
	}
	if n.Role == "" {
		n.Role = RoleRoot
	}
	if n.Role.rank() < 0 {
		return User{}, invalid("role %q: want root, admin, editor or reader", n.Role)
	}
	if err := checkPassword(n.Password); err != nil {
		return User{}, err
	}
	org, err := a.orgCalled(ctx, strings.TrimSpace(n.Organization))
	if err != nil {
		return User{}, err
	}
	hash, err := a.hash(ctx, n.Password)
	if err != nil {
		return User{}, err
	}
	now := a.Now().UTC()
	u := User{ID: newID("user-"), Email: email, Name: n.Name, OrgID: org.ID, Role: n.Role, Password: hash, CreateTime: now, ChangeTime: now}
	if u.Name == "" {
		u.Name = email
	}
	_, err = a.users.Create(ctx, u.ID, u, emailName(email).Claim(u.ID))
	if errors.Is(err, state.ErrExists) {
		return User{}, refuse(http.StatusConflict, rest.CodeConflict, "there is a user "+email+" already")
	}
	return u, err
}

// Users lists them, those of one organisation if org is not empty.
func (a *Accounts) Users(ctx context.Context, org string) ([]User, error) {
	items, _, err := a.users.List(ctx, "")
	var users []User
	for _, item := range items {
		if org == "" || item.Value.OrgID == org {
			users = append(users, item.Value)
		}
	}
	slices.SortFunc(users, func(x, y User) int { return strings.Compare(x.Email, y.Email) })
	return users, err
}

// User returns one by id or by e-mail address.
func (a *Accounts) User(ctx context.Context, id string) (User, error) {
	if strings.Contains(id, "@") {
		found, err := a.Store.Lookup(ctx, emailName(strings.ToLower(id)))
		if errors.Is(err, state.ErrNotFound) {
			return User{}, notFound("user", id)
		}
		if err != nil {
			return User{}, err
		}
		id = found
	}
	item, err := a.users.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return User{}, notFound("user", id)
	}
	return item.Value, err
}

// SetSuspended stops or resumes a user: what they signed in with counts no more.
func (a *Accounts) SetSuspended(ctx context.Context, id string, suspended bool) error {
	u, err := a.User(ctx, id)
	if err != nil {
		return err
	}
	_, err = a.users.Update(ctx, u.ID, func(u *User) error {
		u.Suspended, u.ChangeTime = suspended, a.Now().UTC()
		return nil
	})
	return err
}

// SetPassword gives a user another password and ends their sessions.
func (a *Accounts) SetPassword(ctx context.Context, id, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	u, err := a.User(ctx, id)
	if err != nil {
		return err
	}
	hash, err := a.hash(ctx, password)
	if err != nil {
		return err
	}
	if _, err := a.users.Update(ctx, u.ID, func(u *User) error {
		u.Password, u.ChangeTime = hash, a.Now().UTC()
		return nil
	}); err != nil {
		return err
	}
	return a.endSessions(ctx, u.ID)
}

// DeleteUser removes a user with their sessions and API keys.
func (a *Accounts) DeleteUser(ctx context.Context, id string) error {
	u, err := a.User(ctx, id)
	if err != nil {
		return err
	}
	if err := a.users.Delete(ctx, u.ID, emailName(u.Email).Release(u.ID)); err != nil {
		return err
	}
	keys, err := a.APIKeys(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := a.DeleteAPIKey(ctx, u.ID, k.ID); err != nil {
			return err
		}
	}
	return a.endSessions(ctx, u.ID)
}
