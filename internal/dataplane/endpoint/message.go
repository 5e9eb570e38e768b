package endpoint

import (
	"encoding/binary"
	"errors"
)

// errLength says that a message announces a length that cannot be.
var errLength = errors.New("invalid message length")

// headerBytes is the size of a message's header: type and length.
const headerBytes = 5

// types is a set of message types, which are letters.
type types uint64

func typesOf(letters string) types {
	var t types
	for _, letter := range []byte(letters) {
		t |= 1 << (letter - 'A')
	}
	return t
}

func (t types) has(letter byte) bool { return t>>(letter-'A')&1 != 0 }

// walker finds the ends of messages in a stream that comes in arbitrary pieces.
// It looks at headers only and keeps nothing but the last byte of a body, unless
// it is asked for more.
type walker struct {
	head [headerBytes]byte
	have int    // bytes of head that are there
	left uint32 // bytes of the body still to come, once head is complete
	last byte   // the last byte seen of the body

	keep    types  // the messages whose bodies are kept
	keeping bool   // the current message is one of them, and not too long
	kept    []byte // its body, until the next call of next
	parts   []byte // memory for bodies that come in pieces
}

// maxKept bounds the bodies that are kept.
const maxKept = 32 << 10

// between says whether the stream stands between two messages.
func (w *walker) between() bool { return w.have == 0 }

// current is the type of the message that the stream is in, or that was last.
func (w *walker) current() byte { return w.head[0] }

// next goes on to the end of the current message or, with done false, to the
// end of p. It returns the message's type and what is left of p.
func (w *walker) next(p []byte) (typ byte, rest []byte, done bool, err error) {
	if w.have < headerBytes {
		n := copy(w.head[w.have:], p)
		w.have += n
		p = p[n:]
		if w.have < headerBytes {
			return 0, p, false, nil
		}
		length := binary.BigEndian.Uint32(w.head[1:])
		if length < 4 {
			return w.head[0], p, false, errLength
		}
		w.left = length - 4
		if w.keeping = w.keep.has(w.head[0]); w.keeping {
			w.kept = nil
		}
	}
	if w.left > 0 {
		n := min(uint64(w.left), uint64(len(p)))
		if n > 0 {
			w.last = p[n-1]
		}
		if w.keeping {
			w.keepBody(p[:n])
		}
		p = p[n:]
		if w.left -= uint32(n); w.left > 0 {
			return 0, p, false, nil
		}
	}
	w.have = 0
	return w.head[0], p, true, nil
}

// keepBody keeps a piece of the body of which left bytes are still to come. One
// that comes whole is not copied.
func (w *walker) keepBody(piece []byte) {
	switch {
	case w.left > maxKept && w.kept == nil:
		w.keeping = false
	case w.kept != nil:
		w.parts = append(w.parts, piece...)
		w.kept = w.parts
	case len(piece) == int(w.left):
		w.kept = piece
	case len(piece) > 0:
		w.parts = append(w.parts[:0], piece...)
		w.kept = w.parts
	}
}
