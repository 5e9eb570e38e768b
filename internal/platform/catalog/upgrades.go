package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Statuses of an upgrade path, and of an instance in it.
const (
	UpgradePending    = "PENDING"
	UpgradeScheduled  = "SCHEDULED"
	UpgradeInProgress = "IN_PROGRESS"
	UpgradePaused     = "PAUSED"
	UpgradeComplete   = "COMPLETE"
	UpgradeFailed     = "FAILED"
	UpgradeCancelled  = "CANCELLED"
	UpgradeSkipped    = "SKIPPED"
)

// UpgradePath brings instances of a plan from one version to another.
type UpgradePath struct {
	ID            string            `json:"id"`
	ServiceID     string            `json:"serviceId"`
	EnvironmentID string            `json:"environmentId"`
	PlanID        string            `json:"planId"`
	Source        string            `json:"source"` // versions
	Target        string            `json:"target"`
	Status        string            `json:"status"`
	Instances     []InstanceUpgrade `json:"instances"`
	Max           int               `json:"max"` // at once
	Scheduled     time.Time         `json:"scheduled,omitzero"`
	Notify        bool              `json:"notify,omitempty"`
	CreateTime    time.Time         `json:"createTime"`
	ChangeTime    time.Time         `json:"changeTime"`
	EndTime       time.Time         `json:"endTime,omitzero"`
	By            string            `json:"by"`
	LastAction    string            `json:"lastAction,omitempty"`
}

