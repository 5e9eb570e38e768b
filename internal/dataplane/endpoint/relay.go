package endpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// authLimit bounds the time until a session begins, in case the server's own
// authentication_timeout (1 min) does not.
const authLimit = 75 * time.Second

// errEnding says that we are ending the session.
var errEnding = errors.New("session is being ended")

// relay carries a session to its end. Requests and replies have a goroutine
// each: either side may speak at any time.
func (s *session) relay(ctx context.Context) {
	requests := make(chan struct{})
	go func() {
		defer close(requests)
		s.relayRequests()
	}()
	for {
		w := walker{keep: repliesKept}
		err := s.relayReplies(&w)
		if !s.carryOver(ctx, &w) {
			s.farewell(&w, err)
			break
		}
	}
	_ = s.server.Close()
	_ = s.client.Close()
	s.mu.Lock()
	s.over = true
	s.interruptLocked()
	s.mu.Unlock()
	<-requests
	s.toward.close()
	s.replies.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grace != nil {
		s.grace.Stop()
	}
	if s.ending != nil {
		s.proxy.metrics.ended.WithLabelValues(s.ending.code).Inc()
	}
}

// errNotSent says that the backend did not take a request.
var errNotSent = errors.New("the backend takes no requests")

func (s *session) relayRequests() {
	var w walker
	if s.has != nil {
		w.keep = requestsKept
	}
	for {
		p, err := s.toward.read()
		if err == nil || len(p) > 0 {
			err = errors.Join(s.passRequests(&w, p), err)
		}
		s.toward.done()
		switch {
		case err == nil:
		case errors.Is(err, errEnding), errors.Is(err, errNotSent): // the other goroutine knows why
			return
		case errors.Is(err, io.EOF):
			s.clientLeft()
			_ = s.serverConn().CloseWrite()
			return
		case errors.Is(err, errLength):
			s.end(&refusal{codeProtocolViolation, err.Error(), ""})
			return
		default:
			if s.clientLeft() {
				_ = s.serverConn().Close()
			}
			return
		}
	}
}

// serverConn is the connection to the backend that the session is on.
func (s *session) serverConn() *net.UnixConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

// clientLeft notes that there is nobody to talk to. It returns false when that is
// because we are ending the session.
func (s *session) clientLeft() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	s.interruptLocked()
	return s.ending == nil
}

// passRequests notes what the client asks for before the backend can see it, so
// that a session is never taken for idle while it is not.
func (s *session) passRequests(w *walker, p []byte) error {
	s.mu.Lock()
	for s.ending == nil && !s.over && s.holdsRequests() {
		s.wake.Wait()
	}
	if s.ending != nil || s.over {
		s.mu.Unlock()
		return errEnding
	}
	wasIdle := s.idle()
	for rest := p; len(rest) > 0; {
		typ, after, done, err := w.next(rest)
		if err != nil {
			s.mu.Unlock()
			return err
		}
		if rest = after; done {
			if s.has != nil {
				s.has.request(typ, w, &s.progress)
			}
			s.request(typ)
		}
	}
	if !w.between() && s.ready {
		s.open = true
	}
	if wasIdle && !s.idle() {
		s.changed = time.Now().UnixNano()
	}
	server := s.server
	s.mu.Unlock()
	s.proxy.metrics.fromClients.Add(float64(len(p)))
	if _, err := server.Write(p); err != nil {
		return errNotSent
	}
	return nil
}

// relayReplies relays until the backend says no more, or must not be listened to.
func (s *session) relayReplies(w *walker) error {
	err := s.begin(w)
	for err == nil {
		var p []byte
		if p, err = s.replies.read(); err == nil {
			err = s.passReplies(w, p)
		}
		s.replies.done()
	}
	return err
}

// begin relays what the backend has said already, and more until it is ready.
func (s *session) begin(w *walker) error {
	said := s.said
	s.said = nil
	if s.isReady() {
		return s.passReplies(w, said)
	}
	if err := s.server.SetReadDeadline(time.Now().Add(authLimit)); err != nil {
		return err
	}
	return s.greet(w, said)
}

func (s *session) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// passReplies notes what the backend answers before the client can react to it.
func (s *session) passReplies(w *walker, p []byte) error {
	p, noted := s.noteReplies(w, p)
	if len(p) == 0 {
		return noted
	}
	s.proxy.metrics.toClients.Add(float64(len(p)))
	if _, err := s.client.Write(p); err != nil {
		s.clientLeft()
		return err
	}
	return noted
}

