package endpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// patience is how long a session whose backend was shut down waits for the
	// news that this was for a hand-over.
	patience = time.Second
	// movesAtOnce bounds the sessions that log in at another backend.
	movesAtOnce = 32
)

// moves are the sessions on their way to another backend.
type moves struct {
	places    chan struct{}
	verifiers *singleflight.Group
}

func newMoves() moves {
	return moves{places: make(chan struct{}, movesAtOnce), verifiers: &singleflight.Group{}}
}

// carryOver takes a session whose backend is gone to the one that its endpoint
// leads to now. False: the session is over.
func (s *session) carryOver(ctx context.Context, w *walker) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.depart(w, cancel) {
		return false
	}
	_ = s.server.Close()
	if !s.awaitHandover(ctx) {
		return false
	}
	err := s.move(ctx)
	if err == nil {
		s.proxy.metrics.carried.WithLabelValues("carried").Inc()
		return true
	}
	s.proxy.metrics.carried.WithLabelValues("closed").Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.left {
		s.endLocked(&refusal{codeAdminShutdown, fmt.Sprintf("%s; the session cannot go on at another server: %v", s.handover.message, err), ""})
	}
	return false
}

// depart says whether the session can go on without its backend. Then requests
// wait, and cancel is called when it ends nevertheless.
func (s *session) depart(w *walker, cancel func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.left || s.ending != nil || !w.between() || !s.ready || !s.between():
		return false
	case s.handover == nil && !(s.parted && sqlState(s.parting[headerBytes:]) == codeAdminShutdown):
		return false
	case !s.portable():
		if s.handover != nil {
			s.endLocked(s.stays())
		}
		return false
	}
	s.parted, s.cancel, s.news = true, cancel, make(chan struct{})
	if s.handover != nil {
		close(s.news)
	}
	return true
}

// stays is the refusal of a session that cannot be carried over.
func (s *session) stays() *refusal {
	r := *s.handover
	r.hint = "Sessions of cluster endpoints go on at the new writer when they have no settings, temporary objects or other state of their own."
	return &r
}

// awaitHandover waits for the news that the backend has left for a hand-over.
func (s *session) awaitHandover(ctx context.Context) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.news:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// move finds another backend, and waits for one while there is none.
func (s *session) move(ctx context.Context) error {
	p, f := s.proxy, s.visitor.front
	h := hold{visitor: s.visitor, deadline: time.Now().Add(p.limits.Hold), delay: firstLook, moves: true}
	for {
		o := f.current.Load()
		err := s.moveBy(ctx, o.Endpoint)
		var r *refusal
		switch {
		case err == nil:
			return nil
		case errors.As(err, &r) || ctx.Err() != nil:
			return err
		case o.Hopeless:
			return errors.New(o.Waiting)
		case errors.Is(err, errNoBackend):
			err = nil
		default:
			p.log.Debug("session not carried over yet", "endpoint", o.ID, "error", err)
		}
		if err := h.wait(ctx, o, err); err != nil {
			return err
		}
	}
}

// errNoBackend says that an endpoint leads nowhere now.
var errNoBackend = errors.New("no server can be reached")

// moveBy takes the session to a backend of an endpoint. A refusal as error is the
// last word.
func (s *session) moveBy(ctx context.Context, e Endpoint) error {
	p := s.proxy
	b, ok := e.any()
	if !ok {
		return errNoBackend
	}
	login := func(l *link) error { _, err := l.nextAuth(authOK); return err }
	if !s.has.admitted {
		keys, err := p.askVerifier(ctx, s.cluster, b, s.has.startup.get("user"))
		if err != nil {
			return err
		}
		clientKey, ok := s.has.scram.clientKey(keys)
		if !ok {
			return &refusal{codeAdminShutdown, "the password of the role was changed", ""}
		}
		login = func(l *link) error { return l.authenticate(keys, clientKey) }
	}
	select {
	case p.moves.places <- struct{}{}:
		defer func() { <-p.moves.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l, err := p.reach(ctx, e, s.has.startup)
	if err != nil {
		return err
	}
	if l == nil {
		return errNoBackend
	}
	if err = s.settle(ctx, l, login); err != nil {
		_ = l.conn.Close()
		p.release(l.backend)
	}
	return err
}

// any returns one of the servers that an endpoint leads to.
func (e Endpoint) any() (Backend, bool) {
	switch {
	case len(e.Backends) > 0:
		return e.Backends[0], true
	case e.Fallback != nil:
		return *e.Fallback, true
	}
	return Backend{}, false
}

// askVerifier asks for the keys of a role, once for all sessions that ask now.
func (p *Proxy) askVerifier(ctx context.Context, cluster string, b Backend, user string) (scramKeys, error) {
	p.mu.Lock()
	c := p.plan.clusters[cluster]
	p.mu.Unlock()
	result := p.moves.verifiers.DoChan(fmt.Sprintf("%s/%d/%s", b.Instance, b.Term, user), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.limits.Answer)
		defer cancel()
		return p.config.Verifier(ctx, c, b, user)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return scramKeys{}, fmt.Errorf("the role's verifier cannot be read: %w", r.Err)
		}
		return parseVerifier(r.Val.(string))
	case <-ctx.Done():
		return scramKeys{}, ctx.Err()
	}
}

