// Package policy is the language of IAM's policies: parsing a document, checking
// it, and deciding whether it allows a request. It is pure, and must not know
// who has which policy.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Document is a policy.
type Document struct {
	Version    string
	ID         string `json:"Id"`
	Statements statements
}

// Statement is one rule of a policy.
type Statement struct {
	Sid          string
	Effect       string
	Principal    *Principals
	NotPrincipal *Principals
	Action       words
	NotAction    words
	Resource     words
	NotResource  words
	Condition    map[string]map[string]words // operator → key → values
}

// Principals says whom a statement is about: everyone, or those named, by kind
// (AWS, Service, Federated).
type Principals struct {
	Everyone bool
	Named    map[string]words
}

// words is a text or a list of texts; numbers and booleans are texts too.
type words []string

// statements is a statement or a list of them.
type statements []Statement

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	*w = words{}
	for _, item := range list {
		switch item.(type) {
		case string, bool, json.Number:
			*w = append(*w, fmt.Sprint(item))
		default:
			return errors.New("a text or a list of texts is needed")
		}
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *statements) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		for _, item := range list {
			if err := s.add(item); err != nil {
				return err
			}
		}
		return nil
	}
	return s.add(data)
}

func (s *statements) add(data []byte) error {
	var one Statement
	if err := strict(data, &one); err != nil {
		return err
	}
	*s = append(*s, one)
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Principals) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		if p.Everyone = text == "*"; !p.Everyone {
			return errors.New(`a principal is "*" or names its kind`)
		}
		return nil
	}
	return json.Unmarshal(data, &p.Named)
}

// strict decodes JSON that must not have other members, nor anything after it.
func strict(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the policy")
	}
	return nil
}

// Parse reads a policy and checks what holds for policies of every kind.
func Parse(text string) (Document, error) {
	var raw struct {
		Version   string
		ID        string `json:"Id"`
		Statement statements
	}
	if err := strict([]byte(text), &raw); err != nil {
		return Document{}, fmt.Errorf("syntax errors in policy: %w", err)
	}
	d := Document{Version: raw.Version, ID: raw.ID, Statements: raw.Statement}
	if !slices.Contains([]string{"", "2008-10-17", "2012-10-17"}, d.Version) {
		return d, fmt.Errorf("the policy's version must be 2012-10-17 or 2008-10-17")
	}
	if len(d.Statements) == 0 {
		return d, errors.New("the policy needs a statement")
	}
	for i, s := range d.Statements {
		if err := s.check(); err != nil {
			return d, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return d, nil
}

func (s Statement) check() error {
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return errors.New("the effect must be Allow or Deny")
	}
	if (len(s.Action) == 0) == (len(s.NotAction) == 0) {
		return errors.New("it needs either Action or NotAction")
	}
	if len(s.Resource) > 0 && len(s.NotResource) > 0 {
		return errors.New("it must not have both Resource and NotResource")
	}
	if s.Principal != nil && s.NotPrincipal != nil {
		return errors.New("it must not have both Principal and NotPrincipal")
	}
	for _, action := range slices.Concat(s.Action, s.NotAction) {
		if service, name, ok := strings.Cut(action, ":"); action != "*" && (!ok || service == "" || name == "") {
			return fmt.Errorf("actions must be prefixed with a vendor, as rds:CreateDBCluster; %.60q is not", action)
		}
	}
	for operator := range s.Condition {
		if !known(operator) {
			return fmt.Errorf("there is no condition operator %.60q", operator)
		}
	}
	return nil
}

// CheckIdentity says what keeps the policy from being one of a user or role.
func (d Document) CheckIdentity() error {
	for i, s := range d.Statements {
		if s.Principal != nil || s.NotPrincipal != nil {
			return fmt.Errorf("statement %d: policy document should not specify a principal", i+1)
		}
		if len(s.Resource)+len(s.NotResource) == 0 {
			return fmt.Errorf("statement %d: policy statement must contain resources", i+1)
		}
		for _, r := range slices.Concat(s.Resource, s.NotResource) {
			if r != "*" && !strings.HasPrefix(r, "arn:") && !strings.HasPrefix(r, "*") {
				return fmt.Errorf("statement %d: resource %.100q must be in ARN format or \"*\"", i+1, r)
			}
		}
	}
	return nil
}

// CheckTrust says what keeps the policy from being the trust policy of a role.
func (d Document) CheckTrust() error {
	for i, s := range d.Statements {
		switch {
		case s.Principal == nil && s.NotPrincipal == nil:
			return fmt.Errorf("statement %d: a trust policy must name a principal", i+1)
		case len(s.Resource)+len(s.NotResource) > 0:
			return fmt.Errorf("statement %d: has prohibited field Resource", i+1)
		}
		for _, action := range s.Action {
			if !strings.HasPrefix(strings.ToLower(action), "sts:") && action != "*" {
				return fmt.Errorf("statement %d: AssumeRole policy may only specify STS AssumeRole actions", i+1)
			}
		}
	}
	return nil
}

// CheckResource says what keeps the policy from being one of a key or a secret.
func (d Document) CheckResource() error {
	for i, s := range d.Statements {
		if s.Principal == nil && s.NotPrincipal == nil {
			return fmt.Errorf("statement %d: a resource policy must name a principal", i+1)
		}
	}
	return nil
}