// noteReplies returns what the client is to get for p, which is nearly always p.
func (s *session) noteReplies(w *walker, p []byte) (out []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.state()
	n := 0
	if w.between() {
		s.sifting = s.doubt != noDoubt || s.quiet()
	}
	if !s.sifting {
		n, err = s.walkReplies(w, p)
	}
	out = p
	if n < len(p) && err == nil {
		out, err = s.sift(w, p[n:], slices.Clone(p[:n]))
	}
	if s.state() != before {
		s.changed = time.Now().UnixNano()
	}
	if s.draining != nil && s.between() {
		s.endLocked(s.draining)
	}
	if s.handover != nil {
		s.wake.Broadcast()
	}
	if s.ending != nil {
		err = errEnding
	}
	return out, err
}

// walkReplies notes what is in p, up to where replies must be sifted.
func (s *session) walkReplies(w *walker, p []byte) (n int, err error) {
	for rest := p; len(rest) > 0; {
		typ, after, done, err := w.next(rest)
		if err != nil {
			return len(p), err
		}
		if rest = after; !done {
			break
		}
		s.reply(typ, w.last)
		if typ != 'D' && s.noted(typ, w) {
			return len(p) - len(rest), nil
		}
	}
	return len(p), nil
}

// greet relays the messages until the session is ready one by one, since one of
// them has the cancel key.
func (s *session) greet(w *walker, said []byte) error {
	for {
		n, ready, err := s.readGreeting(said)
		if err != nil {
			return err
		}
		if ready {
			// end may have set a deadline of its own meanwhile: passReplies sees that.
			err = s.server.SetReadDeadline(time.Time{})
			return errors.Join(err, s.passReplies(w, said))
		}
		if n > 0 {
			if err := s.passReplies(w, said[:n]); err != nil {
				return err
			}
			said = append(said[:0], said[n:]...)
		}
		if said, err = readMore(s.server, said); err != nil {
			return err
		}
	}
}

// readGreeting returns the length of the complete messages in b, and whether
// one of them is the first ReadyForQuery. It changes the cancel key in place.
func (s *session) readGreeting(b []byte) (n int, ready bool, err error) {
	for {
		m, err := firstMessage(b[n:])
		if m == nil || err != nil {
			return n, false, err
		}
		n += len(m)
		switch m[0] {
		case 'K':
			s.exchangeKey(m[headerBytes:])
		case 'S':
			if name, value, _ := parameterStatus(m[headerBytes:]); name == "in_hot_standby" && value == "on" && s.backend.Role == aurora.RoleWriter {
				s.end(&refusal{codeCannotConnectNow, fmt.Sprintf("DB instance %s is the writer no longer", s.backend.Name), "Try again."})
				return n, false, errEnding
			}
		case 'E':
			if sqlState(m[headerBytes:]) == codeWrongPassword {
				s.proxy.guard.failed(s.attempt(), time.Now())
			}
		case 'Z':
			s.proxy.guard.succeeded(s.attempt())
			return n, true, nil
		}
	}
}

// attempt is what the login counted as.
func (s *session) attempt() attempt {
	return attempt{s.about.Client.Addr().Unmap(), s.cluster, s.about.User}
}

// exchangeKey puts our own cancel key in the place of the backend's.
func (s *session) exchangeKey(body []byte) {
	if len(body) != 4+cancelKeyBytes {
		return // of a protocol that no server here speaks; it cannot be cancelled by
	}
	real := cancelKey{binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])}
	key := s.proxy.giveKey(s, real)
	binary.BigEndian.PutUint32(body[4:], key.secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.about.PID = real.pid
}

// farewell tells the client why the session is over, if it does not know.
func (s *session) farewell(w *walker, err error) {
	s.mu.Lock()
	why, left := s.ending, s.left
	if s.doubt == untold {
		why = unknownOutcome
	}
	level, parting := s.level(w), s.parting
	s.mu.Unlock()
	if why == nil && !left && parting != nil && w.between() {
		_ = s.client.SetWriteDeadline(time.Now().Add(sayLimit))
		_, _ = s.client.Write(parting)
		return
	}
	if why == nil {
		if left || w.between() && w.current() == 'E' {
			return // the client has ended it, or the backend has said why
		}
		s.proxy.log.Warn("server ended a session", "instance", s.backend.Instance, "client", s.about.Client, "error", err)
		why = &refusal{codeConnectionFailure, fmt.Sprintf("the connection to DB instance %s was lost", s.backend.Name), ""}
	}
	_ = s.client.SetWriteDeadline(time.Now().Add(sayLimit))
	if !level || s.finishMessage(w) {
		_, _ = s.client.Write(why.encode())
	}
}

// finishMessage relays the rest of the message that the client has a part of:
// nothing can be said in the middle of one.
func (s *session) finishMessage(w *walker) bool {
	_ = s.server.SetReadDeadline(time.Now().Add(sayLimit))
	for !w.between() {
		p, err := s.replies.read()
		if err != nil {
			return false
		}
		_, rest, _, err := w.next(p)
		if err == nil {
			_, err = s.client.Write(p[:len(p)-len(rest)])
		}
		s.replies.done()
		if err != nil {
			return false
		}
	}
	return true
}
