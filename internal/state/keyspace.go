package state

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// The keyspace, version 1. A value is the JSON of the type named.
//
//	/daybreak/v1/db-clusters/<resource id>         aurora.DBCluster
//	/daybreak/v1/deleted-clusters/<resource id>    aurora.DeletedCluster
//	/daybreak/v1/db-instances/<resource id>        aurora.DBInstance
//	/daybreak/v1/security-groups/<group id>        aurora.SecurityGroup
//	/daybreak/v1/hosts/<host id>                   aurora.Host
//	/daybreak/v1/presence/<host id>                aurora.Presence, on a lease
//	/daybreak/v1/sights/<resource id>              aurora.Sight, where there are several hosts
//	/daybreak/v1/silences/<host id>/<resource id>  aurora.Silence, while it lasts
//	/daybreak/v1/archives/<resource id>            aurora.Archive
//	/daybreak/v1/base-backups/<resource id>/<id>   aurora.BaseBackup
//	/daybreak/v1/backup-sets/<resource id>         aurora.BackupSet, of deleted clusters
//	/daybreak/v1/db-cluster-snapshots/<resource id> aurora.DBClusterSnapshot
//	/daybreak/v1/events/<time>-<random>            aurora.Event
//	/daybreak/v1/names/<kind>/<account>/<region>/<name>   resource id: a name that is taken
//	/daybreak/v1/addresses/<ip>                    resource id and kind of the endpoint that has it
//	/daybreak/v1/region/…                          nouns of the region alone
//	/daybreak/v1/platform/…                        nouns of the platform alone
//
// Upgrades of an installation move values from one version's root to the next.
const root = "/daybreak/v1/"

// DBClusters is keyed by DbClusterResourceId.
func DBClusters(s *Store) Table[aurora.DBCluster] {
	return NewTable[aurora.DBCluster](s, "db-clusters")
}

// DeletedClusters is keyed by DbClusterResourceId.
func DeletedClusters(s *Store) Table[aurora.DeletedCluster] {
	return NewTable[aurora.DeletedCluster](s, "deleted-clusters")
}

// DBInstances is keyed by DbiResourceId.
func DBInstances(s *Store) Table[aurora.DBInstance] {
	return NewTable[aurora.DBInstance](s, "db-instances")
}

// SecurityGroups is keyed by group id.
func SecurityGroups(s *Store) Table[aurora.SecurityGroup] {
	return NewTable[aurora.SecurityGroup](s, "security-groups")
}

// Hosts is keyed by host id.
func Hosts(s *Store) Table[aurora.Host] { return NewTable[aurora.Host](s, "hosts") }

// Sights is keyed by DbiResourceId.
func Sights(s *Store) Table[aurora.Sight] { return NewTable[aurora.Sight](s, "sights") }

// Silences is keyed by host id and DbClusterResourceId.
func Silences(s *Store) Table[aurora.Silence] { return NewTable[aurora.Silence](s, "silences") }

// Presence is keyed by host id.
func Presence(s *Store) Table[aurora.Presence] { return NewTable[aurora.Presence](s, "presence") }

// Archives is keyed by DbClusterResourceId.
func Archives(s *Store) Table[aurora.Archive] { return NewTable[aurora.Archive](s, "archives") }

// BaseBackups is keyed by DbClusterResourceId and the backup's id.
func BaseBackups(s *Store) Table[aurora.BaseBackup] {
	return NewTable[aurora.BaseBackup](s, "base-backups")
}

// BackupSets is keyed by the DbClusterResourceId of a deleted cluster.
func BackupSets(s *Store) Table[aurora.BackupSet] {
	return NewTable[aurora.BackupSet](s, "backup-sets")
}

// DBClusterSnapshots is keyed by the snapshot's resource id.
func DBClusterSnapshots(s *Store) Table[aurora.DBClusterSnapshot] {
	return NewTable[aurora.DBClusterSnapshot](s, "db-cluster-snapshots")
}

// Addresses is keyed by IP address; the value says which endpoint has it, as
// "cluster-…/writer".
func Addresses(s *Store) Table[string] { return NewTable[string](s, "addresses") }

// Name is a name that only one resource of a kind can have in a scope.
type Name struct {
	Kind, Account, Region, Name string
}

func (n Name) key() string {
	return root + "names/" + strings.Join([]string{n.Kind, n.Account, n.Region, n.Name}, "/")
}

// Claim takes the name for a resource, in the transaction that creates it.
func (n Name) Claim(resourceID string) Op {
	return Op{
		cmps: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(n.key()), "=", 0)},
		ops:  []clientv3.Op{clientv3.OpPut(n.key(), resourceID)},
	}
}

// Release frees the name, if that resource still has it, in the transaction
// that deletes or renames it.
func (n Name) Release(resourceID string) Op {
	return Op{
		cmps: []clientv3.Cmp{clientv3.Compare(clientv3.Value(n.key()), "=", resourceID)},
		ops:  []clientv3.Op{clientv3.OpDelete(n.key())},
	}
}

// Lookup returns the resource id that has the name, or ErrNotFound.
func (s *Store) Lookup(ctx context.Context, n Name) (string, error) {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	resp, err := client.Get(ctx, n.key())
	if err != nil {
		return "", wrap(ctx, err)
	}
	if len(resp.Kvs) == 0 {
		return "", fmt.Errorf("%s %s: %w", n.Kind, n.Name, ErrNotFound)
	}
	return string(resp.Kvs[0].Value), nil
}

// Kinds of names.
const (
	KindDBCluster     = "db-cluster"
	KindDBInstance    = "db-instance"
	KindDBEndpoint    = "db-cluster-endpoint"
	KindDBSnapshot    = "db-cluster-snapshot"
	KindDBSubnetGroup = "db-subnet-group"
	KindSecurityGroup = "security-group" // name is "<vpc id>/<group name>"
)
