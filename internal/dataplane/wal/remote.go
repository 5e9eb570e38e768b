package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// What is ordered of copies on other hosts.
const (
	opState    = "state"
	opPromise  = "promise"
	opTruncate = "truncate"
	opFill     = "fill"
	opAdopt    = "adopt"
	opBegin    = "begin"
	opJoin     = "join"
	opMembers  = "members"
	opFormat   = "format"
	opRebuild  = "rebuild"
	opRebuilt  = "rebuilt"
	opRead     = "read"
	opScan     = "scan"
	opAppend   = "append"
	opTrim     = "trim"
	opFail     = "fail"
	opPatch    = "patch"
	opAway     = "away"
)

const (
	// bulkLimit is how long WAL may be on its way that nobody waits for.
	bulkLimit = 10 * time.Second
	// pollLimit is how long a host may take to say how its copies are.
	pollLimit = time.Second
	// pollInterval is how often the host that leads a log asks the others.
	pollInterval = 500 * time.Millisecond
)

var (
	// errUnheard says that a copy was not asked yet.
	errUnheard = errors.New("the copy's host was not asked yet")
	// errChanged says that a copy is not any more what an order was given for.
	errChanged = errors.New("the copy has changed meanwhile")
)

// remote is a copy on another host.
//
// Its State is the last that the copy has said, and may be old: the copy may have
// promised itself to others, or be lost. That is safe. Every step is checked by the
// copy itself, against the state that it has then; a step that was decided on an
// old state is refused. What is decided here, on several copies' states, holds for
// old states too:
//
//   - advance counts a copy that had a byte as the ballot's. Acknowledgements are
//     of the past anyway: whoever has promised a higher ballot since has told that
//     ballot's owner of the byte. What must not happen is that the state from
//     before a loss takes the place of one from after it; stamps see to that.
//   - catchUp and Join compare with a state of a copy that was the ballot's. Such
//     a copy has had everything that was committed before the ballot, at any time.
//   - revoke, Open and Resume use the states in the answers to Promise.
//   - readFrom uses the state that the copy had when it was read.
//   - rebuild and create must know what others are now, and ask them.
type remote struct {
	via     transport
	ctx     context.Context // of the log
	cluster string
	host    string
	name    copyName

	mu        sync.Mutex
	epoch     uint64 // of the process that answered last
	stamp     uint64 // of that answer
	shape     uint64
	state     State
	problem   error
	bad       []LSN
	disk      string
	committed LSN
}

func newRemote(ctx context.Context, via transport, cluster string, at Place) *remote {
	return &remote{via: via, ctx: ctx, cluster: cluster, host: at.Host, name: copyName{Zone: at.Zone, Number: at.Number}, problem: errUnheard}
}

// State returns what the copy has said last.
func (r *remote) State() (State, error) {
	err := r.via.reachable()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		err = r.problem
	}
	return r.state, err
}

// known is what an answer may leave out.
type known struct {
	shape uint64
	state State
	disk  string
}

func (r *remote) known() known {
	r.mu.Lock()
	defer r.mu.Unlock()
	return known{r.shape, r.state, r.disk}
}

// note takes what the copy was at a moment, if nothing newer is known, and returns
// it as a whole.
func (r *remote) note(epoch uint64, s *copyState, base known) (State, error) {
	full := base.state
	if s.State != nil {
		full, base.disk = *s.State, s.Disk
	} else if s.Shape != base.shape {
		return State{}, fmt.Errorf("copy %d of host %s did not say what it is", r.name.Number, r.host)
	}
	full.End, full.Committed = s.End, s.Committed
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch > r.epoch || epoch == r.epoch && s.Stamp > r.stamp {
		r.epoch, r.stamp, r.shape, r.state, r.disk = epoch, s.Stamp, s.Shape, full, base.disk
		r.problem, r.bad = s.Problem.err(), s.Damaged
	}
	return full, s.Problem.err()
}

