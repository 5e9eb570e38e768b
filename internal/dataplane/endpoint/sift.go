package endpoint

// Replies are relayed in the pieces that they come in. Where one may have to be
// kept from the client they are sifted: looked at one by one, by their types.

// repliesKept are the replies whose bodies matter: NoticeResponse,
// ParameterStatus, requests for authentication.
var repliesKept = typesOf("NSR")

// verdict is what becomes of a reply that is sifted.
type verdict byte

const (
	pass     verdict = iota
	drop             // the client never gets it
	keepBack         // it is kept in parting
)

// weigh judges a reply by its type, and adds to out what goes before it.
func (s *session) weigh(typ byte, out []byte) (verdict, []byte) {
	if typ == 'E' && s.quiet() {
		s.parted = true
		return keepBack, out
	}
	return s.weighDoubt(typ, out)
}

// sift notes replies one by one, and appends what the client is to get for them.
func (s *session) sift(w *walker, p, out []byte) ([]byte, error) {
	for len(p) > 0 {
		piece, head := p, w.have < headerBytes
		if head {
			piece = p[:min(len(p), headerBytes-w.have)]
		}
		typ, rest, done, err := w.next(piece)
		if err != nil {
			return out, err
		}
		n := len(piece) - len(rest)
		switch {
		case head && !done && w.have < headerBytes: // nobody knows yet what it is
		case head:
			s.verdict, out = s.weigh(w.current(), out)
			out = s.give(w.head[:], out)
		default:
			out = s.give(p[:n], out)
		}
		if s.ending != nil && s.verdict == drop {
			return out, errEnding
		}
		if p = p[n:]; done {
			s.reply(typ, w.last)
			s.noted(typ, w)
		}
	}
	s.sifting = s.doubt != noDoubt || !s.level(w)
	return out, nil
}

// give puts a piece of the current reply where it belongs.
func (s *session) give(piece, out []byte) []byte {
	switch s.verdict {
	case pass:
		return append(out, piece...)
	case keepBack:
		s.parting = append(s.parting, piece...)
	case drop:
	}
	return out
}

// noted notes what a reply that has ended means beside the session's progress. It
// says whether replies are to be sifted from here on.
func (s *session) noted(typ byte, w *walker) bool {
	if s.has != nil {
		s.has.reply(typ, w, &s.progress)
	}
	switch {
	case typ == 'N' && w.keeping && endsQuorumWait(w.kept):
		s.doubt, s.sifting = untold, true
	case typ == 'Z' && s.quiet():
		s.sifting = true
	}
	return s.sifting
}

// level says whether the client has what the walker has seen: nothing of the
// current message is held back.
func (s *session) level(w *walker) bool {
	return !s.sifting || w.between() || w.have == headerBytes && s.verdict == pass
}
