package rds

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// systemUpdate is the only maintenance action: the restart of a server with a later
// PostgreSQL that its host has by now.
const systemUpdate = "system-update"

// Opt-in types of ApplyPendingMaintenanceAction.
const (
	optInNow  = "immediate"
	optInNext = "next-maintenance"
	optOut    = "undo-opt-in"
)

// update is the version that an instance's server would have after a restart, if
// that is another one.
func (s *service) update(in *aurora.DBInstance) (version string, ok bool) {
	host, known := s.hosts.Get(in.Status.Host)
	version = host.Value.PGVersion
	return version, known && version != "" && in.Server.Phase == aurora.PhaseRunning && in.Server.Version != "" && in.Server.Version != version
}

func (s *service) showMaintenance(c scope, in *aurora.DBInstance) (types.ResourcePendingMaintenanceActions, bool) {
	version, ok := s.update(in)
	if !ok {
		return types.ResourcePendingMaintenanceActions{}, false
	}
	action := types.PendingMaintenanceAction{
		Action:      aws.String(systemUpdate),
		Description: aws.String("The host has PostgreSQL " + version + "; the server runs " + in.Server.Version + "."),
	}
	if in.Spec.PendingUpdate {
		action.OptInStatus = aws.String(optInNext)
	}
	return types.ResourcePendingMaintenanceActions{
		ResourceIdentifier: aws.String(c.arn("db", in.Spec.Identifier)), PendingMaintenanceActionDetails: []types.PendingMaintenanceAction{action},
	}, true
}

// DescribePendingMaintenanceActions answers which servers a restart would update.
func (s *service) DescribePendingMaintenanceActions(ctx context.Context, in *rds.DescribePendingMaintenanceActionsInput) (*rds.DescribePendingMaintenanceActionsOutput, error) {
	c := scopeOf(ctx)
	var found []*aurora.DBInstance
	all := s.instances.All()
	for i := range all {
		v := &all[i].Value
		named := in.ResourceIdentifier == nil || *in.ResourceIdentifier == c.arn("db", v.Spec.Identifier) || *in.ResourceIdentifier == c.arn("cluster", v.Spec.ClusterIdentifier)
		if c.has(&v.Meta) && named {
			found = append(found, v)
		}
	}
	if in.ResourceIdentifier != nil && len(found) == 0 {
		if _, err := s.cluster(c, *in.ResourceIdentifier); err != nil {
			return nil, awswire.Errorf(404, "ResourceNotFoundFault", "The specified resource %s is not found.", *in.ResourceIdentifier)
		}
	}
	found, err := filtered(found, in.Filters, c.instanceFilters())
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(v *aurora.DBInstance) bool { _, ok := s.update(v); return !ok })
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v *aurora.DBInstance) string { return v.Spec.Identifier })
	out := &rds.DescribePendingMaintenanceActionsOutput{Marker: marker}
	for _, v := range page {
		if shown, ok := s.showMaintenance(c, v); ok {
			out.PendingMaintenanceActions = append(out.PendingMaintenanceActions, shown)
		}
	}
	return out, err
}

// ApplyPendingMaintenanceAction restarts a server that a restart updates: now, or in
// its maintenance window.
func (s *service) ApplyPendingMaintenanceAction(ctx context.Context, in *rds.ApplyPendingMaintenanceActionInput) (*rds.ApplyPendingMaintenanceActionOutput, error) {
	c := scopeOf(ctx)
	optIn := aws.ToString(in.OptInType)
	switch {
	case !slices.Contains([]string{optInNow, optInNext, optOut}, optIn):
		return nil, awswire.InvalidParameterValue("Invalid OptInType %s. Valid values: immediate, next-maintenance, undo-opt-in.", optIn)
	case aws.ToString(in.ApplyAction) != systemUpdate:
		return nil, awswire.InvalidParameterValue("Invalid ApplyAction %s. Valid values in this region: %s.", aws.ToString(in.ApplyAction), systemUpdate)
	}
	item, err := s.instance(c, aws.ToString(in.ResourceIdentifier))
	if err != nil {
		return nil, awswire.Errorf(404, "ResourceNotFoundFault", "The specified resource %s is not found.", aws.ToString(in.ResourceIdentifier))
	}
	shown, ok := s.showMaintenance(c, &item.Value)
	if !ok {
		return nil, awswire.InvalidParameterValue("The resource %s has no pending maintenance action %s.", aws.ToString(in.ResourceIdentifier), systemUpdate)
	}
	if optIn == optInNow {
		_, err = s.reboot(ctx, item.Key, anyway)
		return &rds.ApplyPendingMaintenanceActionOutput{ResourcePendingMaintenanceActions: &shown}, err
	}
	changed, err := s.updateInstance(ctx, item.Key, func(v *aurora.DBInstance) error {
		if v.Spec.PendingUpdate == (optIn == optInNext) {
			return state.ErrUnchanged
		}
		v.Spec.PendingUpdate = optIn == optInNext
		return nil
	})
	if err != nil {
		return nil, err
	}
	shown, _ = s.showMaintenance(c, &changed)
	return &rds.ApplyPendingMaintenanceActionOutput{ResourcePendingMaintenanceActions: &shown}, nil
}