// do orders something of the copy and returns its state after that, and the
// error of what was ordered.
func (r *remote) do(limit time.Duration, q copyRequest, data []byte) (State, copyAnswer, []byte, error) {
	base := r.known()
	q.Cluster, q.Copies = r.cluster, []copyName{r.name}
	q.Copies[0].Shape = base.shape
	a, body, err := r.via.call(r.ctx, &q, data, limit)
	if err != nil {
		return base.state, a, nil, err
	}
	if len(a.Copies) != 1 {
		if err := a.Error.err(); err != nil {
			return base.state, a, nil, err
		}
		return base.state, a, nil, fmt.Errorf("host %s said nothing of copy %d", r.host, r.name.Number)
	}
	s, problem := r.note(a.epoch, &a.Copies[0], base)
	if err := a.Error.err(); err != nil {
		return s, a, body, err
	}
	if q.Op == opState {
		return s, a, body, problem
	}
	return s, a, body, nil
}

func (r *remote) step(q copyRequest) error {
	_, _, _, err := r.do(callLimit, q, nil)
	return err
}

// Promise returns the state after the promise: if there was a higher one since
// then, it is refused.
func (r *remote) Promise(b Ballot) (State, error) {
	s, _, _, err := r.do(callLimit, copyRequest{Op: opPromise, Ballot: b}, nil)
	if err == nil && s.Promised != b {
		err = fmt.Errorf("term %s was promised: %w", s.Promised, ErrStale)
	}
	return s, err
}

func (r *remote) Truncate(b Ballot, newer State) error {
	return r.step(copyRequest{Op: opTruncate, Ballot: b, State: &newer})
}

func (r *remote) Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error {
	_, _, _, err := r.do(bulkLimit, copyRequest{Op: opFill, Ballot: b, Terms: terms, At: at}, data)
	return err
}

func (r *remote) Adopt(b Ballot, newer State, end LSN) error {
	return r.step(copyRequest{Op: opAdopt, Ballot: b, State: &newer, End: end})
}

func (r *remote) Begin(b Ballot, terms []TermBegin, h History, begin LSN) error {
	return r.step(copyRequest{Op: opBegin, Ballot: b, Terms: terms, History: h, At: begin})
}

func (r *remote) Join(b Ballot, newer State) error {
	return r.step(copyRequest{Op: opJoin, Ballot: b, State: &newer})
}

func (r *remote) SetMembers(b Ballot, m *Members) error {
	return r.step(copyRequest{Op: opMembers, Ballot: b, Members: m})
}

// Rebuild makes the copy anew, if it is as it was known to be: a late order must
// not destroy what others have rebuilt.
func (r *remote) Rebuild(from State) error {
	return r.step(copyRequest{Op: opRebuild, State: &from})
}

func (r *remote) Rebuilt(newer State) error {
	return r.step(copyRequest{Op: opRebuilt, State: &newer})
}

// format makes the copy an empty one, if it was known to be blank and is.
func (r *remote) format(s State) error {
	return r.step(copyRequest{Op: opFormat, State: &s})
}

func (r *remote) ReadAt(p []byte, at LSN) (State, error) {
	s, _, body, err := r.do(callLimit, copyRequest{Op: opRead, At: at, Size: len(p)}, nil)
	if err != nil {
		return s, err
	}
	if copy(p, body) != len(p) {
		return s, errShort
	}
	return s, nil
}

func (r *remote) RecordEnd(start, limit LSN) (LSN, error) {
	_, a, _, err := r.do(callLimit, copyRequest{Op: opScan, At: start, End: limit}, nil)
	return a.LSN, err
}

func (r *remote) Trim(b Ballot, before LSN) error {
	r.mu.Lock()
	committed := r.committed
	r.mu.Unlock()
	_, _, _, err := r.do(bulkLimit, copyRequest{Op: opTrim, Ballot: b, At: before, Committed: committed}, nil)
	return err
}

