package endpoint

import (
	"cmp"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// Snapshot is what routing depends on. Its parts may be of different moments.
type Snapshot struct {
	Clusters  []aurora.DBCluster
	Instances []aurora.DBInstance
	Groups    []aurora.SecurityGroup
}

// Kind is what an endpoint leads to.
type Kind string

const (
	KindWriter   Kind = "writer"   // the cluster endpoint: the current writer
	KindReader   Kind = "reader"   // the readers that do not lag, or all, or the writer when there is none
	KindInstance Kind = "instance" // one DB instance
	KindCustom   Kind = "custom"   // the instances that a user chose
)

// Endpoint is what one endpoint is to be now.
type Endpoint struct {
	ID        string // as in the table of addresses: "cluster-…/writer", "db-…"
	Kind      Kind
	Name      string   // of the cluster or instance, for people
	Cluster   string   // resource id
	DNSName   string   // empty where there are none
	Addresses []string // host:port, each to be listened at; the first is what DNSName leads to
	Port      int      // the port that security group rules are about
	Firewall  Firewall
	ForceTLS  bool // refuse clients without it
	// Backends are the servers that a new connection may go to, and Fallback the
	// one that it goes to when none of them can be reached.
	Backends []Backend
	Fallback *Backend
	// Waiting says why there is no backend.
	Waiting string
	// Hopeless says that waiting for a backend makes no sense: there is no DB
	// instance that could become one, or the cluster is stopped.
	Hopeless bool
}

// Backend is a server in the role and term in which it may be connected to.
type Backend struct {
	Instance string // resource id
	Name     string // identifier, for people
	Role     aurora.ServerRole
	Term     int64
	Socket   string
}

// Plan is what there is to do.
type Plan struct {
	Endpoints []Endpoint // ordered by ID
	servers   map[string]server
	clusters  map[string]aurora.DBCluster
}

// server is what an existing session's fate depends on.
type server struct {
	Backend
	serves  bool
	leaving bool // the instance is being deleted
	stalled bool // the writer's commits wait in vain
	pauses  bool // the writer hands its role over
	term    int64
}

// Fate is what is to become of an existing session.
type Fate int

const (
	Keep  Fate = iota
	Drain      // end it between transactions, or after the grace period
	Pause      // let it finish its transaction, and begin no other
	Cut        // end it now
)

// Fate judges a session on a backend, and says why it must end.
func (p Plan) Fate(b Backend) (Fate, string) {
	now, ok := p.servers[b.Instance]
	switch {
	case !ok:
		return Cut, fmt.Sprintf("DB instance %s was deleted", b.Name)
	case now.pauses && b.Role == aurora.RoleWriter && b.Term == now.term:
		return Pause, fmt.Sprintf("DB instance %s hands its role over", b.Name)
	case !now.serves:
		return Cut, fmt.Sprintf("DB instance %s does not serve connections now", b.Name)
	case b.Role == aurora.RoleWriter && (now.Role != aurora.RoleWriter || now.Term != b.Term):
		return Cut, fmt.Sprintf("DB instance %s is no longer the writer", b.Name)
	case now.stalled:
		return Cut, fmt.Sprintf("DB instance %s has lost the quorum of its log", b.Name)
	case now.leaving:
		return Drain, fmt.Sprintf("DB instance %s is being deleted", b.Name)
	}
	return Keep, ""
}

// Router computes plans. It remembers the highest term seen of each cluster, so
// that no plan leads to an older one (invariant 4).
type Router struct {
	names aurora.Names
	terms map[string]int64
}

// NewRouter returns a router that has seen nothing.
func NewRouter(names aurora.Names) *Router { return &Router{names: names, terms: map[string]int64{}} }

// Plan says what a snapshot means.
func (r *Router) Plan(s Snapshot) Plan {
	members := map[string][]aurora.DBInstance{}
	for _, in := range s.Instances {
		members[in.Spec.ClusterResourceID] = append(members[in.Spec.ClusterResourceID], in)
	}
	groups := map[string]aurora.SecurityGroup{}
	for _, g := range s.Groups {
		groups[g.GroupID] = g
	}
	p := Plan{servers: map[string]server{}, clusters: map[string]aurora.DBCluster{}}
	known := map[string]int64{}
	for i := range s.Clusters {
		c := &s.Clusters[i]
		known[c.ResourceID] = r.see(c, members[c.ResourceID])
		v := view{names: r.names, cluster: c, instances: members[c.ResourceID], term: known[c.ResourceID]}
		v.firewall = newFirewall(c.Spec.VpcSecurityGroupIDs, groups)
		p.clusters[c.ResourceID] = *c
		p.add(&v)
	}
	r.terms = known // ids are never used again
	slices.SortFunc(p.Endpoints, func(a, b Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	return p
}

// see returns the highest term that anything has told of.
func (r *Router) see(c *aurora.DBCluster, instances []aurora.DBInstance) int64 {
	term := max(r.terms[c.ResourceID], c.Status.Term)
	for i := range instances {
		term = max(term, instances[i].Server.Term, instances[i].Status.Task.Term)
	}
	return term
}

func (p *Plan) add(v *view) {
	for i := range v.instances {
		in := &v.instances[i]
		p.servers[in.ResourceID] = server{
			Backend: v.backend(in), serves: serves(in),
			leaving: in.DeleteRequested && !v.isWriter(in), stalled: v.stalled(in),
			pauses: v.pauses(in), term: v.term,
		}
	}
	for _, e := range v.endpoints() {
		if len(e.Addresses) > 0 {
			p.Endpoints = append(p.Endpoints, e)
		}
	}
}

// view is one cluster in a snapshot.
type view struct {
	names     aurora.Names
	cluster   *aurora.DBCluster
	instances []aurora.DBInstance
	term      int64 // the highest seen
	firewall  Firewall
}

func (v *view) endpoints() []Endpoint {
	id, name, st := v.cluster.ResourceID, v.cluster.Spec.Identifier, v.cluster.Status
	writer := v.endpoint(id+"/writer", KindWriter, name, v.names.Writer(v.cluster), st.WriterEndpoint)
	reader := v.endpoint(id+"/reader", KindReader, name, v.names.Reader(v.cluster), st.ReaderEndpoint)
	all := make([]Endpoint, 0, len(v.instances)+2)
	var lagging []Backend
	for i := range v.instances {
		in := &v.instances[i]
		e := v.endpoint(in.ResourceID, KindInstance, in.Spec.Identifier, v.names.Instance(in), in.Status.Endpoint)
		if v.eligible(in) {
			e.Backends = []Backend{v.backend(in)}
		} else {
			e.Waiting, e.Hopeless = v.explain(in)
		}
		if v.isWriter(in) && v.eligible(in) {
			writer.Backends = []Backend{v.backend(in)}
		}
		switch {
		case v.isWriter(in) || !v.eligible(in) || in.DeleteRequested:
		case in.Status.Lagging:
			lagging = append(lagging, v.backend(in))
		default:
			reader.Backends = append(reader.Backends, v.backend(in))
		}
		if !in.DeleteRequested {
			all = append(all, e)
		}
	}
	if len(reader.Backends) == 0 { // old rows are better than the writer's time
		reader.Backends = lagging
	}
	if len(writer.Backends) > 0 {
		reader.Fallback = &writer.Backends[0]
	}
	writer.Waiting, writer.Hopeless = v.waiting()
	reader.Waiting, reader.Hopeless = writer.Waiting, writer.Hopeless
	all = append(all, writer, reader)
	for i := range v.cluster.Spec.CustomEndpoints {
		all = append(all, v.custom(&v.cluster.Spec.CustomEndpoints[i]))
	}
	return all
}

// custom leads to those of the chosen instances that have the role which the
// endpoint is for, and of these to those that do not lag, if there are any. Unlike
// the reader endpoint it never leads to the writer instead.
func (v *view) custom(c *aurora.CustomEndpoint) Endpoint {
	e := v.endpoint(v.cluster.ResourceID+"/"+c.ResourceID, KindCustom, c.Identifier, v.names.Custom(v.cluster, c), v.cluster.CustomAddress(c.ResourceID))
	var lagging []Backend
	e.Waiting, e.Hopeless = fmt.Sprintf("no member of the custom endpoint %s serves", c.Identifier), true
	for i := range v.instances {
		in := &v.instances[i]
		if in.DeleteRequested && !v.isWriter(in) || !c.Chooses(in.ResourceID) {
			continue
		}
		e.Hopeless = false
		fits := c.Type == aurora.EndpointTypeAny || v.isWriter(in) == (c.Type == aurora.EndpointTypeWriter)
		switch {
		case !fits || !v.eligible(in):
		case in.Status.Lagging:
			lagging = append(lagging, v.backend(in))
		default:
			e.Backends = append(e.Backends, v.backend(in))
		}
	}
	if len(e.Backends) == 0 {
		e.Backends = lagging
	}
	if v.cluster.Spec.Stopped != nil {
		e.Waiting, e.Hopeless = v.waiting()
	}
	return e
}

func (v *view) endpoint(id string, kind Kind, name, dnsName string, at aurora.Address) Endpoint {
	e := Endpoint{ID: id, Kind: kind, Name: name, DNSName: dnsName, Cluster: v.cluster.ResourceID, Port: rulePort(v.cluster), Firewall: v.firewall, ForceTLS: v.cluster.Spec.ForceSSL}
	if at.Host != "" && at.Port != 0 {
		e.Addresses = append(e.Addresses, net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	}
	if at.Published != "" {
		e.Addresses = append(e.Addresses, at.Published)
	}
	return e
}

// rulePort is the port that security group rules are written for: that of the
// cluster, or Aurora's, also where the region's default port had to move.
func rulePort(c *aurora.DBCluster) int {
	if c.Spec.Port != 0 {
		return c.Spec.Port
	}
	return firstPort
}

func (v *view) isWriter(in *aurora.DBInstance) bool {
	return in.ResourceID == v.cluster.Status.Writer
}

// eligible says whether new connections may go to the instance.
func (v *view) eligible(in *aurora.DBInstance) bool {
	role := aurora.RoleReader
	if v.isWriter(in) {
		role = aurora.RoleWriter
	}
	return serves(in) && !v.stalled(in) && !v.pauses(in) && in.Server.Role == role && in.Server.Term == v.term && v.cluster.Status.Term == v.term
}

// pauses says whether the instance hands the writer's role over and is about to
// stop.
func (v *view) pauses(in *aurora.DBInstance) bool {
	h := v.cluster.Status.Handover
	return h != nil && h.From == in.ResourceID && v.isWriter(in) && in.Server.Phase == aurora.PhaseStopping
}

// stalled says whether the instance is a writer whose log has no quorum: nothing
// can be written, and what is read there may be old.
func (v *view) stalled(in *aurora.DBInstance) bool {
	return in.Server.Stalled && v.isWriter(in) && in.Server.Role == aurora.RoleWriter
}

func serves(in *aurora.DBInstance) bool {
	return in.Server.Phase == aurora.PhaseRunning && in.Server.SocketDir != ""
}

// backend is the instance as a server. Who is not the current writer is no
// writer, whatever its report says.
func (v *view) backend(in *aurora.DBInstance) Backend {
	role := in.Server.Role
	if role == aurora.RoleWriter && (!v.isWriter(in) || in.Server.Term != v.term) {
		role = aurora.RoleNone
	}
	return Backend{
		Instance: in.ResourceID, Name: in.Spec.Identifier, Role: role, Term: in.Server.Term,
		Socket: filepath.Join(in.Server.SocketDir, socketName),
	}
}

// socketName is PostgreSQL's name of the socket in a server's SocketDir.
const socketName = ".s.PGSQL.5432"

// waiting says what the cluster is waiting for when it has no backend.
func (v *view) waiting() (reason string, hopeless bool) {
	c := v.cluster
	if len(v.instances) == 0 {
		return fmt.Sprintf("DB cluster %s has no DB instance", c.Spec.Identifier), true
	}
	for i := range v.instances {
		if v.isWriter(&v.instances[i]) {
			return v.explain(&v.instances[i])
		}
	}
	return fmt.Sprintf("DB cluster %s has no writer yet", c.Spec.Identifier), false
}

// explain says what an instance is waiting for, and whether that is in vain.
func (v *view) explain(in *aurora.DBInstance) (reason string, hopeless bool) {
	if v.cluster.Spec.Stopped != nil {
		return fmt.Sprintf("DB cluster %s is stopped", v.cluster.Spec.Identifier), true
	}
	return explain(in), false
}

func explain(in *aurora.DBInstance) string {
	s := fmt.Sprintf("DB instance %s is being prepared", in.Spec.Identifier)
	switch {
	case in.Server.Phase == aurora.PhaseRunning && in.Server.Stalled:
		return fmt.Sprintf("DB instance %s has lost the quorum of its log", in.Spec.Identifier)
	case in.Server.Phase == aurora.PhaseRunning:
		return fmt.Sprintf("DB instance %s is taking over its role", in.Spec.Identifier)
	case in.Server.Phase == aurora.PhaseNone, in.Server.Phase == aurora.PhaseRemoved:
	default:
		s = fmt.Sprintf("DB instance %s is %s", in.Spec.Identifier, in.Server.Phase)
	}
	if in.Server.Message != "" {
		s += ": " + in.Server.Message
	}
	return s
}
