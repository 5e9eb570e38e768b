// Package decide is the mind of the data plane: what to do next for one DB
// cluster, as a pure function of what is wanted (the Specs), what is seen (the
// Statuses, the nodes' reports, the hosts) and the time. It must not read a
// clock, a disk or a network; it knows nothing but the nouns.
//
// Decide gives actions, Apply carries them out on the nouns; the controller
// stores the difference in one transaction, and nodes follow the tasks in it.
package decide

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// World is all that a decision about one cluster depends on, beside the time.
type World struct {
	Cluster   aurora.DBCluster
	Instances []aurora.DBInstance
	Hosts     []aurora.Host
	// Lost has the hosts that have not been heard of since a time: they are down,
	// or cut off from the state store.
	Lost map[string]time.Time
	// Silent says that the copies of the log elsewhere get nothing from the writer.
	// A writer that is heard is cut off from the state store only, and goes on.
	Silent bool
	// Unheard are the hosts whose copies of the log have had nothing from the writer
	// for a while, in any order.
	Unheard []string
	// Patience is how long a host may be lost before copies of logs that it has are
	// made elsewhere; 0: defaultPatience.
	Patience time.Duration
	// Addresses that the cluster's endpoints have: IP address, or host:port of a
	// published one, to owner.
	Addresses map[string]string
	// Archive is how far the cluster's WAL is in the object store, which has the base
	// backups Bases; Snapshots are those of the cluster that are being created.
	Archive   aurora.Archive
	Bases     []aurora.BaseBackup
	Snapshots []aurora.DBClusterSnapshot
	// Offer is what the decision may take and nobody else has.
	Offer Offer
	// Removed says that the cluster is to be forgotten.
	Removed bool
}

// Offer holds resources that are free. See Missing.
type Offer struct {
	Addresses []aurora.Address
	// RunAs is set when Identity may be taken.
	Identity *Identity
}

// Identity is what a cluster's servers run as and log in with.
type Identity struct {
	OSUser int
	Secret []byte // sealed
}

// Needs is what an Offer must hold so that Decide can go on.
type Needs struct {
	Addresses int
	Identity  bool
}

// Missing says what the world's endpoints and servers still need.
func Missing(w World) Needs {
	if w.Cluster.DeleteRequested {
		return Needs{}
	}
	n := Needs{Identity: len(w.Cluster.Status.InternalSecret) == 0}
	for _, e := range endpoints(&w) {
		if e.Host == "" {
			n.Addresses++
		}
	}
	return n
}

// endpoints returns where the addresses of all endpoints stand, by owner.
func endpoints(w *World) map[string]*aurora.Address {
	id := w.Cluster.ResourceID
	all := map[string]*aurora.Address{
		WriterEndpointOwner(id): &w.Cluster.Status.WriterEndpoint,
		ReaderEndpointOwner(id): &w.Cluster.Status.ReaderEndpoint,
	}
	for _, e := range w.Cluster.Spec.CustomEndpoints {
		all[CustomEndpointOwner(id, e.ResourceID)] = w.customAddress(e.ResourceID)
	}
	for i := range w.Instances {
		if in := &w.Instances[i]; !in.DeleteRequested {
			all[in.ResourceID] = &in.Status.Endpoint
		}
	}
	return all
}

// WriterEndpointOwner and ReaderEndpointOwner name a cluster's endpoints in the
// table of addresses; an instance's endpoint has the instance's resource id.
func WriterEndpointOwner(clusterID string) string { return clusterID + "/writer" }
func ReaderEndpointOwner(clusterID string) string { return clusterID + "/reader" }

// CustomEndpointOwner names a custom endpoint there.
func CustomEndpointOwner(clusterID, endpointID string) string { return clusterID + "/" + endpointID }

// OwnsEndpoint says whether an owner is an endpoint of the cluster itself.
func OwnsEndpoint(clusterID, owner string) bool { return strings.HasPrefix(owner, clusterID+"/") }

// customAddress is where the address of a custom endpoint stands, or would stand.
func (w *World) customAddress(id string) *aurora.Address {
	served := w.Cluster.Status.CustomEndpoints
	for i := range served {
		if served[i].ResourceID == id {
			return &served[i].Address
		}
	}
	return &aurora.Address{}
}

// clone copies the world as deep as actions change it, instances in the order
// of their creation.
func (w World) clone() World {
	w.Instances = slices.Clone(w.Instances)
	w.Snapshots = slices.Clone(w.Snapshots)
	w.Cluster.Status.CustomEndpoints = slices.Clone(w.Cluster.Status.CustomEndpoints)
	slices.SortFunc(w.Instances, func(a, b aurora.DBInstance) int {
		return cmp.Or(a.CreateTime.Compare(b.CreateTime), cmp.Compare(a.ResourceID, b.ResourceID))
	})
	w.Hosts = slices.SortedFunc(slices.Values(w.Hosts), func(a, b aurora.Host) int { return cmp.Compare(a.ID, b.ID) })
	w.Addresses = maps.Clone(w.Addresses)
	if w.Addresses == nil {
		w.Addresses = map[string]string{}
	}
	w.Offer.Addresses = slices.Clone(w.Offer.Addresses)
	return w
}

// instance returns the instance of that id, or nil.
func (w *World) instance(id string) *aurora.DBInstance {
	for i := range w.Instances {
		if w.Instances[i].ResourceID == id {
			return &w.Instances[i]
		}
	}
	return nil
}

// writer returns the cluster's writer, or nil when there is none.
func (w *World) writer() *aurora.DBInstance { return w.instance(w.Cluster.Status.Writer) }

// writerRuns says whether the writer serves in the cluster's term.
func (w *World) writerRuns() bool {
	in := w.writer()
	return in != nil && w.serves(in) && in.Server.Role == aurora.RoleWriter && in.Server.Term == w.Cluster.Status.Term
}

// serves says whether the instance's server accepts connections.
func (w *World) serves(in *aurora.DBInstance) bool {
	return in.Server.Phase == aurora.PhaseRunning && !w.away(in)
}

// away says whether the instance went with its host.
func (w *World) away(in *aurora.DBInstance) bool {
	_, lost := w.Lost[in.Status.Host]
	return lost && (in.ResourceID != w.Cluster.Status.Writer || w.Silent)
}

// fulfils says whether the instance's server is what its task wants.
func (w *World) fulfils(in *aurora.DBInstance) bool {
	return w.serves(in) && in.Server.Role == in.Status.Task.Role && in.Server.Term == in.Status.Task.Term
}
