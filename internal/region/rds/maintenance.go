package rds

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// inWindow says whether a time is in a weekly window, which is valid.
func inWindow(window string, now time.Time) bool {
	now = now.UTC()
	start, end := weekly(weeklyPattern.FindStringSubmatch(window))
	day := (int(now.Weekday()) + 6) % 7 // from Monday
	at := day*dayMinutes + now.Hour()*60 + now.Minute()
	return length(start, at, weekMinutes) < length(start, end, weekMinutes)
}

// maintenanceCheck is how often windows are looked at.
const maintenanceCheck = 20 * time.Second

// maintain makes the changes that wait when their window has come, and starts what
// has been stopped for too long, until ctx ends.
func (s *service) maintain(ctx context.Context) {
	ticker := time.NewTicker(maintenanceCheck)
	defer ticker.Stop()
	for ctx.Err() == nil {
		rotations := s.rotations.Changed()
		clusters, instances := s.clusters.Changed(), s.instances.Changed()
		if err := s.maintainAll(ctx, time.Now()); err != nil && ctx.Err() == nil {
			slog.Warn("rds: changes of a maintenance window not made, trying again", "error", err)
		}
		select {
		case <-clusters:
		case <-instances:
		case <-rotations:
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (s *service) maintainAll(ctx context.Context, now time.Time) error {
	failed := []error{s.rotateMasterSecrets(ctx, now)}
	for _, item := range s.clusters.All() {
		if stoppedTooLong(&item.Value, now) {
			failed = append(failed, s.startAfterLong(ctx, item.Key, now))
		}
		if v := &item.Value; refuseStopped(v) != nil || v.Spec.Pending == nil || v.DeleteRequested || !inWindow(v.Spec.PreferredMaintenanceWindow, now) {
			continue
		}
		_, err := s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
			if v.Spec.Pending == nil || v.DeleteRequested {
				return state.ErrUnchanged
			}
			applyClusterChanges(&v.Spec)
			v.Generation++
			return nil
		})
		failed = append(failed, err)
	}
	for _, item := range s.instances.All() {
		v := &item.Value
		if !waits(&v.Spec) && !v.Spec.PendingUpdate || v.DeleteRequested || !inWindow(v.Spec.PreferredMaintenanceWindow, now) || s.refuseStoppedMember(v) != nil {
			continue
		}
		failed = append(failed, s.maintainInstance(ctx, item.Key, v.Spec.PendingUpdate))
	}
	return errors.Join(failed...)
}

// maintainInstance makes the changes of an instance that wait. One that is not
// available now is maintained when it is.
func (s *service) maintainInstance(ctx context.Context, key string, update bool) error {
	_, err := s.updateInstance(ctx, key, func(v *aurora.DBInstance) error {
		if !waits(&v.Spec) || v.DeleteRequested {
			return state.ErrUnchanged
		}
		applyInstanceChanges(&v.Spec)
		v.Generation++
		return nil
	})
	if item, ok := s.instances.Get(key); !update || err != nil || !ok || instanceStatus(&item.Value) != aurora.InstanceStatusAvailable {
		return err
	}
	_, err = s.reboot(ctx, key, func(v *aurora.DBInstance) bool { return v.Spec.PendingUpdate })
	return err
}
