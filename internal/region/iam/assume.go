package iam

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
)

// Assumption asks for a session of a role.
type Assumption struct {
	RoleARN, SessionName string
	ExternalID           *string
	Lasts                time.Duration // an hour if 0
	Policies             []string      // documents that restrict the session
	PolicyARNs           []string      // managed policies that do so
}

// Assume makes a session of a role, if its trust policy names the caller, or the
// caller's account and the caller's own policies allow it.
func (d *Directory) Assume(id awswire.Identity, a Assumption) (Session, error) {
	denied := awswire.Errorf(http.StatusForbidden, "AccessDenied",
		"User: %s is not authorized to perform: sts:AssumeRole on resource: %.300s", id.ARN, a.RoleARN)
	role, ok := d.roleOf(a.RoleARN)
	if !ok {
		return Session{}, denied // as AWS: whether there is such a role is nobody's business
	}
	if !d.trusts(role, id, a.ExternalID) {
		return Session{}, denied
	}
	lasts, err := a.check(role)
	if err != nil {
		return Session{}, err
	}
	restrictions, err := d.restrictions(role.Account, a)
	if err != nil {
		return Session{}, err
	}
	return d.issue(claims{
		Account: role.Account, UserID: role.ID + ":" + a.SessionName, Role: role.key(), EntityID: role.ID,
		ARN:     fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", role.Account, role.Name, a.SessionName),
		Expires: time.Now().Add(lasts), Policies: restrictions,
	})
}

func (d *Directory) roleOf(arn string) (Role, bool) {
	account, rest, _ := strings.Cut(strings.TrimPrefix(arn, "arn:aws:iam::"), ":role/")
	role, ok := d.roles.mirror.Get(recordKey(account, rest[strings.LastIndex(rest, "/")+1:]))
	return role.Value, ok && role.Value.arn() == arn
}

// namesOf are the ARNs that policies may call a caller by: of a session, also that
// of its role.
func (d *Directory) namesOf(who principal, id awswire.Identity) []string {
	names := []string{id.ARN}
	if caller, ok := d.roles.mirror.Get(who.role); ok && who.role != "" {
		names = append(names, caller.Value.arn())
	}
	return names
}

// trusts decides with the trust policy and, where it trusts the account as a
// whole, with the caller's policies.
func (d *Directory) trusts(role Role, id awswire.Identity, externalID *string) bool {
	trust, err := policy.Parse(role.Trust)
	if err != nil {
		return false
	}
	who, _ := id.Principal.(principal)
	r := policy.Request{Action: "sts:AssumeRole", Keys: keysOf(who, id)}
	r.Keys["sts:externalid"] = externalID
	decision, named := trust.Trust(r, id.Account, d.namesOf(who, id)...)
	if decision != policy.Allowed {
		return false
	}
	if who.root {
		return true
	}
	r.Resource = role.arn()
	own := d.ask(who, r)
	return own == policy.Allowed || own == policy.Silent && named && len(who.policies) == 0 && id.Account == role.Account
}

func (a Assumption) check(role Role) (time.Duration, error) {
	if !regexp.MustCompile(`^[\w+=,.@-]{2,64}$`).MatchString(a.SessionName) {
		return 0, invalid("1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: " +
			`Member must satisfy regular expression pattern: [\w+=,.@-]* and have 2 to 64 characters`)
	}
	lasts := a.Lasts
	if lasts == 0 {
		lasts = min(time.Hour, time.Duration(role.MaxSession)*time.Second)
	}
	if lasts < 15*time.Minute || lasts > time.Duration(role.MaxSession)*time.Second {
		return 0, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role, which is %d, or is less than 900.", role.MaxSession)
	}
	return lasts, nil
}

// restrictions are the documents that a session's policies are narrowed with.
func (d *Directory) restrictions(account string, a Assumption) ([]string, error) {
	documents := slices.Clone(a.Policies)
	for _, text := range documents {
		if err := parse(text, maxTrustSize, policy.Document.CheckIdentity); err != nil {
			return nil, err
		}
	}
	for _, arn := range a.PolicyARNs {
		if p, ok := awsManaged(arn); ok {
			documents = append(documents, p.document())
			continue
		}
		p, ok := d.policyMirror.Get(recordKey(account, arn[strings.LastIndex(arn, "/")+1:]))
		if !ok || p.Value.ARN() != arn {
			return nil, invalid("The specified policy %.200s does not exist.", arn)
		}
		documents = append(documents, p.Value.document())
	}
	return documents, nil
}
