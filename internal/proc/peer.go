// Package proc tells whether the process at the other end of a unix socket has
// begun to die. A connection does not tell: its other end may be held by children
// that live on for a moment. It must not know what the processes are.
package proc

import (
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Peer is the process that listens at a unix socket, which for a PostgreSQL server
// is its postmaster. Those who have the same one share it.
type Peer struct {
	pid   int
	statm *os.File // of this process, also when another one has its id
	users int      // peers.mu guards it
}

// peers are those in use, by process id.
var peers = struct {
	mu  sync.Mutex
	all map[int]*Peer
}{all: map[int]*Peer{}}

// PeerOf returns the process that listens where a connection leads to. It must be
// released.
func PeerOf(conn *net.UnixConn) (*Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var ucred *unix.Ucred
	var optErr error
	if err := raw.Control(func(fd uintptr) { ucred, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, err
	}
	if optErr != nil {
		return nil, fmt.Errorf("process behind a socket: %w", optErr)
	}
	peers.mu.Lock()
	defer peers.mu.Unlock()
	p := peers.all[int(ucred.Pid)]
	if p == nil || p.Dying() {
		if p, err = open(int(ucred.Pid)); err != nil {
			return nil, err
		}
		peers.all[p.pid] = p
	}
	p.users++
	return p, nil
}

func open(pid int) (*Peer, error) {
	statm, err := os.Open(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return nil, fmt.Errorf("process behind a socket: %w", err)
	}
	return &Peer{pid: pid, statm: statm}, nil
}

// Dying says whether the process has begun to die, or is dead. A process gives its
// memory back before it closes its files, so whoever has seen one of its pipes or
// sockets close, and whatever they said after that, came after Dying.
func (p *Peer) Dying() bool {
	var size [1]byte // of its memory, in pages
	n, err := p.statm.ReadAt(size[:], 0)
	return n == 0 || err != nil || size[0] == '0'
}

// Release is the end of the use of a peer.
func (p *Peer) Release() {
	peers.mu.Lock()
	defer peers.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	if peers.all[p.pid] == p {
		delete(peers.all, p.pid)
	}
	_ = p.statm.Close()
}
