package rds

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// DescribeDBClusterAutomatedBackups answers from when to when clusters can be
// restored, also deleted ones whose backups are retained.
func (s *service) DescribeDBClusterAutomatedBackups(ctx context.Context, in *rds.DescribeDBClusterAutomatedBackupsInput) (*rds.DescribeDBClusterAutomatedBackupsOutput, error) {
	c := scopeOf(ctx)
	var ids []string
	for _, item := range s.clusters.All() {
		ids = append(ids, item.Key)
	}
	for _, item := range s.backupSets.All() {
		ids = append(ids, item.Key)
	}
	slices.Sort(ids)
	var found []backedUp
	for _, id := range slices.Compact(ids) {
		of, ok := s.backedUp(id)
		if !ok || !c.has(&of.cluster.Meta) {
			continue
		}
		if given := aws.ToString(in.DBClusterIdentifier); given != "" && of.cluster.Spec.Identifier != c.identifier("cluster", given) {
			continue
		}
		if given := aws.ToString(in.DbClusterResourceId); given != "" && given != id {
			continue
		}
		found = append(found, of)
	}
	found, err := filtered(found, in.Filters, map[string]func(backedUp) []string{
		"status":                 func(of backedUp) []string { return []string{of.status()} },
		"db-cluster-id":          func(of backedUp) []string { return []string{of.cluster.Spec.Identifier} },
		"db-cluster-resource-id": func(of backedUp) []string { return []string{of.cluster.ResourceID} },
	})
	if err != nil {
		return nil, err
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(of backedUp) string { return of.cluster.ResourceID })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBClusterAutomatedBackupsOutput{Marker: marker, DBClusterAutomatedBackups: make([]types.DBClusterAutomatedBackup, 0, len(page))}
	for _, of := range page {
		out.DBClusterAutomatedBackups = append(out.DBClusterAutomatedBackups, *of.show(c))
	}
	return out, nil
}

// status is what AWS shows of automated backups.
func (of backedUp) status() string {
	if _, _, ok := of.window(); !ok {
		return "creating"
	}
	if !of.deleted.IsZero() {
		return "retained"
	}
	return "active"
}

func (of backedUp) show(c scope) *types.DBClusterAutomatedBackup {
	v := of.cluster
	out := &types.DBClusterAutomatedBackup{
		DBClusterIdentifier: &v.Spec.Identifier, DBClusterArn: aws.String(c.arn("cluster", v.Spec.Identifier)), DbClusterResourceId: &v.ResourceID,
		DBClusterAutomatedBackupsArn: aws.String(c.arn("cluster-auto-backup", "ab-"+strings.ToLower(strings.TrimPrefix(v.ResourceID, "cluster-")))),
		ClusterCreateTime:            &v.CreateTime, Region: &v.Region, Status: aws.String(of.status()),
		Engine: &v.Spec.Engine, EngineMode: &v.Spec.EngineMode, EngineVersion: &v.Spec.EngineVersion, LicenseModel: aws.String("postgresql-license"),
		MasterUsername: &v.Spec.MasterUsername, Port: aws.Int32(int32(v.Spec.Port)), AvailabilityZones: v.Spec.AvailabilityZones,
		StorageEncrypted: &v.Spec.StorageEncrypted, KmsKeyId: optional(v.Spec.KmsKeyID), VpcId: optional(v.Spec.VpcID), StorageType: optional(v.Spec.StorageType),
		IAMDatabaseAuthenticationEnabled: &v.Spec.IAMDatabaseAuth, AllocatedStorage: aws.Int32(1), TagList: showTags(v.Tags),
		BackupRetentionPeriod: aws.Int32(int32(v.Spec.BackupRetentionPeriod)), PreferredBackupWindow: &v.Spec.PreferredBackupWindow,
	}
	if earliest, latest, ok := of.window(); ok {
		out.RestoreWindow = &types.RestoreWindow{EarliestTime: &earliest, LatestTime: &latest}
	}
	return out
}

// DeleteDBClusterAutomatedBackup gives up the retained backups of a deleted cluster.
func (s *service) DeleteDBClusterAutomatedBackup(ctx context.Context, in *rds.DeleteDBClusterAutomatedBackupInput) (*rds.DeleteDBClusterAutomatedBackupOutput, error) {
	c, id := scopeOf(ctx), aws.ToString(in.DbClusterResourceId)
	of, ok := s.backedUp(id)
	if !ok || !c.has(&of.cluster.Meta) {
		return nil, awswire.Errorf(404, "DBClusterAutomatedBackupNotFoundFault", "No automated backup for DB cluster %s is found.", id)
	}
	if of.deleted.IsZero() {
		return nil, awswire.BadRequestf("InvalidDBClusterAutomatedBackupStateFault", "The automated backups of DB cluster %s are not retained ones: the cluster is not deleted.", of.cluster.Spec.Identifier)
	}
	item, err := state.BackupSets(s.store).Update(ctx, id, func(v *aurora.BackupSet) error { v.Keep = false; return nil })
	if errors.Is(err, state.ErrNotFound) {
		return nil, awswire.Errorf(404, "DBClusterAutomatedBackupNotFoundFault", "No automated backup for DB cluster %s is found.", id)
	}
	if err != nil {
		return nil, err
	}
	shown := of.show(c)
	shown.Status = aws.String("deleting")
	return &rds.DeleteDBClusterAutomatedBackupOutput{DBClusterAutomatedBackup: shown}, s.backupSets.WaitRevision(ctx, item.Revision)
}
