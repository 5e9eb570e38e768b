package endpoint

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/proc"
)

const bufferBytes = 32 << 10

type buffer [bufferBytes]byte

// buffers are lent to streams while there is something in them.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new(buffer) }}}
}

func (b *buffers) get() *buffer  { return b.pool.Get().(*buffer) }
func (b *buffers) put(x *buffer) { b.pool.Put(x) }

// stream reads a connection. On a socket it has a buffer only while there is
// data; TLS needs one all the time.
type stream struct {
	conn    net.Conn
	raw     syscall.RawConn // nil for TLS
	attempt func(fd uintptr) bool
	buffers *buffers
	buf     *buffer
	n       int
	err     error
	peer    *proc.Peer // whose words count only while it lives; may be nil
}

// errDying says that a writer was dying when it spoke.
var errDying = errors.New("the server is dying")

func newStream(conn net.Conn, b *buffers) (*stream, error) {
	s := &stream{conn: conn, buffers: b}
	if socket, ok := conn.(syscall.Conn); ok {
		raw, err := socket.SyscallConn()
		if err != nil {
			return nil, err
		}
		s.raw, s.attempt = raw, s.try
	}
	return s, nil
}

// newReplies reads a backend. When a postmaster dies, commits that wait for the
// quorum give up waiting, and for a moment, until they have noticed too, the other
// sessions see them, although they may be lost. So what a writer said counts only if
// its postmaster lived afterwards. Readers have nothing that the quorum does not have.
func newReplies(l *link, b *buffers) (*stream, error) {
	s, err := newStream(l.conn, b)
	if err == nil && l.backend.Role == aurora.RoleWriter {
		s.peer, err = proc.PeerOf(l.conn)
	}
	return s, err
}

// try reads what is there; without anything it gives the buffer back and has
// the poller wait.
func (s *stream) try(fd uintptr) bool {
	s.buf = s.buffers.get()
	for {
		s.n, s.err = unix.Read(int(fd), s.buf[:])
		switch s.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			s.done()
			return false
		}
		return true
	}
}

// read returns the next bytes, which are lent until done.
func (s *stream) read() ([]byte, error) {
	if s.raw == nil {
		if s.buf == nil {
			s.buf = s.buffers.get()
		}
		n, err := s.conn.Read(s.buf[:])
		return s.buf[:n], err
	}
	if err := s.raw.Read(s.attempt); err != nil {
		return nil, err
	}
	switch {
	case s.err != nil:
		s.done()
		return nil, os.NewSyscallError("read", s.err)
	case s.n == 0:
		s.done()
		return nil, io.EOF
	}
	if s.peer != nil && s.peer.Dying() {
		s.done()
		return nil, errDying
	}
	return s.buf[:s.n], nil
}

// done gives the buffer back. With TLS it is kept for the next read.
func (s *stream) done() {
	if s.raw != nil && s.buf != nil {
		s.buffers.put(s.buf)
		s.buf = nil
	}
}

// close gives back what the stream still has.
func (s *stream) close() {
	if s.peer != nil {
		s.peer.Release()
		s.peer = nil
	}
	if s.buf != nil {
		s.buffers.put(s.buf)
		s.buf = nil
	}
}