// InstanceUpgrade is what becomes of one instance.
type InstanceUpgrade struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"`
	Message string    `json:"message,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// Count is how many instances have a status.
func (u UpgradePath) Count(status string) int64 {
	n := int64(0)
	for _, i := range u.Instances {
		if i.Status == status {
			n++
		}
	}
	return n
}

func final(status string) bool {
	return status == UpgradeComplete || status == UpgradeFailed || status == UpgradeCancelled || status == UpgradeSkipped
}

// Upgrades carries upgrade paths out.
type Upgrades struct {
	catalog *Catalog
	engine  *workflow.Engine
	logger  *slog.Logger
	table   state.Table[UpgradePath]
}

// NewUpgrades returns those of a catalog. Run carries them out.
func NewUpgrades(c *Catalog, e *workflow.Engine, logger *slog.Logger) *Upgrades {
	return &Upgrades{c, e, logger, state.NewTable[UpgradePath](c.Store, "platform/upgrade-paths")}
}

// Create begins a path. Only instances that have the source version are taken.
func (u *Upgrades) Create(ctx context.Context, path UpgradePath) (UpgradePath, error) {
	if path.Source == path.Target {
		return path, invalid("the instances have version %s already", path.Target)
	}
	if len(path.Instances) == 0 {
		return path, invalid("no instance is to be upgraded")
	}
	if path.Max < 0 || path.Max > 25 {
		return path, invalid("maxConcurrentUpgrades: want 1 to 25")
	}
	if path.Max == 0 {
		path.Max = 5
	}
	for i, instance := range path.Instances {
		d, err := u.engine.ByID(ctx, instance.ID)
		if err != nil {
			return path, err
		}
		if d.Product.PlanID != path.PlanID || d.Product.Version != path.Source {
			return path, invalid("%s does not have version %s of this plan", instance.ID, path.Source)
		}
		path.Instances[i].Status = UpgradePending
	}
	path.ID, path.CreateTime = newID("upgrade-"), time.Now().UTC()
	path.ChangeTime, path.Status = path.CreateTime, UpgradePending
	if path.Scheduled.After(path.CreateTime) {
		path.Status = UpgradeScheduled
	}
	_, err := u.table.Create(ctx, path.ID, path)
	return path, err
}

// All are every path, newest first.
func (u *Upgrades) All(ctx context.Context) ([]UpgradePath, error) {
	all, err := list(ctx, u.table, "")
	slices.SortFunc(all, func(a, b UpgradePath) int { return b.CreateTime.Compare(a.CreateTime) })
	return all, err
}

// Path returns one of a plan.
func (u *Upgrades) Path(ctx context.Context, plan, id string) (UpgradePath, error) {
	path, err := get(ctx, u.table, "upgrade path", id)
	if err == nil && path.PlanID != plan {
		return UpgradePath{}, notFound("upgrade path", id)
	}
	return path, err
}

// Change writes what change does to a path that is not over.
func (u *Upgrades) Change(ctx context.Context, id string, change func(*UpgradePath) error) (UpgradePath, error) {
	item, err := u.table.Update(ctx, id, func(p *UpgradePath) error {
		if final(p.Status) {
			return conflict("the upgrade path is %s", p.Status)
		}
		p.ChangeTime = time.Now().UTC()
		return change(p)
	})
	if errors.Is(err, state.ErrNotFound) {
		err = notFound("upgrade path", id)
	}
	return item.Value, err
}

// Manage pauses, resumes or cancels a path, or skips instances of it.
func (u *Upgrades) Manage(ctx context.Context, id, action string, instances []string) (UpgradePath, error) {
	return u.Change(ctx, id, func(p *UpgradePath) error {
		p.LastAction = action
		switch action {
		case "PAUSE":
			p.Status = UpgradePaused
		case "RESUME":
			p.Status = UpgradeInProgress
		case "CANCEL":
			p.Status = UpgradeCancelled
			for i := range p.Instances {
				if p.Instances[i].Status == UpgradePending {
					p.Instances[i].Status = UpgradeCancelled
				}
			}
		case "SKIP-INSTANCES", "SKIP":
			return p.skip(instances)
		case "NOTIFY-CUSTOMER":
			return invalid("customers cannot be notified yet")
		default:
			return invalid("action %q: want pause, resume, cancel or skip-instances", action)
		}
		return nil
	})
}

func (u *UpgradePath) skip(instances []string) error {
	for _, id := range instances {
		i := slices.IndexFunc(u.Instances, func(i InstanceUpgrade) bool { return i.ID == id })
		if i < 0 {
			return notFound("instance in this upgrade path", id)
		}
		if u.Instances[i].Status != UpgradePending {
			return conflict("the upgrade of %s is %s", id, u.Instances[i].Status)
		}
		u.Instances[i].Status = UpgradeSkipped
	}
	if len(instances) == 0 {
		return invalid("no instance is named that is to be skipped")
	}
	return nil
}

// Run carries the paths out until ctx ends.
func (u *Upgrades) Run(ctx context.Context) error {
	mirror, err := state.NewMirror(ctx, u.table)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("upgrade paths: %w", err)
	}
	for {
		changed := mirror.Changed()
		var again <-chan time.Time
		for _, item := range mirror.All() {
			if final(item.Value.Status) && item.Value.Count(UpgradeInProgress) == 0 {
				continue
			}
			again = time.After(time.Second)
			if err := u.advance(ctx, item.Key); err != nil && ctx.Err() == nil {
				u.logger.Error("upgrade path", "id", item.Key, "error", err)
			}
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

// advance notes what became of instances and begins with those that have their turn.
func (u *Upgrades) advance(ctx context.Context, id string) error {
	path, err := get(ctx, u.table, "upgrade path", id)
	if err != nil {
		return err
	}
	before := slices.Clone(path.Instances)
	status := path.Status
	if (status == UpgradePending || status == UpgradeScheduled) && !time.Now().Before(path.Scheduled) {
		status = UpgradeInProgress
	}
	for i := range path.Instances {
		if path.Instances[i].Status == UpgradeInProgress {
			if err := u.look(ctx, path, &path.Instances[i]); err != nil {
				return err
			}
		}
	}
	for i := range path.Instances {
		if status == UpgradeInProgress && path.Instances[i].Status == UpgradePending && path.Count(UpgradeInProgress) < int64(path.Max) {
			if err := u.begin(ctx, path, &path.Instances[i]); err != nil {
				return err
			}
		}
	}
	if status == UpgradeInProgress && !slices.ContainsFunc(path.Instances, func(i InstanceUpgrade) bool { return !final(i.Status) }) {
		status = UpgradeComplete
		if path.Count(UpgradeFailed) > 0 {
			status = UpgradeFailed
		}
	}
	if status == path.Status && slices.Equal(before, path.Instances) {
		return nil
	}
	_, err = u.table.Update(ctx, id, func(p *UpgradePath) error {
		if p.Status == path.Status { // else somebody paused or cancelled it meanwhile
			p.Status = status
		}
		for i := range p.Instances {
			if p.Instances[i].Status != UpgradeSkipped {
				p.Instances[i] = path.Instances[i]
			}
		}
		p.ChangeTime = time.Now().UTC()
		if final(p.Status) {
			p.EndTime = p.ChangeTime
		}
		return nil
	})
	return err
}

// look notes how an instance's upgrade ended.
func (u *Upgrades) look(ctx context.Context, path UpgradePath, i *InstanceUpgrade) error {
	d, err := u.engine.ByID(ctx, i.ID)
	var refused *rest.Error
	if errors.As(err, &refused) && refused.HTTPStatus == http.StatusNotFound {
		i.Status, i.Message, i.Ended = UpgradeFailed, "the instance was deleted", time.Now().UTC()
		return nil
	}
	if err != nil || !d.Run.Done {
		return err
	}
	i.Ended = d.Run.Ended
	i.Status = UpgradeComplete
	if d.Product.Version != path.Target {
		i.Status, i.Message = UpgradeFailed, d.Run.Message
	}
	return nil
}

// begin starts an instance's upgrade. One that is busy waits for its turn; one that
// was begun before a crash is recognised.
func (u *Upgrades) begin(ctx context.Context, path UpgradePath, i *InstanceUpgrade) error {
	p, err := u.catalog.Plan(ctx, path.ServiceID, path.PlanID)
	if err != nil {
		return err
	}
	v, err := u.catalog.Version(ctx, p, path.Target)
	if err != nil {
		return err
	}
	d, err := u.engine.ByID(ctx, i.ID)
	if err == nil && d.Product.Version == path.Target {
		i.Status, i.Started = UpgradeInProgress, d.Run.Requested
		return nil
	}
	if err == nil {
		err = u.engine.Upgrade(ctx, i.ID, v.Content, nil, path.By)
	}
	var refused *rest.Error
	switch {
	case err == nil:
		i.Status, i.Started = UpgradeInProgress, time.Now().UTC()
	case errors.As(err, &refused) && refused.HTTPStatus == http.StatusConflict:
		return nil
	case errors.As(err, &refused):
		i.Status, i.Message, i.Ended = UpgradeFailed, refused.Error(), time.Now().UTC()
	default:
		return err
	}
	return nil
}
