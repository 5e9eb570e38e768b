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
// everything; who a caller is may be asked by everyone; AssumeRole is decided
// with the role's trust policy.
func (d *Directory) Authorize(_ context.Context, c awswire.Call) string {
	who, ok := c.Principal.(principal)
	if ok && who.root || c.Service == "sts" && slices.Contains([]string{"GetCallerIdentity", "GetSessionToken", "AssumeRole"}, c.Operation) {
		return ""
	}
	action := c.Service + ":" + c.Operation
	for _, resource := range c.Resources() {
		if denied := d.decide(who, c.Identity, action, resource); denied != "" {
			return denied
		}
	}
	return ""
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

// decide says why a principal may not do something.
func (d *Directory) decide(who principal, id awswire.Identity, action, resource string) string {
	switch d.ask(who, policy.Request{Action: action, Resource: resource, Keys: keysOf(who, id)}) {
	case policy.Allowed:
		return ""
	case policy.Denied:
		return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s with an explicit deny in an identity-based policy", id.ARN, action, resource)
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action", id.ARN, action, resource, action)
}

// keysOf are the condition keys that are known of every call.
func keysOf(who principal, id awswire.Identity) map[string]*string {
	text := func(s string) *string { return &s }
	keys := map[string]*string{
		"aws:principalarn": &id.ARN, "aws:principalaccount": &id.Account, "aws:userid": &id.UserID,
		"aws:principaltype": text("User"), "aws:username": nil, "aws:requestedregion": &id.Region,
		"aws:sourceip": &id.SourceIP, "aws:securetransport": text("false"), "aws:currenttime": text(time.Now().UTC().Format(time.RFC3339)),
		"aws:multifactorauthpresent": nil, "aws:multifactorauthage": nil, "aws:sourcevpc": nil, "aws:sourcevpce": nil,
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
var denyAll, _ = policy.Parse(`{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
