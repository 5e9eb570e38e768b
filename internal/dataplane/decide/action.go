package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// Action is one thing to do. Actions are values; String says them for the log.
type Action interface {
	fmt.Stringer
	apply(w *World)
}

// Apply carries the actions out on a copy of the world.
func Apply(w World, actions []Action) World {
	w = w.clone()
	for _, a := range actions {
		a.apply(&w)
	}
	return w
}

// SetIdentity gives the cluster its OS user and internal secret, once.
type SetIdentity struct{ Identity Identity }

func (a SetIdentity) String() string { return fmt.Sprintf("run as OS user %d", a.Identity.OSUser) }
func (a SetIdentity) apply(w *World) {
	w.Cluster.Status.OSUser, w.Cluster.Status.InternalSecret = a.Identity.OSUser, a.Identity.Secret
	w.Offer.Identity = nil
}

// SetAddress gives an endpoint its address.
type SetAddress struct {
	Owner   string
	Address aurora.Address
}

func (a SetAddress) String() string {
	return fmt.Sprintf("endpoint %s at %s:%d", a.Owner, a.Address.Host, a.Address.Port)
}
func (a SetAddress) apply(w *World) {
	for _, e := range w.Cluster.Spec.CustomEndpoints {
		if CustomEndpointOwner(w.Cluster.ResourceID, e.ResourceID) == a.Owner && w.Cluster.CustomAddress(e.ResourceID) == (aurora.Address{}) {
			w.Cluster.Status.CustomEndpoints = append(w.Cluster.Status.CustomEndpoints, aurora.CustomEndpointStatus{ResourceID: e.ResourceID})
		}
	}
	*endpoints(w)[a.Owner] = a.Address
	w.Addresses[a.Address.Host] = a.Owner
	if a.Address.Published != "" {
		w.Addresses[a.Address.Published] = a.Owner
	}
	w.Offer.Addresses = slices.DeleteFunc(w.Offer.Addresses, func(o aurora.Address) bool { return o.Host == a.Address.Host })
}

// SetPort moves an endpoint to another port.
type SetPort struct {
	Owner string
	Port  int
}

func (a SetPort) String() string { return fmt.Sprintf("endpoint %s to port %d", a.Owner, a.Port) }
func (a SetPort) apply(w *World) { endpoints(w)[a.Owner].Port = a.Port }

// DropEndpoint gives the addresses of a custom endpoint back.
type DropEndpoint struct{ Endpoint string }

func (a DropEndpoint) String() string { return "forget endpoint " + a.Endpoint }
func (a DropEndpoint) apply(w *World) {
	st := &w.Cluster.Status
	st.CustomEndpoints = slices.DeleteFunc(st.CustomEndpoints, func(e aurora.CustomEndpointStatus) bool { return e.ResourceID == a.Endpoint })
	if len(st.CustomEndpoints) == 0 {
		st.CustomEndpoints = nil
	}
	release(w, CustomEndpointOwner(w.Cluster.ResourceID, a.Endpoint))
}

// Place chooses where an instance runs, once.
type Place struct{ Instance, Zone, Host string }

func (a Place) String() string {
	return fmt.Sprintf("place %s in %s on host %s", a.Instance, a.Zone, a.Host)
}
func (a Place) apply(w *World) {
	st := &w.instance(a.Instance).Status
	st.AvailabilityZone, st.Host = a.Zone, a.Host
}

// SetWriter makes an instance the writer of a new term; with no instance it
// leaves the cluster without a writer, in the old term.
type SetWriter struct {
	Instance string
	Term     int64
	Since    time.Time
}

func (a SetWriter) String() string {
	if a.Instance == "" {
		return "no writer"
	}
	return fmt.Sprintf("writer of term %d is %s", a.Term, a.Instance)
}
func (a SetWriter) apply(w *World) {
	st := &w.Cluster.Status
	st.Writer, st.Term = a.Instance, a.Term
	if a.Instance != "" {
		st.TermSince = a.Since
	}
}

// SetTimeline reserves a timeline number.
type SetTimeline struct{ Timeline int }

func (a SetTimeline) String() string { return fmt.Sprintf("reserve timeline %d", a.Timeline) }
func (a SetTimeline) apply(w *World) { w.Cluster.Status.Timeline = a.Timeline }

// SetFailedOver records which writer a failover began with; empty ends it.
type SetFailedOver struct{ From string }

func (a SetFailedOver) String() string {
	if a.From == "" {
		return "the failover is complete"
	}
	return "failover from " + a.From
}
func (a SetFailedOver) apply(w *World) { w.Cluster.Status.FailedOver = a.From }

// SetHurried records that an heir was given up early in the failover that goes on.
type SetHurried struct{ Hurried bool }

func (a SetHurried) String() string {
	if a.Hurried {
		return "the heir has not begun to take over: the next one does"
	}
	return "the next failover may give an heir up early again"
}
func (a SetHurried) apply(w *World) { w.Cluster.Status.Hurried = a.Hurried }

// AnswerFailover records that a user's request for another writer was dealt with.
type AnswerFailover struct{ Generation int64 }

func (a AnswerFailover) String() string {
	return fmt.Sprintf("request %d for another writer was answered", a.Generation)
}
func (a AnswerFailover) apply(w *World) { w.Cluster.Status.FailoverGeneration = a.Generation }

// SetLogPlaces says where each copy of the WAL is: chosen for a new log, or where the
// copies have been moved to.
type SetLogPlaces struct{ Zones, Hosts []string }

func (a SetLogPlaces) String() string {
	return fmt.Sprintf("copies of the log in %v, on hosts %v", a.Zones, a.Hosts)
}
func (a SetLogPlaces) apply(w *World) {
	w.Cluster.Status.LogZones, w.Cluster.Status.LogHosts = a.Zones, a.Hosts
}

