package catalog

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Statuses of a subscription. One that waits for approval is a request.
const (
	Active     = "ACTIVE"
	Suspended  = "SUSPENDED"
	Terminated = "TERMINATED"
	Pending    = "PENDING"
	Denied     = "DENIED"
)

// Subscription is an organisation's right to instances of a plan.
type Subscription struct {
	ID            string    `json:"id"`
	ServiceID     string    `json:"serviceId"`
	EnvironmentID string    `json:"environmentId"`
	PlanID        string    `json:"planId"`
	OrgID         string    `json:"orgId"`
	UserID        string    `json:"userId"` // who has it
	UserEmail     string    `json:"userEmail"`
	UserName      string    `json:"userName"`
	Status        string    `json:"status"`
	MaxInstances  int64     `json:"maxInstances,omitempty"` // 0: no bound
	CreateTime    time.Time `json:"createTime"`
	ChangeTime    time.Time `json:"changeTime"`
	ChangedBy     string    `json:"changedBy"`
	ChangedByName string    `json:"changedByName"`
}

// Subscriptions are all, oldest first.
func (c *Catalog) Subscriptions(ctx context.Context) ([]Subscription, error) {
	all, err := list(ctx, c.subscriptions, "")
	slices.SortFunc(all, func(a, b Subscription) int { return a.CreateTime.Compare(b.CreateTime) })
	return all, err
}

// Subscription returns one.
func (c *Catalog) Subscription(ctx context.Context, id string) (Subscription, error) {
	return get(ctx, c.subscriptions, "subscription", id)
}

func (c *Catalog) releases(s Subscription) []state.Op {
	if s.Status == Terminated || s.Status == Denied {
		return nil
	}
	return []state.Op{claim("subscription", s.PlanID, s.OrgID).Release(s.ID)}
}

// Subscribe returns the organisation's subscription to a plan, and makes it if
// there is none: active, or to be approved.
func (c *Catalog) Subscribe(ctx context.Context, s Subscription) (Subscription, error) {
	s.ID, s.CreateTime = newID("sub-"), time.Now().UTC()
	s.ChangeTime = s.CreateTime
	return ensure(ctx, c, c.subscriptions, s.ID, s, claim("subscription", s.PlanID, s.OrgID), "subscription")
}

// SetStatus changes a subscription. One that is terminated stays so, and makes
// room for another.
func (c *Catalog) SetStatus(ctx context.Context, id, status, by, byName string) error {
	for {
		item, err := c.subscriptions.Get(ctx, id)
		if errors.Is(err, state.ErrNotFound) {
			return notFound("subscription", id)
		}
		if err != nil {
			return err
		}
		s := item.Value
		if s.Status == status {
			return nil
		}
		if s.Status == Terminated || s.Status == Denied {
			return conflict("the subscription is %s", s.Status)
		}
		var ops []state.Op
		if status == Terminated || status == Denied {
			if err := c.deployed(ctx, "subscription "+id, func(p workflow.Product) bool { return p.SubscriptionID == id }); err != nil {
				return err
			}
			ops = c.releases(s)
		}
		s.Status, s.ChangeTime, s.ChangedBy, s.ChangedByName = status, time.Now().UTC(), by, byName
		_, err = c.Store.Commit(ctx, append(ops, c.subscriptions.PutOp(id, s, item.Revision))...)
		if !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
}

// Order calls make if the subscription allows one more instance. Orders are taken
// one after the other, so that two cannot take the same last place.
func (c *Catalog) Order(ctx context.Context, s Subscription, make func() error) error {
	if s.Status != Active {
		return refuse(http.StatusForbidden, rest.CodeUnauthorized, "the subscription is %s", s.Status)
	}
	c.ordering.Lock()
	defer c.ordering.Unlock()
	if s.MaxInstances > 0 {
		n, err := c.Instances(ctx, s.ID)
		if err != nil {
			return err
		}
		if n >= s.MaxInstances {
			return conflict("the subscription's quota of %d instances is used up", s.MaxInstances)
		}
	}
	return make()
}

// Instances is how many deployments a subscription has.
func (c *Catalog) Instances(ctx context.Context, id string) (int64, error) {
	all, err := c.Deployments(ctx)
	n := int64(0)
	for _, d := range all {
		if d.Product.SubscriptionID == id {
			n++
		}
	}
	return n, err
}
