package plugin

import (
	"context"
	"time"
)

// A Provider is what a server serves.
type Provider struct {
	Schemas     *Schemas
	Resources   map[string]Resource
	DataSources map[string]DataSource
	// Configure takes the provider block before any resource is used.
	Configure func(ctx context.Context, config Object) error
	// Legacy gives the semantics of hashicorp/aws, where null, empty and zero are one, and asks Terraform
	// to tolerate it.
	Legacy bool
}

// A Rule says what an attribute's schema cannot.
type Rule struct {
	// Default is the value of an attribute that the configuration leaves out.
	Default any
	// Replace forces a replacement when the attribute changes.
	Replace bool
	// State gives the form in which a configured value is stored.
	State func(string) string
	// Keep says that a configured value does not change what is there. In the legacy semantics that stays then;
	// else the value is taken, but forces no replacement.
	Keep func(prior, config any) bool
	// Check says what is wrong with a configured string or number, nothing when it is right.
	Check func(any) string
	// Conflicts names attributes that cannot be configured together with this one.
	Conflicts []string
}

// Rules are the rules of a resource, by the path of the attribute: names joined by dots, no indexes.
type Rules map[string]Rule

// A Plan is a planned change, for what no rule can say.
type Plan struct {
	Config, Planned Object
	// Prior is nil when the resource is to be created.
	Prior Object
}

// A Change is a creation or update under way.
type Change struct {
	Config Object
	// Prior is nil for a creation.
	Prior Object
	// State holds what was planned; the resource's functions set what they learn. With an id it is stored
	// even when the change fails.
	State   Object
	Timeout time.Duration
}

// Changed says whether the change alters any of the named attributes.
func (c *Change) Changed(names ...string) bool {
	for _, n := range names {
		if !sameValue(c.Prior[n], c.State[n]) {
			return true
		}
	}
	return false
}

// A Resource is one resource type.
type Resource struct {
	Rules Rules
	// Timeouts are the defaults of the timeouts block: create, update, delete.
	Timeouts map[string]time.Duration
	// Validate finds what is wrong with a configuration beyond single attributes.
	Validate  func(config Object) error
	Customize func(*Plan)
	// Create sets the id as soon as there is something to delete. Read is called after it and after Update.
	Create func(context.Context, *Change) error
	// Read refreshes a state; false means that the resource is gone.
	Read   func(context.Context, Object) (bool, error)
	Update func(context.Context, *Change) error
	Delete func(ctx context.Context, state Object, timeout time.Duration) error
	// Import gives the state from which Read finds the rest.
	Import func(id string) (Object, error)
	// Upgrade completes a state of an older schema version.
	Upgrade func(version int64, state Object)
}

// A DataSource reads its attributes into the configuration that it is given.
type DataSource func(ctx context.Context, config Object) error
