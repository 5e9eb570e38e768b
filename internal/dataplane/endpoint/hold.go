package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// firstLook and lastLook bound the time after which a waiting connection looks
	// whether its client is still there, and whether a server that did not answer
	// does now. News of the endpoint wake it at once.
	firstLook = 20 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// hold is the wait of one connection for a backend.
type hold struct {
	visitor  *visitor
	deadline time.Time
	delay    time.Duration
	begun    bool
	moves    bool // it is a session that exists, which no limit is for
}

// findBackend begins a session with a backend, and waits for one while there is
// none.
func (v *visitor) findBackend(ctx context.Context, s startup) (*session, error) {
	f, p := v.front, v.front.proxy
	if err := p.checkRoom(); err != nil {
		return nil, err
	}
	h := hold{visitor: v, deadline: time.Now().Add(p.limits.Hold), delay: firstLook}
	defer h.end()
	for {
		o := f.current.Load()
		l, err := f.reach(ctx, o, s)
		if l != nil {
			if refused := v.admit(ctx, s, l); refused != nil {
				_ = l.conn.Close()
				p.release(l.backend)
				return nil, refused
			}
			var begun *session
			if begun, err = v.begin(s, l); err == nil {
				return begun, nil
			}
		}
		if o.Hopeless {
			return nil, v.noBackend(o.Waiting)
		}
		if err := h.wait(ctx, o, err); err != nil {
			return nil, err
		}
	}
}

// reach connects to a server of an offer, but asks none any more once the endpoint
// leads elsewhere: one that hangs would be waited for, though another has its place.
func (f *front) reach(ctx context.Context, o *offer, s startup) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for now := o; ctx.Err() == nil; now = f.current.Load() {
			if now.leadsElsewhere(o) {
				cancel()
				return
			}
			select {
			case <-now.changed:
			case <-ctx.Done():
			}
		}
	}()
	return f.proxy.reach(ctx, o.Endpoint, s)
}

// leadsElsewhere says whether an offer lacks a server of an earlier one.
func (o *offer) leadsElsewhere(before *offer) bool {
	for _, b := range before.Backends {
		if !slices.Contains(o.Backends, b) {
			return true
		}
	}
	return before.Fallback != nil && (o.Fallback == nil || *o.Fallback != *before.Fallback)
}

// begin makes a session of a visitor and a backend that have found each other,
// unless the backend has become wrong meanwhile.
func (v *visitor) begin(s startup, l *link) (*session, error) {
	session, err := newSession(v, s, l)
	if err == nil && !v.front.proxy.add(session) {
		err = errors.New("the server is changing its role")
	}
	if err != nil {
		_ = l.conn.Close()
		v.front.proxy.release(l.backend)
		return nil, err
	}
	return session, nil
}

// checkRoom refuses what the limits of the process cannot carry.
func (p *Proxy) checkRoom() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions) < p.limits.Sessions {
		return nil
	}
	p.metrics.refused.WithLabelValues(refusedByLimit).Inc()
	return &refusal{codeTooManyConnections, fmt.Sprintf("too many connections: the endpoints of this host serve at most %d", p.limits.Sessions), ""}
}

func (h *hold) wait(ctx context.Context, o *offer, cause error) error {
	if err := h.begin(); err != nil {
		return err
	}
	timer := time.NewTimer(min(h.delay, time.Until(h.deadline)))
	defer timer.Stop()
	select {
	case <-o.changed:
		h.delay = firstLook
	case <-timer.C:
		h.delay = min(2*h.delay, lastLook)
	case <-ctx.Done():
		return &refusal{codeAdminShutdown, "the endpoint is being restarted", ""}
	}
	switch {
	case h.visitor.left():
		return errGone
	case time.Now().Before(h.deadline):
		return nil
	}
	reason := o.Waiting
	if cause != nil {
		reason = "the server cannot be reached: " + cause.Error()
	}
	return h.visitor.noBackend(fmt.Sprintf("%s (waited %v)", reason, h.visitor.front.proxy.limits.Hold))
}

func (h *hold) begin() error {
	if h.begun || h.moves {
		return nil
	}
	f := h.visitor.front
	h.begun = true
	f.proxy.metrics.held.Inc()
	f.proxy.metrics.holds.Inc()
	if int(f.held.Add(1)) > f.proxy.limits.Held {
		return h.visitor.noBackend(fmt.Sprintf("%s, and %d connections wait already", f.current.Load().Waiting, f.proxy.limits.Held))
	}
	return nil
}

func (h *hold) end() {
	if h.begun {
		h.visitor.front.held.Add(-1)
		h.visitor.front.proxy.metrics.held.Dec()
	}
}

// noBackend tells the client why there is no server for it.
func (v *visitor) noBackend(reason string) error {
	e := v.front.current.Load()
	v.front.proxy.metrics.refused.WithLabelValues(refusedForWantOfServer).Inc()
	v.front.warn("no server for a connection", "client", v.addr, "endpoint", e.ID, "name", e.Name, "reason", reason)
	return &refusal{codeCannotConnectNow, "the database system is not available: " + reason, ""}
}
