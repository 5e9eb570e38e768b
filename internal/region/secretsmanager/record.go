package secretsmanager

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Secret is a secret without its values. All fields are written by the actions
// of this package.
type Secret struct {
	Account, Region, Name string
	Suffix                string // of the ARN: another secret of the same name has another one
	Description           string
	KmsKeyID              string `json:",omitempty"` // ARN; empty: AWS's own key
	Created, Changed      time.Time
	Accessed              time.Time         `json:",omitzero"`  // the day
	DeleteAsked           *time.Time        `json:",omitempty"` // when it was given up
	DeleteAt              *time.Time        `json:",omitempty"` // when it will be gone
	Tags                  map[string]string `json:",omitempty"`
	Policy                string            `json:",omitempty"`
	Owner                 Owner             `json:",omitzero"` // if another service manages it
	Rotated               time.Time         `json:",omitzero"`
	Versions              []Version         // in the order of their creation
}

// Version says what is known of one value.
type Version struct {
	ID      string
	Created time.Time
	Stages  []string `json:",omitempty"`
}

// Value is what a version holds.
type Value struct {
	Binary bool
	Sealed []byte
}

// place is the account and region that secrets belong to.
type place struct{ account, region string }

func (p place) record(name string) string { return p.account + "/" + p.region + "/" + name }

func (p place) arn(name string) string {
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s", p.region, p.account, name)
}

func (s Secret) place() place   { return place{s.Account, s.Region} }
func (s Secret) record() string { return s.place().record(s.Name) }

// ARN is that of the secret.
func (s Secret) ARN() string { return s.place().arn(s.Name + "-" + s.Suffix) }

// valueRecord is the key of a version's value. A name may have slashes, which
// must not make it look like what is below another one.
func (s Secret) valueRecord(version string) string {
	return s.place().record(url.PathEscape(s.Name+"-"+s.Suffix)) + "/" + version
}

func (s Secret) purpose(version string) string { return "secret " + s.ARN() + " " + version }

// newSuffix is six letters and digits.
func newSuffix() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	var b strings.Builder
	for range 6 {
		b.WriteByte(alphabet[random(len(alphabet))])
	}
	return b.String()
}

// random is a number below n, each as likely as the others.
func random(n int) int {
	i, _ := rand.Int(rand.Reader, big.NewInt(int64(n))) // never fails
	return int(i.Int64())
}

// newVersionID is a random UUID.
func newVersionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s Secret) version(id string) int {
	return slices.IndexFunc(s.Versions, func(v Version) bool { return v.ID == id })
}

// staged is the version with a label, or -1.
func (s Secret) staged(stage string) int {
	return slices.IndexFunc(s.Versions, func(v Version) bool { return slices.Contains(v.Stages, stage) })
}

// Labels with a meaning.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// label moves a label to a version. The version that was current becomes the
// previous one.
func (s *Secret) label(version int, stage string) {
	old := s.staged(stage)
	if old == version {
		return
	}
	if old >= 0 {
		s.unlabel(old, stage)
		if stage == current {
			s.label(old, previous)
		}
	}
	if stage == current { // a version is not both
		s.unlabel(version, previous)
	}
	s.Versions[version].Stages = append(slices.Clone(s.Versions[version].Stages), stage)
}

func (s *Secret) unlabel(version int, stage string) {
	s.Versions[version].Stages = slices.DeleteFunc(slices.Clone(s.Versions[version].Stages), func(have string) bool { return have == stage })
}

func (s Secret) stages() map[string][]string {
	stages := map[string][]string{}
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			stages[v.ID] = v.Stages
		}
	}
	return stages
}

func wireTags(tags map[string]string) []types.Tag {
	wire := make([]types.Tag, 0, len(tags))
	for key, value := range tags {
		wire = append(wire, types.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(wire, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return wire
}
