package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// mirror is a socket of another host that is here.
type mirror struct {
	listener *net.UnixListener
	manner   manner
}

// clean removes what was left of a link before.
func (l *link) clean() error {
	dir := l.config.Layout.Mirrored()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	if err != nil {
		return fmt.Errorf("link: remove old sockets: %w", err)
	}
	return nil
}

// mirrorSockets makes the sockets that are wanted, and removes the others.
func (l *link) mirrorSockets(ctx context.Context, wanted map[socket]manner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hosts := map[string]bool{}
	for s := range wanted {
		hosts[s.host] = true
	}
	for s, m := range l.sockets {
		if want, ok := wanted[s]; ok && want == m.manner {
			continue
		}
		m.close()
		delete(l.sockets, s)
		path := s.target.in(l.config.Layout.Via(s.host))
		if !hosts[s.host] {
			_ = os.RemoveAll(l.config.Layout.Via(s.host).RunDir())
		} else if dir := filepath.Dir(path); dir != l.config.Layout.Via(s.host).RunDir() {
			_ = os.Remove(dir)
		}
	}
	for s, want := range wanted {
		if l.sockets[s] != nil {
			continue
		}
		m, err := l.listen(s, want)
		if err != nil {
			l.log.Error("link: a socket of another host is missing here", "host", s.host, "target", string(s.target), "error", err)
			continue
		}
		l.sockets[s] = m
		l.running.Go(func() { l.offer(ctx, s, m) })
	}
}

// listen makes a mirrored socket, with the directories above it.
func (l *link) listen(s socket, want manner) (*mirror, error) {
	path := s.target.in(l.config.Layout.Via(s.host))
	if err := l.makeDirs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	err = os.Chmod(path, os.FileMode(want.mode))
	if err == nil && want.uid != 0 && os.Geteuid() == 0 {
		err = os.Chown(path, want.uid, want.uid)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &mirror{listener: listener, manner: want}, nil
}

// makeDirs makes a directory below that of the mirrored sockets; the clusters'
// user ids may pass it.
func (l *link) makeDirs(dir string) error {
	if dir == l.config.Layout.Mirrored() || len(dir) <= len(l.config.Layout.Mirrored()) {
		return nil
	}
	if err := l.makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o711)
}

// offer carries those who come to a mirrored socket.
func (l *link) offer(ctx context.Context, s socket, m *mirror) {
	for {
		conn, err := m.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.log.Warn("link: cannot accept", "error", err)
			if !pause(ctx, dialLimit/10) { // out of files, say
				return
			}
			continue
		}
		l.running.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			if p := l.peer(s.host); p != nil {
				p.carry(ctx, conn, s.target)
			} else {
				_ = conn.Close()
			}
		})
	}
}

func (m *mirror) close() { _ = m.listener.Close() }
