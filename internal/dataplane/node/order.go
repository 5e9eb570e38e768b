package node

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// order is all that the nouns say about one server. Orders are compared with ==.
type order struct {
	instance, cluster, zone string
	host                    string // that the instance is to be on
	leader                  string // the host that leads the log: the writer's, which is a reader's upstream
	task                    aurora.Task
	generation, restart     int64
	class                   string
	scaling                 aurora.ServerlessV2Scaling

	clusterGeneration  int64
	master             postgres.Master
	passwordGeneration int64
	database           string
	parameters         string // JSON
	parameterGen       int64
	systemIdentifier   string
	logZones, logHosts string // joined by commas
	osUser             int
	secret             string // sealed
}

// order reads the order for an instance; false when the instance is gone.
func (n *node) order(id string) (order, bool) {
	item, ok := n.instances.Get(id)
	if !ok {
		return order{}, false
	}
	in := item.Value
	cluster, ok := n.clusters.Get(in.Spec.ClusterResourceID)
	if !ok || len(cluster.Value.Status.InternalSecret) == 0 {
		return order{}, false // the mirror of clusters is behind that of instances
	}
	spec, st := cluster.Value.Spec, cluster.Value.Status
	o := order{
		instance: id, cluster: cluster.Key, zone: in.Status.AvailabilityZone, host: in.Status.Host,
		leader: in.Status.Host,
		task:   in.Status.Task, generation: in.Generation, restart: in.Spec.RestartGeneration, class: in.Spec.Class,
		clusterGeneration:  cluster.Value.Generation,
		master:             postgres.Master{Name: spec.MasterUsername, Verifier: spec.MasterUserVerifier},
		passwordGeneration: spec.MasterPasswordGeneration,
		database:           spec.DatabaseName,
		systemIdentifier:   st.SystemIdentifier,
		logZones:           strings.Join(st.LogZones, ","),
		logHosts:           strings.Join(st.LogHosts, ","),
		osUser:             st.OSUser,
		secret:             string(st.InternalSecret),
	}
	// The task, and not the cluster, says who leads: the mirror of clusters may be
	// behind.
	if o.task.Role == aurora.RoleReader {
		o.leader = n.hostOf(o.task.Upstream)
	}
	if spec.ServerlessV2 != nil {
		o.scaling = *spec.ServerlessV2
	}
	text, _ := json.Marshal(in.Spec.Parameters) // strings always have JSON
	o.parameters, o.parameterGen = string(text), in.Spec.ParameterGeneration
	return o, true
}

// supersedes says whether work on the order before is in vain now.
func (o order) supersedes(before order) bool {
	a, b := o.task, before.task
	return o.host != before.host || o.leader != before.leader || a.Role != b.Role || a.Term != b.Term || a.Upstream != b.Upstream
}

// server names the order's server. It can be adopted and stopped; start needs the
// installation too.
func (n *node) server(o order) (postgres.Server, error) {
	secret, err := n.config.Keyring.Open([]byte(o.secret), aurora.InternalSecretPurpose(o.cluster))
	if err != nil {
		return postgres.Server{}, fmt.Errorf("internal secret of %s: %w", o.cluster, err)
	}
	s := postgres.Server{
		Name: o.instance, UID: o.osUser,
		Dir:       n.config.Layout.Instance(o.zone, o.cluster, o.instance),
		SocketDir: n.config.Layout.InstanceSocketDir(o.instance),
		Reach:     []string{n.config.Layout.Feeds(), n.config.Layout.Mirrored()},
	}
	return s, s.DerivePasswords(secret)
}

// settings of the order's server on this host. max_connections follows from the
// host and not from the class, also in formulas: a reader must not have fewer than
// its writer.
func (n *node) settings(o order) postgres.Config {
	const perConnection, fewest, most = 9531392, 100, 5000 // Aurora's formula
	share := n.config.MemoryBytes / memoryShares
	c := postgres.Config{
		Memory:     aurora.InstanceMemory(o.class, &o.scaling, share),
		Parameters: map[string]string{},
	}
	_ = json.Unmarshal([]byte(o.parameters), &c.Parameters) // made by order
	if c.Parameters == nil {
		c.Parameters = map[string]string{}
	}
	ofClass := parameter.Class{Memory: c.Memory, VCPUs: min(aurora.ClassVCPUs(o.class, c.Memory), runtime.NumCPU())}
	evaluate(c.Parameters, ofClass, parameter.Class{Memory: share, VCPUs: runtime.NumCPU()})
	if c.Parameters["max_connections"] == "" {
		c.Parameters["max_connections"] = strconv.FormatInt(max(fewest, min(share/perConnection, most)), 10)
	}
	c.Upstream = &postgres.Upstream{SocketDir: n.at(o.leader).FeedDir(o.cluster)}
	return c
}

// limits keep a server that goes wrong from taking the host along: twice the memory
// of its class, for the page cache counts too, and more processes than it has any use
// for.
func (n *node) limits(o order) contain.Limits {
	const least, otherProcesses = 1 << 30, 512
	c := n.settings(o)
	connections, err := strconv.Atoi(c.Parameters["max_connections"])
	if err != nil {
		connections = 5000 // the most that Aurora's formula gives
	}
	return contain.Limits{Memory: max(2*c.Memory, least), Processes: connections + otherProcesses}
}

// evaluate puts numbers in the place of formulas. One that has no value stays, and
// PostgreSQL says so.
func evaluate(parameters map[string]string, ofClass, ofHost parameter.Class) {
	for name, value := range parameters {
		p, ok := parameter.Find(name)
		if !ok || p.Type == "string" || !parameter.IsFormula(value) {
			continue
		}
		class := ofClass
		if p.BoundToWriter() {
			class = ofHost
		}
		if n, err := parameter.Evaluate(value, class); err == nil {
			parameters[name] = strconv.FormatInt(n, 10)
		}
	}
}

// source is the server that a new reader is copied from.
func (n *node) source(o order) postgres.Upstream {
	return postgres.Upstream{SocketDir: n.at(o.leader).InstanceSocketDir(o.task.Upstream)}
}

// hostOf is the host of an instance; empty when there is no such instance.
func (n *node) hostOf(instance string) string {
	item, _ := n.instances.Get(instance)
	return item.Value.Status.Host
}

// at names the sockets of a host.
func (n *node) at(host string) layout.Layout {
	if host == "" || host == n.config.HostID {
		return n.config.Layout
	}
	return n.config.Layout.Via(host)
}

// logAt is the log process of a host.
func (n *node) logAt(host string) *wal.Client {
	if host == "" || host == n.config.HostID {
		return n.wal
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.others[host] == nil {
		n.others[host] = wal.NewClient(n.at(host).LogSocket())
	}
	return n.others[host]
}
