package endpoint

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// State is what a session is doing, in the words of pg_stat_activity.
type State string

const (
	StateAuthenticating State = "authenticating"
	StateActive         State = "active"
	StateIdle           State = "idle"
	StateInTransaction  State = "idle in transaction"
	StateAborted        State = "idle in transaction (aborted)"
)

// Session is what is known of a session.
type Session struct {
	ID       uint64         `json:"id"`
	Endpoint string         `json:"endpoint"`
	Cluster  string         `json:"cluster"`  // resource id
	Instance string         `json:"instance"` // resource id
	PID      uint32         `json:"pid"`      // of the backend process; 0 before it has said
	Client   netip.AddrPort `json:"client"`
	TLS      bool           `json:"tls"`
	User     string         `json:"user"`
	Database string         `json:"database"`
	App      string         `json:"applicationName,omitempty"` // at the start
	Start    time.Time      `json:"start"`
	State    State          `json:"state"`
	Since    time.Time      `json:"since"` // of State
}

// session is a client and a backend joined together.
type session struct {
	proxy   *Proxy
	visitor *visitor
	about   Session // all but ID, State and Since; Instance and PID are of mu
	id      uint64
	cluster string
	said    []byte // by the backend, and not looked at

	client  net.Conn
	toward  *stream // from the client
	replies *stream // from the backend

	// Of the proxy's mu.
	key, backendKey cancelKey

	// To be changed with the proxy's mu and mu, in this order.
	backend Backend

	mu     sync.Mutex
	server *net.UnixConn
	wake   sync.Cond // requests may be sent again, perhaps
	progress
	departure
	doubt    doubt
	sifting  bool     // replies are looked at one by one
	verdict  verdict  // on the current reply, then
	over     bool     // nothing is relayed any more
	ending   *refusal // why the session is being ended by us
	draining *refusal // why it is to be ended between transactions
	grace    *time.Timer
}

// progress is how far a session is, by the heads of the messages.
type progress struct {
	ready   bool  // authenticated
	left    bool  // the client has said goodbye or closed its side
	pending int   // requests that a ReadyForQuery is to answer
	open    bool  // something has been sent since, without such a request
	copying bool  // the backend takes COPY data, and no Sync
	simple  bool  // the last such request was a simple query
	status  byte  // of the last ReadyForQuery
	changed int64 // when the state became what it is, Unix nanoseconds
}

func newSession(v *visitor, s startup, l *link) (*session, error) {
	e := v.front.current.Load()
	x := &session{
		proxy: v.front.proxy, visitor: v, cluster: e.Cluster, backend: l.backend, said: l.said,
		client: v.peer, server: l.conn,
		about: Session{
			Endpoint: e.ID, Cluster: e.Cluster, Instance: l.backend.Instance,
			Client: v.addr, TLS: v.encrypted(), User: s.get("user"), Database: s.database(),
			App: s.get("application_name"), Start: time.Now(),
		},
	}
	x.changed = x.about.Start.UnixNano()
	x.wake.L = &x.mu
	if x.proxy.config.Verifier != nil && (e.Kind == KindWriter || e.Kind == KindReader) && l.backend.Role == aurora.RoleWriter {
		x.has = newBelongings(s)
		x.has.admitted = v.admitted
	}
	var err error
	if x.toward, err = newStream(x.client, x.proxy.buffers); err != nil {
		return nil, err
	}
	x.replies, err = newReplies(l, x.proxy.buffers)
	return x, err
}

func (s *session) describe() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.about
	d.ID, d.State, d.Since = s.id, s.state(), time.Unix(0, s.changed)
	return d
}

func (p *progress) state() State {
	switch {
	case !p.ready:
		return StateAuthenticating
	case !p.idle():
		return StateActive
	case p.status == 'T':
		return StateInTransaction
	case p.status == 'E':
		return StateAborted
	}
	return StateIdle
}

// idle says whether the backend waits for the client.
func (p *progress) idle() bool { return p.ready && p.pending == 0 && !p.open }

// between says whether the session is between transactions, with nothing on its
// way that the backend could carry out.
func (p *progress) between() bool { return p.idle() && p.status == 'I' }

// request notes the end of a message of the client.
func (p *progress) request(typ byte) {
	switch typ {
	case 'Q', 'F': // Query, FunctionCall
		p.pending++
		p.open, p.simple = false, typ == 'Q'
	case 'S': // Sync, which a backend in COPY ignores
		if !p.copying {
			p.pending++
			p.open, p.simple = false, false
		}
	case 'c', 'f': // CopyDone, CopyFail
		p.copying = false
		p.open = p.open || p.pending == 0
	case 'X': // Terminate
		p.left = true
	default:
		p.open = p.ready
	}
}

// reply notes the end of a message of the backend; last is its last byte.
func (p *progress) reply(typ, last byte) {
	switch typ {
	case 'Z': // ReadyForQuery
		if p.ready {
			p.pending = max(0, p.pending-1)
		}
		p.ready, p.status, p.copying = true, last, false
		if p.pending == 0 {
			p.open = false
		}
	case 'G', 'W': // CopyInResponse, CopyBothResponse: what was sent after the COPY is ignored
		p.copying = true
		if p.simple {
			p.pending = 1
		} else {
			p.pending = 0
			p.open = true
		}
	}
}

// end ends the session as soon as no message is cut in two.
func (s *session) end(why *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
}

func (s *session) endLocked(why *refusal) {
	if s.ending != nil {
		return
	}
	s.ending = why
	s.interruptLocked()
	past := time.Unix(1, 0)
	_ = s.server.SetReadDeadline(past)
	_ = s.client.SetReadDeadline(past)
	_ = s.client.SetWriteDeadline(time.Now().Add(sayLimit))
}

// drainLocked ends the session when it is between transactions, at the latest
// after the grace period.
func (s *session) drainLocked(why *refusal, grace time.Duration) {
	if s.draining != nil {
		return
	}
	s.draining = why
	if s.between() {
		s.endLocked(why)
		return
	}
	s.grace = time.AfterFunc(grace, func() { s.end(why) })
}