// Announce tells users what happened.
type Announce struct{ Event aurora.Event }

func (a Announce) String() string { return "event " + a.Event.EventID + ": " + a.Event.Message }
func (a Announce) apply(*World)   {}

// SetInitialized records that the database exists.
type SetInitialized struct{ SystemIdentifier string }

func (a SetInitialized) String() string { return "initialized as system " + a.SystemIdentifier }
func (a SetInitialized) apply(w *World) {
	w.Cluster.Status.Initialized, w.Cluster.Status.SystemIdentifier = true, a.SystemIdentifier
}

// SetTask gives an instance's node its standing order.
type SetTask struct {
	Instance string
	Task     aurora.Task
}

func (a SetTask) String() string {
	t := a.Task
	s := fmt.Sprintf("task of %s: %s in term %d", a.Instance, t.Role, t.Term)
	if t.Build != "" {
		s += ", built by " + string(t.Build)
	}
	if t.Upstream != "" {
		s += ", following " + t.Upstream
	}
	return s
}
func (a SetTask) apply(w *World) { w.instance(a.Instance).Status.Task = a.Task }

// SetHandover moves the planned change of writer on; nil ends it.
type SetHandover struct{ Handover *aurora.Handover }

func (a SetHandover) String() string {
	if a.Handover == nil {
		return "no handover"
	}
	return fmt.Sprintf("handover from %s, stopped at %X", a.Handover.From, a.Handover.StopLSN)
}
func (a SetHandover) apply(w *World) { w.Cluster.Status.Handover = a.Handover }

// SetRetained records the data of a cluster without instances; nil when an
// instance has adopted it.
type SetRetained struct{ Retained *aurora.RetainedData }

func (a SetRetained) String() string {
	if a.Retained == nil {
		return "retained data was adopted"
	}
	return "retain the data of " + a.Retained.Instance
}
func (a SetRetained) apply(w *World) { w.Cluster.Status.Retained = a.Retained }

// SetClusterStatus is what the cluster shows.
type SetClusterStatus struct {
	Status, Reason     string
	ObservedGeneration int64
}

func (a SetClusterStatus) String() string { return withReason("cluster "+a.Status, a.Reason) }
func (a SetClusterStatus) apply(w *World) {
	st := &w.Cluster.Status
	st.Status, st.Reason, st.ObservedGeneration = a.Status, a.Reason, a.ObservedGeneration
}

// SetInstanceStatus is what an instance shows.
type SetInstanceStatus struct {
	Instance           string
	Status, Reason     string
	ObservedGeneration int64
}

func (a SetInstanceStatus) String() string {
	return withReason("instance "+a.Instance+" "+a.Status, a.Reason)
}
func (a SetInstanceStatus) apply(w *World) {
	st := &w.instance(a.Instance).Status
	st.Status, st.Reason, st.ObservedGeneration = a.Status, a.Reason, a.ObservedGeneration
}

// Flag is something about an instance that users are told when it begins and ends.
type Flag string

// The flags, as the log has them.
const (
	Lagging     Flag = "lags too much to be read from" // such a reader is not in the reader endpoint
	Damaged     Flag = "has damaged pages"
	Unstartable Flag = "cannot be started from its data"
)

// SetFlag records that users were told of a flag's begin or end.
type SetFlag struct {
	Instance string
	Flag     Flag
	On       bool
}

func (a SetFlag) String() string {
	if a.On {
		return a.Instance + " " + string(a.Flag)
	}
	return a.Instance + " no longer " + string(a.Flag)
}

func (a SetFlag) apply(w *World) {
	st := &w.instance(a.Instance).Status
	switch a.Flag {
	case Lagging:
		st.Lagging = a.On
	case Damaged:
		st.Damaged = a.On
	case Unstartable:
		st.Unstartable = a.On
	}
}

// SetRecovery records that an instance's data is made anew, and since when.
type SetRecovery struct {
	Instance string
	On       bool
	Since    time.Time
}

func (a SetRecovery) String() string {
	if a.On {
		return "make the data of " + a.Instance + " anew"
	}
	return "the data of " + a.Instance + " was made anew"
}
func (a SetRecovery) apply(w *World) {
	st := &w.instance(a.Instance).Status
	st.Recovering, st.Recovery = a.On, a.Since
}

// SetEvaded records that the role leaves a writer for its damaged pages.
type SetEvaded struct{ At time.Time }

func (a SetEvaded) String() string { return "the writer has damaged pages, and hands its role over" }
func (a SetEvaded) apply(w *World) { w.Cluster.Status.Evaded = a.At }

// RemoveInstance forgets an instance of which nothing is left, or whose data the
// cluster retains.
type RemoveInstance struct{ Instance string }

func (a RemoveInstance) String() string { return "forget instance " + a.Instance }
func (a RemoveInstance) apply(w *World) {
	release(w, a.Instance)
	w.Instances = slices.DeleteFunc(w.Instances, func(in aurora.DBInstance) bool { return in.ResourceID == a.Instance })
}

// RemoveCluster forgets the cluster.
type RemoveCluster struct{}

func (a RemoveCluster) String() string { return "forget the cluster" }
func (a RemoveCluster) apply(w *World) {
	release(w, WriterEndpointOwner(w.Cluster.ResourceID))
	release(w, ReaderEndpointOwner(w.Cluster.ResourceID))
	w.Removed = true
}

// release frees the addresses of an endpoint.
func release(w *World, owner string) {
	for address, o := range w.Addresses {
		if o == owner {
			delete(w.Addresses, address)
		}
	}
}

func withReason(s, reason string) string {
	if reason == "" {
		return s
	}
	return s + ": " + reason
}
