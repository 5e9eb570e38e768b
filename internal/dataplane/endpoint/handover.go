package endpoint

import "time"

// departure is how a session leaves a backend that hands its role over.
//
// A session in a transaction goes on until that ends. Between transactions
// nothing more is sent to the backend. When the backend is gone, the session has
// parted from it, and is carried over to another one or ended.
type departure struct {
	has      *belongings   // nil: the session stays where it is
	handover *refusal      // why it must leave
	parted   bool          // the backend is not listened to any more
	parting  []byte        // its last words, which the client did not get
	news     chan struct{} // closed when it is known that the backend hands over
	cancel   func()        // ends the way to another backend
}

// interruptLocked ends all waiting: the session is ending.
func (s *session) interruptLocked() {
	if s.cancel != nil {
		s.cancel()
	}
	s.wake.Broadcast()
}

// judge does what a plan means for the session.
func (s *session) judge(plan Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fate, reason := plan.Fate(s.backend)
	why := &refusal{codeAdminShutdown, "terminating connection: " + reason, ""}
	switch {
	case s.handover != nil && s.parted: // on its way to another backend
	case fate == Pause:
		s.pauseLocked(why)
	case fate == Keep:
		s.handover = nil
		s.wake.Broadcast()
	case fate == Drain:
		s.drainLocked(why, s.proxy.limits.DrainGrace)
	case s.handover != nil && s.portable():
		s.handover, s.parted = why, true
		_ = s.server.SetReadDeadline(time.Unix(1, 0))
	default:
		s.endLocked(why)
	}
}

func (s *session) pauseLocked(why *refusal) {
	if s.handover == nil && s.news != nil {
		close(s.news)
	}
	s.handover = why
}

// portable says whether the session could be carried over as it is now.
func (s *session) portable() bool {
	return s.has != nil && s.has.portable() && s.between() && s.ending == nil
}

// quiet says whether an error, which nobody has asked for, is the backend's
// farewell, and the client is not to get it unless nothing else can be done.
func (s *session) quiet() bool {
	return s.portable() || s.handover != nil && s.between()
}

// holdsRequests says whether what the client sends has to wait. When the backend
// is to be left, answers are waited for first: they tell whether the session is in
// a transaction.
func (s *session) holdsRequests() bool {
	if s.parted {
		return true
	}
	return s.handover != nil && s.ready && !s.open && !s.copying && (s.pending > 0 || s.status == 'I')
}
