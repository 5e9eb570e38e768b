// Package rds holds the RDS actions of the region: each checks a request by
// AWS's rules, writes the Spec of a noun or reads nouns, and answers. What makes
// a Spec true happens elsewhere; the package must not know how. It knows nothing
// of the wire.
package rds

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
	"github.com/daybreakdb/daybreak/internal/state"
)

// service is what the actions work with. It reads from mirrors, and waits after
// a write until they have it, so that callers read what they wrote.
type service struct {
	store        *state.Store
	clusters     *state.Mirror[aurora.DBCluster]
	instances    *state.Mirror[aurora.DBInstance]
	subnetGroups *state.Mirror[SubnetGroup]

	clustersByName  *state.Group[aurora.DBCluster] // by named
	instancesByName *state.Group[aurora.DBInstance]
	membersByID     *state.Group[aurora.DBInstance] // by their cluster's resource id

	subscriptions *state.Mirror[EventSubscription]

	parameterGroups *state.Mirror[ParameterGroup]
	hosts           *state.Mirror[aurora.Host]

	keys *kms.Keys

	snapshots  *state.Mirror[aurora.DBClusterSnapshot]
	bases      *state.Mirror[aurora.BaseBackup]
	archives   *state.Mirror[aurora.Archive]
	backupSets *state.Mirror[aurora.BackupSet]

	secrets   *secretsmanager.Managed // nil: passwords cannot be managed
	rotations *state.Mirror[secretsmanager.Rotation]

	config Config
}

// Config is what the service works with.
type Config struct {
	Store *state.Store
	// Keyring seals passwords that the region manages; nil: it manages none.
	Keyring *keyring.Keyring
	// Certificate reads the certificate, in PEM, that clients of endpoints trust; it
	// may be nil.
	Certificate func() ([]byte, error)
	// Names are what endpoints are called; without a suffix they are told by address.
	Names aurora.Names
	// Logs reads the servers' logs; without it they have none.
	Logs LogReader
}

// New returns the RDS service with nothing but a store.
func New(ctx context.Context, store *state.Store) (*awswire.Service, error) {
	return Config{Store: store}.New(ctx)
}

