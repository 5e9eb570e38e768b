package endpoint

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config of the endpoints of one host.
type Config struct {
	Store    *state.Store // of Run only
	PKI      *pki.CA
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil: no metrics
	// HostID is this host's; Layout says where its servers' sockets are, and those
	// that lead to other hosts. Of Run only.
	HostID string
	Layout layout.Layout
	// Publish is the IP address of this host at which endpoints are published, if
	// they are.
	Publish string

	// DNSAddr is the host:port at which Names are served, if there are any. Of Run only.
	DNSAddr string

	// LoopbackAs is the address, inside the default VPC, that a client on
	// loopback counts as for security groups. Invalid: it counts as itself.
	LoopbackAs netip.Addr
	// Names gives endpoints names in the DNS, which are in their certificates.
	Names aurora.Names

	// Verifier returns PostgreSQL's stored form of a role's password
	// (SCRAM-SHA-256$…) as the server of a backend has it. With it, sessions are
	// carried over to another server. Nil: none is.
	Verifier func(ctx context.Context, cluster aurora.DBCluster, b Backend, user string) (verifier string, err error)

	// CheckToken says why somebody is not let in with a token of IAM. Nil: nobody is.
	CheckToken func(ctx context.Context, l Login) error

	Limits Limits
}

// Limits of the endpoints of one host. A zero value means the default.
type Limits struct {
	Startup    time.Duration // for TLS and the startup packet; 10 s
	Answer     time.Duration // for a server's first answer; 10 s
	Hold       time.Duration // how long a connection waits for a server; 30 s
	Held       int           // connections that wait, per endpoint; 1000
	Handshakes int           // connections before their startup packet, per endpoint; 1024
	Sessions   int           // on this host; what the limit of open files allows
	DrainGrace time.Duration // for sessions on an instance that is deleted; Aurora's 3 min
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Startup, 10*time.Second)
	setDefault(&l.Answer, 10*time.Second)
	setDefault(&l.Hold, 30*time.Second)
	setDefault(&l.Held, 1000)
	setDefault(&l.Handshakes, 1024)
	setDefault(&l.Sessions, sessionsByFiles())
	setDefault(&l.DrainGrace, 3*time.Minute)
	return l
}

func setDefault[T int | time.Duration](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}

// sessionsByFiles is how many sessions, of two sockets each, the limit of open
// files allows.
func sessionsByFiles() int {
	const others, most = 512, 100_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 200
	}
	return int(max(64, (min(limit.Cur, 2*most)-others)/2))
}

// Proxy serves endpoints.
type Proxy struct {
	config  Config
	limits  Limits
	router  *Router
	metrics *metrics
	log     *slog.Logger
	buffers *buffers
	running sync.WaitGroup // listeners and connections
	moves   moves
	guard   guard

	mu       sync.Mutex
	closed   bool
	plan     Plan
	fronts   map[string]*front
	names    directory
	sessions map[*session]struct{}
	keys     map[cancelKey]*session
	load     map[string]int // connections by instance, those being made included
	lastID   uint64
}

// NewProxy returns a proxy that serves nothing yet.
func NewProxy(c Config) *Proxy {
	p := &Proxy{
		config: c, limits: c.Limits.withDefaults(), router: NewRouter(c.Names), log: c.Logger, buffers: newBuffers(),
		fronts: map[string]*front{}, sessions: map[*session]struct{}{},
		keys: map[cancelKey]*session{}, load: map[string]int{}, moves: newMoves(), guard: guard{seen: map[attempt]*failures{}},
	}
	p.metrics = newMetrics(c.Registry, func() float64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return float64(len(p.sessions))
	})
	return p
}

// Apply serves what the snapshot asks for: it opens and closes listeners, leads
// new connections to the right servers, and ends sessions that must not go on.
// Listeners live until a later Apply takes them away or ctx ends. Calls must not
// overlap.
func (p *Proxy) Apply(ctx context.Context, s Snapshot) {
	plan := p.router.Plan(s)
	p.names.update(plan)
	p.mu.Lock()
	p.plan = plan
	wanted := map[string]bool{}
	for _, e := range plan.Endpoints {
		wanted[e.ID] = true
		if p.fronts[e.ID] == nil {
			p.fronts[e.ID] = newFront(p, e)
		}
	}
	fronts, sessions := maps.Clone(p.fronts), slices.Collect(maps.Keys(p.sessions))
	maps.DeleteFunc(p.fronts, func(id string, _ *front) bool { return !wanted[id] })
	p.mu.Unlock()

	for id, f := range fronts {
		if !wanted[id] {
			f.close()
		}
	}
	for _, e := range plan.Endpoints {
		fronts[e.ID].update(ctx, e)
	}
	for _, s := range sessions {
		s.judge(plan)
	}
}

// Wait returns when, after the end of the context of Apply, all listeners are
// closed and all sessions have been told and are over.
func (p *Proxy) Wait() {
	p.mu.Lock()
	p.closed = true
	sessions := slices.Collect(maps.Keys(p.sessions))
	p.mu.Unlock()
	for _, s := range sessions {
		s.end(&refusal{codeAdminShutdown, "terminating connection: the endpoint is being restarted", ""})
	}
	p.running.Wait()
}

// add takes a session into the registry, unless its backend has become wrong
// while it was being connected to.
func (p *Proxy) add(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fate, _ := p.plan.Fate(s.backend); fate != Keep || p.closed {
		return false
	}
	p.lastID++
	s.id = p.lastID
	p.sessions[s] = struct{}{}
	return true
}

func (p *Proxy) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
	delete(p.keys, s.key)
	p.releaseLocked(s.backend)
}

// Listener is an address that an endpoint is to be reached at.
type Listener struct {
	Endpoint string `json:"endpoint"`
	Address  string `json:"address"`
	Problem  string `json:"problem,omitempty"` // why nothing listens there now
}

// Listeners returns all addresses, ordered by endpoint and address.
func (p *Proxy) Listeners() []Listener {
	p.mu.Lock()
	fronts := maps.Clone(p.fronts)
	p.mu.Unlock()
	var all []Listener
	for _, id := range slices.Sorted(maps.Keys(fronts)) {
		all = append(all, fronts[id].listening()...)
	}
	return all
}

// Sessions returns what is known of every session, the oldest first.
func (p *Proxy) Sessions() []Session {
	p.mu.Lock()
	sessions := slices.Collect(maps.Keys(p.sessions))
	p.mu.Unlock()
	all := make([]Session, 0, len(sessions))
	for _, s := range sessions {
		all = append(all, s.describe())
	}
	slices.SortFunc(all, func(a, b Session) int { return int(a.ID) - int(b.ID) })
	return all
}

func sameEndpoint(a, b Endpoint) bool { return reflect.DeepEqual(a, b) }