// refresh asks the copy what it is.
func (r *remote) refresh() (State, error) {
	s, _, _, err := r.do(pollLimit, copyRequest{Op: opState}, nil)
	return s, err
}

// noteCommitted remembers what the copy is told with the next append.
func (r *remote) noteCommitted(lsn LSN) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.committed = max(r.committed, lsn)
}

func (r *remote) fail(err error) {
	if stepErr := r.step(copyRequest{Op: opFail, Reason: err.Error()}); stepErr != nil {
		slog.Warn("wal: a copy was not taken out of service", "host", r.host, "copy", r.name.Number, "why", err, "error", stepErr)
	}
}

func (r *remote) damaged() []LSN {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bad
}

func (r *remote) patch(at LSN, data []byte, terms []TermBegin) error {
	_, _, _, err := r.do(callLimit, copyRequest{Op: opPatch, At: at, Terms: terms}, data)
	return err
}

// These are matters of the copy's own host; Rebuild forgets there.
func (r *remote) forgetIfLost() bool { return false }
func (r *remote) forget()            {}

func (r *remote) awayFor(d time.Duration, share float64) {
	go func() {
		if err := r.step(copyRequest{Op: opAway, Away: &injectRequest{Interval: d, Percentage: share}}); err != nil {
			slog.Warn("wal: a copy was not taken away", "host", r.host, "copy", r.name.Number, "error", err)
		}
	}()
}

func (r *remote) place() (host, disk string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.host, r.disk
}

// hostGroup is the copies on one other host.
type hostGroup struct {
	via    transport
	ctx    context.Context
	copies []*remote
}

// Append adds bytes to the copies that end where they begin, by one request.
// Others are left to repair.
func (g *hostGroup) Append(b Ballot, at LSN, data []byte) error {
	end := at + LSN(len(data))
	var who []*remote
	for _, r := range g.copies {
		if s, err := r.State(); err == nil && s.open(b) && s.End >= at && s.End < end {
			who = append(who, r)
		}
	}
	var err error
	if len(who) > 0 {
		err = g.ask(callLimit, copyRequest{Op: opAppend, Ballot: b, At: at}, data, who)
	}
	for _, r := range g.copies {
		s, problem := r.State()
		switch {
		case s.Promised.compare(b) > 0:
			err = errors.Join(err, ErrStale)
		case problem != nil:
			err = errors.Join(err, problem)
		case !s.open(b) || s.End < end:
			err = errors.Join(err, errGap)
		}
	}
	return err
}

// ask orders the same of several copies, and notes their states.
func (g *hostGroup) ask(limit time.Duration, q copyRequest, data []byte, who []*remote) error {
	base := make([]known, len(who))
	for i, r := range who {
		base[i] = r.known()
		name := r.name
		name.Shape = base[i].shape
		q.Copies = append(q.Copies, name)
		r.mu.Lock()
		q.Cluster, q.Committed = r.cluster, max(q.Committed, r.committed)
		r.mu.Unlock()
	}
	a, _, err := g.via.call(g.ctx, &q, data, limit)
	if err != nil {
		return err
	}
	for i := range a.Copies[:min(len(a.Copies), len(who))] {
		_, _ = who[i].note(a.epoch, &a.Copies[i], base[i])
	}
	return a.Error.err()
}

// poll asks a host how its copies are. One that has promised a higher ballot has
// another leader, or will have.
func (l *Log) poll(g *hostGroup) {
	b, leads := l.leads()
	if !leads || g.via.reachable() != nil {
		return
	}
	if g.ask(pollLimit, copyRequest{Op: opState, Ballot: b}, nil, g.copies) != nil {
		return
	}
	behind := false
	for _, r := range g.copies {
		state, err := r.State()
		if state.Promised.compare(b) > 0 {
			l.stepDown(b)
			return
		}
		behind = behind || err != nil || !state.open(b)
	}
	l.advance(b)
	if behind {
		l.Repair()
	}
}