// New returns the RDS service. It follows the state until ctx ends.
func (c Config) New(ctx context.Context) (*awswire.Service, error) {
	store := c.Store
	s := &service{config: c, store: store}
	var err error
	if s.clusters, err = state.NewMirror(ctx, state.DBClusters(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.instances, err = state.NewMirror(ctx, state.DBInstances(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	s.clustersByName = s.clusters.GroupBy(func(v *aurora.DBCluster) string { return named(&v.Meta, v.Spec.Identifier) })
	s.instancesByName = s.instances.GroupBy(func(v *aurora.DBInstance) string { return named(&v.Meta, v.Spec.Identifier) })
	s.membersByID = s.instances.GroupBy(func(v *aurora.DBInstance) string { return v.Spec.ClusterResourceID })
	if s.subnetGroups, err = state.NewMirror(ctx, subnetGroupTable(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.parameterGroups, err = state.NewMirror(ctx, parameterGroupTable(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.hosts, err = state.NewMirror(ctx, state.Hosts(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.keys, err = kms.NewKeys(ctx, store); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.snapshots, err = state.NewMirror(ctx, state.DBClusterSnapshots(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.bases, err = state.NewMirror(ctx, state.BaseBackups(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.archives, err = state.NewMirror(ctx, state.Archives(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.backupSets, err = state.NewMirror(ctx, state.BackupSets(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if c.Keyring != nil {
		s.secrets = secretsmanager.NewManaged(store, c.Keyring)
	}
	if s.rotations, err = state.NewMirror(ctx, secretsmanager.Rotations(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	if s.subscriptions, err = state.NewMirror(ctx, subscriptionTable(store)); err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	events, err := state.NewMirror(ctx, eventTable(store))
	if err != nil {
		return nil, fmt.Errorf("rds: %w", err)
	}
	wire := s.register(awswire.RDS())
	go s.notify(ctx, events)
	go s.followGroups(ctx)
	go s.maintain(ctx)
	return wire, nil
}

// register adds the actions to the service.
func (s *service) register(wire *awswire.Service) *awswire.Service {
	awswire.Register(wire, withKeys(s, s.CreateDBCluster))
	awswire.Register(wire, s.DescribeDBClusters)
	awswire.Register(wire, withKeys(s, s.ModifyDBCluster))
	awswire.Register(wire, s.DeleteDBCluster)
	awswire.Register(wire, s.CreateDBClusterSnapshot)
	awswire.Register(wire, s.DescribeDBClusterSnapshots)
	awswire.Register(wire, s.DeleteDBClusterSnapshot)
	awswire.Register(wire, withKeys(s, s.CopyDBClusterSnapshot))
	awswire.Register(wire, s.DescribeDBClusterSnapshotAttributes)
	awswire.Register(wire, s.ModifyDBClusterSnapshotAttribute)
	awswire.Register(wire, withKeys(s, s.RestoreDBClusterFromSnapshot))
	awswire.Register(wire, withKeys(s, s.RestoreDBClusterToPointInTime))
	awswire.Register(wire, s.DescribeDBClusterAutomatedBackups)
	awswire.Register(wire, s.DeleteDBClusterAutomatedBackup)
	awswire.Register(wire, s.FailoverDBCluster)
	awswire.Register(wire, s.StopDBCluster)
	awswire.Register(wire, s.StartDBCluster)
	awswire.Register(wire, s.AddRoleToDBCluster)
	awswire.Register(wire, s.RemoveRoleFromDBCluster)
	awswire.Register(wire, s.RebootDBCluster)
	awswire.Register(wire, s.ModifyCertificates)
	awswire.Register(wire, s.EnableHttpEndpoint)
	awswire.Register(wire, s.DisableHttpEndpoint)
	awswire.Register(wire, s.PromoteReadReplicaDBCluster)
	awswire.Register(wire, s.StopDBInstance)
	awswire.Register(wire, s.StartDBInstance)
	awswire.Register(wire, s.DescribeValidDBInstanceModifications)
	awswire.Register(wire, s.DescribeDBMajorEngineVersions)
	awswire.Register(wire, s.DescribeSourceRegions)
	awswire.Register(wire, s.CreateDBClusterEndpoint)
	awswire.Register(wire, s.DescribeDBClusterEndpoints)
	awswire.Register(wire, s.ModifyDBClusterEndpoint)
	awswire.Register(wire, s.DeleteDBClusterEndpoint)
	awswire.Register(wire, withKeys(s, s.CreateDBInstance))
	awswire.Register(wire, s.DescribeDBInstances)
	awswire.Register(wire, withKeys(s, s.ModifyDBInstance))
	awswire.Register(wire, s.RebootDBInstance)
	awswire.Register(wire, s.DeleteDBInstance)
	awswire.Register(wire, s.CreateDBSubnetGroup)
	awswire.Register(wire, s.DescribeDBSubnetGroups)
	awswire.Register(wire, s.ModifyDBSubnetGroup)
	awswire.Register(wire, s.DeleteDBSubnetGroup)
	awswire.Register(wire, s.DescribeEvents)
	awswire.Register(wire, s.DescribeEventCategories)
	awswire.Register(wire, s.CreateEventSubscription)
	awswire.Register(wire, s.DescribeEventSubscriptions)
	awswire.Register(wire, s.ModifyEventSubscription)
	awswire.Register(wire, s.DeleteEventSubscription)
	awswire.Register(wire, s.AddSourceIdentifierToSubscription)
	awswire.Register(wire, s.RemoveSourceIdentifierFromSubscription)
	awswire.Register(wire, s.ListTagsForResource)
	awswire.Register(wire, s.AddTagsToResource)
	awswire.Register(wire, s.RemoveTagsFromResource)
	awswire.Register(wire, s.DescribeGlobalClusters)
	awswire.Register(wire, s.DescribeDBEngineVersions)
	awswire.Register(wire, s.DescribeOrderableDBInstanceOptions)
	awswire.Register(wire, s.CreateDBClusterParameterGroup)
	awswire.Register(wire, s.CopyDBClusterParameterGroup)
	awswire.Register(wire, s.DescribeDBClusterParameterGroups)
	awswire.Register(wire, s.DescribeDBClusterParameters)
	awswire.Register(wire, s.DescribeEngineDefaultClusterParameters)
	awswire.Register(wire, s.ModifyDBClusterParameterGroup)
	awswire.Register(wire, s.ResetDBClusterParameterGroup)
	awswire.Register(wire, s.DeleteDBClusterParameterGroup)
	awswire.Register(wire, s.CreateDBParameterGroup)
	awswire.Register(wire, s.CopyDBParameterGroup)
	awswire.Register(wire, s.DescribeDBParameterGroups)
	awswire.Register(wire, s.DescribeDBParameters)
	awswire.Register(wire, s.DescribeEngineDefaultParameters)
	awswire.Register(wire, s.ModifyDBParameterGroup)
	awswire.Register(wire, s.ResetDBParameterGroup)
	awswire.Register(wire, s.DeleteDBParameterGroup)
	awswire.Register(wire, s.DescribeDBLogFiles)
	awswire.Register(wire, s.DownloadDBLogFilePortion)
	awswire.Register(wire, s.DescribeAccountAttributes)
	awswire.Register(wire, s.DescribeCertificates)
	awswire.Register(wire, s.DescribePendingMaintenanceActions)
	awswire.Register(wire, s.ApplyPendingMaintenanceAction)
	refuseLater(wire)
	return wire
}

// newResourceID makes an id as AWS does: a prefix and 26 capital letters and
// digits.
func newResourceID(prefix string) string { return prefix + "-" + rand.Text() }

// scope is the account and region of a request.
type scope struct{ account, region string }

func scopeOf(ctx context.Context) scope {
	id := awswire.IdentityFrom(ctx)
	return scope{id.Account, id.Region}
}

func (c scope) has(m *aurora.Meta) bool { return m.Account == c.account && m.Region == c.region }

func (c scope) name(kind, name string) state.Name {
	return state.Name{Kind: kind, Account: c.account, Region: c.region, Name: name}
}

// arn is the name of a resource across AWS: kind is cluster, db or subgrp.
func (c scope) arn(kind, name string) string {
	return fmt.Sprintf("arn:aws:rds:%s:%s:%s:%s", c.region, c.account, kind, name)
}

// identifier takes an identifier or an ARN of the kind, in any case.
func (c scope) identifier(kind, given string) string {
	given = strings.ToLower(given)
	return strings.TrimPrefix(given, strings.ToLower(c.arn(kind, "")))
}

func clusterNotFound(id string) error {
	return awswire.Errorf(404, "DBClusterNotFoundFault", "DBCluster %s not found.", id)
}

func instanceNotFound(id string) error {
	return awswire.Errorf(404, "DBInstanceNotFound", "DBInstance %s not found.", id)
}

// cluster finds a cluster by identifier or ARN.
func (s *service) cluster(c scope, given string) (state.Item[aurora.DBCluster], error) {
	id := c.identifier("cluster", given)
	for _, item := range s.clustersByName.In(named(&aurora.Meta{Account: c.account, Region: c.region}, id)) {
		return item, nil
	}
	return state.Item[aurora.DBCluster]{}, clusterNotFound(given)
}

func (s *service) instance(c scope, given string) (state.Item[aurora.DBInstance], error) {
	id := c.identifier("db", given)
	for _, item := range s.instancesByName.In(named(&aurora.Meta{Account: c.account, Region: c.region}, id)) {
		return item, nil
	}
	return state.Item[aurora.DBInstance]{}, instanceNotFound(given)
}

// named is what a resource is found by: no identifier has a slash.
func named(m *aurora.Meta, identifier string) string {
	return m.Account + "/" + m.Region + "/" + identifier
}

// byCreation orders the members of a cluster.
func byCreation(a, b *aurora.DBInstance) int { return a.CreateTime.Compare(b.CreateTime) }

// members are the instances of every cluster by its resource id, in the order of
// their creation: read only.
func (s *service) members() map[string][]*aurora.DBInstance {
	all := s.instances.All()
	members := make(map[string][]*aurora.DBInstance, len(all))
	for i := range all {
		id := all[i].Value.Spec.ClusterResourceID
		members[id] = append(members[id], &all[i].Value)
	}
	for _, of := range members {
		slices.SortFunc(of, byCreation)
	}
	return members
}

// membersOf are the instances of one cluster, in the order of their creation: read
// only.
func (s *service) membersOf(clusterID string) []*aurora.DBInstance {
	all := s.membersByID.In(clusterID)
	members := make([]*aurora.DBInstance, len(all))
	for i := range all {
		members[i] = &all[i].Value
	}
	slices.SortFunc(members, byCreation)
	return members
}
