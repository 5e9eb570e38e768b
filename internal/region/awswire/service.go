package awswire

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"sort"
	"strings"
)

// Service is one AWS service of the region: its wire model and the actions that
// are there.
type Service struct {
	name      string // as in the credential scope and in ARNs
	version   string // API version
	namespace string // of XML answers
	codec     codec
	model     *model
	actions   map[string]*action
	maxBody   int64
	anonymous map[string]bool
	refused   map[string]string // operation → why
	resources func(ctx context.Context, in any) []string
	policies  func(ctx context.Context, arn string) (ResourcePolicy, error)
}

// ResourcePolicy is the policy that a resource has of its own.
type ResourcePolicy struct {
	Document string // empty if it has none
	// Sole says that users' own policies count only where this one lets those of
	// the account count, as with keys of KMS.
	Sole bool
}

type action struct {
	operation string
	newInput  func() any
	call      func(ctx context.Context, in any) (any, error)
	input     *shape
	output    *shape
	lacking   []string // members of the input that are refused if they ask for something
}

// Register adds an action to the service. The operation's name is that of I
// without "Input", so that f can only be what the SDK calls it. A nil output
// without an error is an empty one.
func Register[I, O any](s *Service, f func(context.Context, *I) (*O, error)) {
	s.register(reflect.TypeFor[I](), reflect.TypeFor[O](), func(ctx context.Context, in any) (any, error) {
		out, err := f(ctx, in.(*I))
		if out == nil {
			out = new(O)
		}
		return out, err
	})
}

func (s *Service) register(in, out reflect.Type, call func(context.Context, any) (any, error)) {
	operation := strings.TrimSuffix(in.Name(), "Input")
	if _, known := s.model.operations[operation]; !known {
		panic(fmt.Sprintf("awswire: %s has no operation %s", s.name, operation))
	}
	s.actions[operation] = &action{
		operation: operation,
		newInput:  func() any { return reflect.New(in).Interface() },
		call:      call,
		input:     s.model.shapeOf(in),
		output:    s.model.shapeOf(out),
	}
}

// Refuse has the service say why it does not do some of its operations, rather than
// that it does not know them.
func (s *Service) Refuse(why string, operations ...string) {
	if s.refused == nil {
		s.refused = map[string]string{}
	}
	for _, name := range operations {
		if _, known := s.model.operations[name]; !known || s.actions[name] != nil {
			panic(fmt.Sprintf("awswire: %s has no operation %s that could be refused", s.name, name))
		}
		s.refused[name] = why
	}
}

// Lack names members of an operation's input that the region has nothing for. Where
// one asks for something the call is refused, so that none is silently left out.
func (s *Service) Lack(operation string, members ...string) {
	a := s.actions[operation]
	if a == nil {
		panic(fmt.Sprintf("awswire: %s has no action %s", s.name, operation))
	}
	for _, name := range members {
		if _, ok := reflect.TypeOf(a.newInput()).Elem().FieldByName(name); !ok {
			panic(fmt.Sprintf("awswire: %s of %s has no %s", operation, s.name, name))
		}
	}
	a.lacking = append(a.lacking, members...)
}

// Lacking are the members of an action that Lack named.
func (s *Service) Lacking(operation string) []string { return s.actions[operation].lacking }

// refuseLacking refuses an input that asks for what the region lacks.
func (a *action) refuseLacking(c codec, in any) error {
	for _, name := range a.lacking {
		if asks(reflect.ValueOf(in).Elem().FieldByName(name)) {
			return c.lacking(name)
		}
	}
	return nil
}

// asks says that a member asks for something: what is off, zero or empty does not.
func asks(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && (v.Elem().Kind() == reflect.Struct || asks(v.Elem()))
	case reflect.Slice, reflect.Map:
		return v.Len() > 0
	}
	return !v.IsZero()
}

// Refused says why operations are refused, by their names.
func (s *Service) Refused() map[string]string { return maps.Clone(s.refused) }

// NameResources says which ARNs a call is about, for policies: a call that f has
// none for is about "*". The input is that of any registered action.
func (s *Service) NameResources(f func(ctx context.Context, in any) []string) { s.resources = f }

// NamePolicies says which policy a resource of the service has. An ARN of nothing,
// or of what has none, has the zero one.
func (s *Service) NamePolicies(f func(ctx context.Context, arn string) (ResourcePolicy, error)) {
	s.policies = f
}

// AllowAnonymous lets requests without a signature call some operations, in links
// that are sent to people. Their Identity is empty.
func (s *Service) AllowAnonymous(operations ...string) {
	s.anonymous = map[string]bool{}
	for _, name := range operations {
		s.anonymous[name] = true
	}
}

// Name is the service's name in the credential scope.
func (s *Service) Name() string { return s.name }

// Operations are the names of the registered actions, in order.
func (s *Service) Operations() []string {
	names := make([]string, 0, len(s.actions))
	for name := range s.actions {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Replace returns a copy of the service whose actions all answer with call, for
// tests of the wire.
func (s *Service) Replace(call func(ctx context.Context, operation string, in any) (any, error)) *Service {
	replaced := *s
	replaced.actions = make(map[string]*action, len(s.actions))
	for name, a := range s.actions {
		copied := *a
		copied.lacking = nil // members travel whether or not they are honoured
		copied.call = func(ctx context.Context, in any) (any, error) { return call(ctx, name, in) }
		replaced.actions[name] = &copied
	}
	return &replaced
}
