package policy

import (
	"slices"
	"strings"
)

// Request is what a policy is asked about.
type Request struct {
	Action   string // rds:CreateDBCluster
	Resource string // an ARN, or "*" for a call that is about no resource
	// Keys are the condition keys that are known, in lower case; nil says that
	// the request does not have it. Of a key that is not here nothing is known.
	Keys map[string]*string
}

// Decision is what policies say.
type Decision int

// The decisions, each stronger than those before.
const (
	Silent Decision = iota // neither allowed nor denied
	Allowed
	Denied // explicitly
)

// Decide is what policies say together. What cannot be known never allows, and
// always denies.
func Decide(documents []Document, r Request) Decision {
	decision := Silent
	for _, d := range documents {
		for _, s := range d.Statements {
			decision = max(decision, s.decide(r, yes))
		}
	}
	return decision
}

// Trust is what a role's trust policy says of a caller who is known by these
// ARNs; the action is sts:AssumeRole. Named says that a statement allows one of
// the ARNs itself, and not the account as a whole.
func (d Document) Trust(r Request, account string, arns ...string) (decision Decision, named bool) {
	wide := []string{account, "arn:aws:iam::" + account + ":root"}
	r.Resource = "*"
	for _, s := range d.Statements {
		s.Resource, s.NotResource = words{"*"}, nil
		direct := s.decide(r, s.about(arns))
		decision = max(decision, direct, s.decide(r, s.about(wide)))
		named = named || direct == Allowed
	}
	return decision, named
}

// Grants is what a resource's own policy says of a caller who is known by these
// ARNs: of the caller itself, and of the account as a whole, which leaves it to
// the caller's policies.
func (d Document) Grants(r Request, account string, arns ...string) (own, wide Decision) {
	all := []string{account, "arn:aws:iam::" + account + ":root"}
	for _, s := range d.Statements {
		if len(s.Resource)+len(s.NotResource) == 0 {
			s.Resource = words{"*"} // it is about what it belongs to
		}
		if s.NotPrincipal != nil { // only who is not named by any name is meant
			s.Principal = s.NotPrincipal
			named := s.about(slices.Concat(arns, all))
			decision := s.decide(r, truthOf(named == no))
			own, wide = max(own, decision), max(wide, decision)
			continue
		}
		own, wide = max(own, s.decide(r, s.about(arns))), max(wide, s.decide(r, s.about(all)))
	}
	return own, wide
}

// about says whether the statement's principals are among some names.
func (s Statement) about(names []string) truth {
	if s.Principal == nil {
		return unknown // NotPrincipal
	}
	return truthOf(s.Principal.Everyone || slices.ContainsFunc(s.Principal.Named["AWS"], func(p string) bool {
		return p == "*" || slices.Contains(names, p)
	}))
}

func (s Statement) decide(r Request, principal truth) Decision {
	applies := principal.and(s.acts(r)).and(s.covers(r)).and(r.condition(s.Condition))
	switch {
	case s.Effect == "Deny" && applies != no:
		return Denied
	case s.Effect == "Allow" && applies == yes:
		return Allowed
	}
	return Silent
}

func (s Statement) acts(r Request) truth {
	action := strings.ToLower(r.Action)
	matches := func(pattern string) bool { return like(strings.ToLower(pattern), action) }
	if len(s.NotAction) > 0 {
		return truthOf(!slices.ContainsFunc(s.NotAction, matches))
	}
	return truthOf(slices.ContainsFunc(s.Action, matches))
}

func (s Statement) covers(r Request) truth {
	patterns, negated := s.Resource, len(s.NotResource) > 0
	if negated {
		patterns = s.NotResource
	}
	matched := no
	for _, pattern := range patterns {
		text, ok := r.substitute(pattern)
		switch {
		case !ok && matched == no:
			matched = unknown
		case ok && like(text, r.Resource):
			matched = yes
		}
	}
	if negated && matched != unknown {
		return truthOf(matched == no)
	}
	return matched
}
