package iam

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Entity is what users and roles have in common. All fields are written by the
// actions of this package.
type Entity struct {
	Account  string
	Name     string
	Path     string
	ID       string // AIDA…, AROA…
	Created  time.Time
	Tags     map[string]string `json:",omitempty"`
	Attached []string          `json:",omitempty"` // ARNs of managed policies
	Inline   map[string]string `json:",omitempty"` // name → document
}

// User is an IAM user.
type User struct{ Entity }

// Role is an IAM role.
type Role struct {
	Entity
	Trust       string // the assume-role policy document
	Description string
	MaxSession  int // seconds
}

// Policy is a customer-managed policy.
type Policy struct {
	Account     string
	Name        string
	Path        string
	ID          string // ANPA…
	Created     time.Time
	Updated     time.Time
	Description string
	Tags        map[string]string `json:",omitempty"`
	Versions    []Version         // in the order of their creation
	Default     string            // id of the version in force
	NextVersion int               // number of the next version
}

// Version is one document of a policy.
type Version struct {
	ID       string // v1
	Document string
	Created  time.Time
}

// AccessKey is a user's key.
type AccessKey struct {
	ID      string // AKIA…
	Account string
	User    string // key of the user's record
	UserID  string
	Active  bool
	Created time.Time
	Secret  []byte // sealed
}

// recordKey is the key of a record: names are unique in an account, whatever
// their case.
func recordKey(account, name string) string { return account + "/" + strings.ToLower(name) }

func (e Entity) key() string { return recordKey(e.Account, e.Name) }

func (u User) arn() string { return arn(u.Account, "user", u.Path, u.Name) }
func (r Role) arn() string { return arn(r.Account, "role", r.Path, r.Name) }

// ARN is that of the policy.
func (p Policy) ARN() string { return arn(p.Account, "policy", p.Path, p.Name) }

func (p Policy) document() string {
	for _, v := range p.Versions {
		if v.ID == p.Default {
			return v.Document
		}
	}
	return ""
}

func arn(account, kind, path, name string) string {
	return fmt.Sprintf("arn:aws:iam::%s:%s%s%s", account, kind, path, name)
}

func wireTags(tags map[string]string) []types.Tag {
	wire := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		wire = append(wire, types.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(wire, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return wire
}