// settle logs in at a backend, makes there what the session has, and goes on with
// it.
func (s *session) settle(ctx context.Context, l *link, login func(*link) error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()
	if err := l.conn.SetDeadline(time.Now().Add(s.proxy.limits.Answer)); err != nil {
		return err
	}
	if err := login(l); err != nil {
		return lastWord(err)
	}
	told, key, err := l.welcome()
	if err != nil {
		return lastWord(err)
	}
	if err := l.replay(s.has.replay()); err != nil {
		return lastWord(err)
	}
	if err := l.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	replies, err := newReplies(l, s.proxy.buffers)
	if err != nil {
		return err
	}
	err = ctx.Err()
	if stop() {
		err = s.arrive(l, replies, told, key)
	}
	if err != nil {
		replies.close()
	}
	return err
}

// arrive makes the backend the session's own.
func (s *session) arrive(l *link, replies *stream, told map[string]string, key cancelKey) error {
	p := s.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil || s.left {
		return errEnding
	}
	if fate, _ := p.plan.Fate(l.backend); fate != Keep || p.closed {
		return errors.New("the server is changing its role")
	}
	p.releaseLocked(s.backend)
	s.replies.close()
	s.backend, s.backendKey, s.server, s.replies = l.backend, key, l.conn, replies
	s.about.Instance, s.about.PID = l.backend.Instance, key.pid
	s.said = append(s.has.news(told), l.said...)
	s.progress = progress{ready: true, status: 'I', changed: s.changed}
	s.departure = departure{has: s.has}
	s.wake.Broadcast()
	return nil
}

// serverError is a backend's ErrorResponse.
type serverError struct{ code, message string }

func (e *serverError) Error() string { return e.message }

// lastWord makes an error final that another attempt would meet again.
func lastWord(err error) error {
	var e *serverError
	if !errors.As(err, &e) || slices.Contains([]string{"53", "57"}, e.code[:min(2, len(e.code))]) {
		return err // the connection broke, or resources lack, or the server is not ready
	}
	return &refusal{codeAdminShutdown, e.message, ""}
}

// answer returns the next message that is no notice.
func (l *link) answer() (typ byte, body []byte, err error) {
	for {
		m, err := l.next()
		if err != nil {
			return 0, nil, err
		}
		switch body := m[headerBytes:]; m[0] {
		case 'N', 'v': // NegotiateProtocolVersion: the client has had it
		case 'E':
			return 0, nil, &serverError{sqlState(body), responseField(body, 'M')}
		default:
			return m[0], body, nil
		}
	}
}

// welcome reads what a backend says after the login.
func (l *link) welcome() (told map[string]string, key cancelKey, err error) {
	told = map[string]string{}
	for {
		typ, body, err := l.answer()
		switch {
		case err != nil:
			return nil, key, err
		case typ == 'S':
			if name, value, ok := parameterStatus(body); ok {
				told[name] = value
			}
		case typ == 'K' && len(body) == 4+cancelKeyBytes:
			key = cancelKey{binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])}
		case typ == 'Z':
			return told, key, nil
		}
	}
}

// replay sends messages that end with Sync, if any, and waits for their success.
func (l *link) replay(messages []byte) error {
	if len(messages) == 0 {
		return nil
	}
	if _, err := l.conn.Write(messages); err != nil {
		return err
	}
	for {
		typ, _, err := l.answer()
		if err != nil || typ == 'Z' {
			return err
		}
	}
}

// news writes the ParameterStatus messages of what the client has been told
// otherwise.
func (b *belongings) news(told map[string]string) []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(told)) {
		value := told[name]
		if old, ok := b.told[name]; ok && old == value {
			continue
		}
		out = append(out, 'S')
		out = binary.BigEndian.AppendUint32(out, uint32(4+len(name)+len(value)+2))
		out = append(append(append(append(out, name...), 0), value...), 0)
	}
	return out
}
