package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
)

// Authorize says why a call is not allowed; nothing if it is. Root may do
// everything, whatever the policies of resources say; who a caller is may be asked
// by everyone; AssumeRole is decided with the role's trust policy.
func (d *Directory) Authorize(_ context.Context, c awswire.Call) (denied string, err error) {
	who, ok := c.Principal.(principal)
	if ok && who.root || c.Service == "sts" && slices.Contains([]string{"GetCallerIdentity", "GetSessionToken", "AssumeRole"}, c.Operation) {
		return "", nil
	}
	action := c.Service + ":" + c.Operation
	for _, resource := range c.Resources() {
		own, err := c.Policy(resource)
		if err != nil {
			return "", fmt.Errorf("policy of %s: %w", resource, err)
		}
		r := policy.Request{Action: action, Resource: resource, Keys: keysOf(who, c.Identity)}
		if denied := d.decide(who, c.Identity, r, own); denied != "" {
			return denied, nil
		}
	}
	return "", nil
}

// ask is what the policies of a principal say, and those that its session was
// restricted with.
func (d *Directory) ask(who principal, r policy.Request) policy.Decision {
	decision := policy.Decide(d.policiesOf(who), r)
	if len(who.policies) > 0 && decision == policy.Allowed {
		return policy.Decide(parseAll(who.policies), r)
	}
	return decision
}

// decide says why a principal may not do something, by its own policies and by that
// of the resource.
func (d *Directory) decide(who principal, id awswire.Identity, r policy.Request, of awswire.ResourcePolicy) string {
	refusal := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s ", id.ARN, r.Action, r.Resource)
	identity := d.ask(who, r)
	if identity == policy.Denied {
		return refusal + "with an explicit deny in an identity-based policy"
	}
	if of.Document == "" {
		if identity == policy.Allowed {
			return ""
		}
		return refusal + "because no identity-based policy allows the " + r.Action + " action"
	}
	own, wide := parseAll([]string{of.Document})[0].Grants(r, id.Account, d.namesOf(who, id)...)
	switch {
	case own == policy.Denied || wide == policy.Denied:
		return refusal + "with an explicit deny in a resource-based policy"
	case own == policy.Allowed && d.sessionAllows(who, r), identity == policy.Allowed && (!of.Sole || wide == policy.Allowed):
		return ""
	case identity == policy.Allowed:
		return refusal + "because no resource-based policy allows the " + r.Action + " action"
	}
	return refusal + "because no identity-based policy allows the " + r.Action + " action"
}

// sessionAllows says whether what a session was restricted with, if anything,
// allows what a resource's policy does.
func (d *Directory) sessionAllows(who principal, r policy.Request) bool {
	return len(who.policies) == 0 || policy.Decide(parseAll(who.policies), r) == policy.Allowed
}

// keysOf are the condition keys that are known of every call.
func keysOf(who principal, id awswire.Identity) map[string]*string {
	text := func(s string) *string { return &s }
	keys := map[string]*string{
		"aws:principalarn": &id.ARN, "aws:principalaccount": &id.Account, "aws:userid": &id.UserID,
		"aws:principaltype": text("User"), "aws:username": nil, "aws:requestedregion": &id.Region,
		"aws:sourceip": &id.SourceIP, "aws:securetransport": text("false"), "aws:currenttime": text(time.Now().UTC().Format(time.RFC3339)),
		"kms:calleraccount": &id.Account, "aws:multifactorauthpresent": nil, "aws:multifactorauthage": nil, "aws:sourcevpc": nil, "aws:sourcevpce": nil,
	}
	if who.role != "" {
		keys["aws:principaltype"] = text("AssumedRole")
	} else {
		keys["aws:username"] = text(id.ARN[strings.LastIndex(id.ARN, "/")+1:])
	}
	return keys
}

// policiesOf are the documents of a user or role.
func (d *Directory) policiesOf(who principal) []policy.Document {
	e, ok := d.entity(who)
	if !ok {
		return nil
	}
	var texts []string
	for _, text := range e.Inline {
		texts = append(texts, text)
	}
	for _, arn := range e.Attached {
		if p, ok := awsManaged(arn); ok {
			texts = append(texts, p.document())
			continue
		}
		if p, ok := d.policyMirror.Get(recordKey(e.Account, arn[strings.LastIndex(arn, "/")+1:])); ok {
			texts = append(texts, p.Value.document())
		}
	}
	return parseAll(texts)
}

// parseAll parses documents that were checked when they were stored.
func parseAll(texts []string) []policy.Document {
	var documents []policy.Document
	for _, text := range texts {
		d, err := policy.Parse(text)
		if err != nil {
			d = denyAll
		}
		documents = append(documents, d)
	}
	return documents
}

// denyAll stands for a stored document that cannot be read: what it denied is
// not known.
var denyAll, _ = policy.Parse(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`)
