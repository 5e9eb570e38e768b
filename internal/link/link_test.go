package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// silence is short, so that the tests are.
const silence = 600 * time.Millisecond

// installation is a state with hosts that have links.
type installation struct {
	t     *testing.T
	store *state.Store
	ca    *pki.CA
	keys  *keyring.Keyring
	home  layout.Layout // of the first host
}

func newInstallation(t *testing.T) *installation {
	in := &installation{t: t, store: statetest.Start(t), home: newLayout(t)}
	var err error
	if in.ca, err = pki.Open(in.home.PKI()); err != nil {
		t.Fatal(err)
	}
	if in.keys, err = keyring.Open(in.home.Keys()); err != nil {
		t.Fatal(err)
	}
	return in
}

func newLayout(t *testing.T) layout.Layout {
	t.Helper()
	dir, err := os.MkdirTemp("", "lnk") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := layout.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Create(); err != nil {
		t.Fatal(err)
	}
	return l
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// host is one with a link that runs.
type host struct {
	layout.Layout
	id, addr string
	stop     func()
}

// register stores a host that is reached at addr.
func (in *installation) register(id, addr string) {
	in.t.Helper()
	if _, err := state.Hosts(in.store).Create(in.t.Context(), id, aurora.Host{ID: id, Link: addr}); err != nil {
		in.t.Fatal(err)
	}
}

// run runs the link of a host. store is what it asks: not always one that answers.
func (in *installation) run(l layout.Layout, id, addr string, store *state.Store) *host {
	in.t.Helper()
	return in.runBehind(l, id, addr, "", store)
}

// runBehind runs the link of a host that is reached at addr and listens elsewhere.
func (in *installation) runBehind(l layout.Layout, id, addr, listen string, store *state.Store) *host {
	in.t.Helper()
	c := Config{
		Listen: listen,
		Layout: l, Settings: settings(id, addr), Store: store, CA: in.ca, Keyring: in.keys,
		Logger: slog.New(slog.NewTextHandler(in.t.Output(), nil)), Silence: silence,
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c) }()
	h := &host{Layout: l, id: id, addr: addr}
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			in.t.Errorf("link of %s: %v", id, err)
		}
	}
	in.t.Cleanup(h.stop)
	return h
}

func settings(id, addr string) config.Config {
	return config.Config{HostID: id, LinkAddr: addr, RegionAddr: "127.0.0.1:1", PlatformAddr: "127.0.0.1:2", EndpointNet: "127.42.0.0/22"}
}

// pair are two hosts that know each other; each reaches the other at addresses
// that can be something before it.
func (in *installation) pair() (one, two *host) {
	one = in.run(in.home, "00000001", freeAddr(in.t), in.store)
	two = in.run(newLayout(in.t), "00000002", freeAddr(in.t), in.store)
	in.register(one.id, one.addr)
	in.register(two.id, two.addr)
	in.meet(one, two)
	return one, two
}

// meet waits until two hosts speak to each other.
func (in *installation) meet(one, two *host) {
	in.t.Helper()
	for _, h := range []*host{one, two} {
		answer(in.t, h.EtcdSocket(), echo)
	}
	eventually(in.t, "the second speaks to the first", speaks(in.t, two.Via(one.id).EtcdSocket()))
	eventually(in.t, "the first speaks to the second", speaks(in.t, one.Via(two.id).EtcdSocket()))
}

func eventually(t *testing.T, what string, fact func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := fact()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answer has somebody answer at a socket of a host.
func answer(t *testing.T, path string, do func(*net.UnixConn)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); do(conn) }()
		}
	}()
}

// echo says what it hears.
func echo(c *net.UnixConn) { _, _ = io.Copy(c, c) }

func connect(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// speaks is a fact: what is said to a socket that echoes comes back.
func speaks(t *testing.T, path string) func() error {
	return func() error {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write([]byte("hello")); err != nil {
			return err
		}
		heard := make([]byte, 5)
		if _, err := io.ReadFull(conn, heard); err != nil {
			return err
		}
		if string(heard) != "hello" {
			return fmt.Errorf("heard %q", heard)
		}
		return nil
	}
}

func TestSocketsOfOtherHostsComeAndGoWithTheState(t *testing.T) {
	in := newInstallation(t)
	one, two := in.pair()
	ctx := t.Context()
	via := two.Via(one.id)
	eventually(t, "etcd", isSocket(via.EtcdSocket(), 0o600))
	eventually(t, "the log", isSocket(via.LogSocket(), 0o600))

	cluster := aurora.DBCluster{Meta: aurora.Meta{ResourceID: "cluster-ABC"}}
	cluster.Status.Writer = "db-ONE"
	instance := aurora.DBInstance{Meta: aurora.Meta{ResourceID: "db-ONE"}}
	instance.Spec.ClusterResourceID, instance.Status.Host = "cluster-ABC", one.id
	if _, err := state.DBClusters(in.store).Create(ctx, "cluster-ABC", cluster); err != nil {
		t.Fatal(err)
	}
	if _, err := state.DBInstances(in.store).Create(ctx, "db-ONE", instance); err != nil {
		t.Fatal(err)
	}
	server, feed := filepath.Join(via.InstanceSocketDir("db-ONE"), ".s.PGSQL.5432"), filepath.Join(via.FeedDir("cluster-ABC"), ".s.PGSQL.5432")
	eventually(t, "the server", isSocket(server, 0o700))
	eventually(t, "the feed", isSocket(feed, 0o666))
	answer(t, filepath.Join(one.InstanceSocketDir("db-ONE"), ".s.PGSQL.5432"), echo)
	answer(t, filepath.Join(one.FeedDir("cluster-ABC"), ".s.PGSQL.5432"), echo)
	eventually(t, "speak to the server", speaks(t, server))
	eventually(t, "speak to the feed", speaks(t, feed))

	// The writer is another host's: its feed is there, and the server stays.
	if _, err := state.DBClusters(in.store).Update(ctx, "cluster-ABC", func(c *aurora.DBCluster) error { c.Status.Writer = "db-TWO"; return nil }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no feed", isGone(filepath.Dir(feed)))
	if err := isSocket(server, 0o700)(); err != nil {
		t.Error(err)
	}
	if err := state.DBInstances(in.store).Delete(ctx, "db-ONE"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no server", isGone(filepath.Dir(server)))
	if err := state.Hosts(in.store).Delete(ctx, one.id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing of a host that was removed", isGone(via.RunDir()))
	eventually(t, "the list of hosts is kept", func() error {
		known, err := LoadHosts(two.Layout)
		if err == nil && len(known) != 0 {
			err = fmt.Errorf("has %v", known)
		}
		return err
	})
}

func isSocket(path string, mode fs.FileMode) func() error {
	return func() error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode() != mode|fs.ModeSocket {
			return fmt.Errorf("%s has mode %v, want %v", path, info.Mode(), mode)
		}
		dir, err := os.Stat(filepath.Dir(path))
		if err != nil || dir.Mode().Perm() != 0o711 {
			return fmt.Errorf("its directory has mode %v (%v)", dir.Mode(), err)
		}
		return nil
	}
}

func isGone(path string) func() error {
	return func() error {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is still there (%v)", path, err)
		}
		return nil
	}
}

func TestTunnelCarriesBytesAndEndsBothWays(t *testing.T) {
	in := newInstallation(t)
	one, two := in.pair()
	said := make([]byte, 3<<20)
	_, _ = rand.Read(said)
	// It says nothing before the other side has ended, and is heard after.
	answer(t, one.LogSocket(), func(c *net.UnixConn) {
		all, err := io.ReadAll(c)
		if err == nil {
			_, _ = c.Write(all)
		}
	})
	eventually(t, "the socket", isSocket(two.Via(one.id).LogSocket(), 0o600))
	conn := connect(t, two.Via(one.id).LogSocket())
	if _, err := conn.Write(said); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	heard, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(heard, said) {
		t.Errorf("heard %d bytes of %d, %v", len(heard), len(said), err)
	}
}

func TestConnectionIsClosedWhereNobodyAnswers(t *testing.T) {
	in := newInstallation(t)
	one, two := in.pair()
	eventually(t, "the socket", isSocket(two.Via(one.id).LogSocket(), 0o600))
	if n, err := connect(t, two.Via(one.id).LogSocket()).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("no log: read %d, %v", n, err)
	}
	one.stop()
	if n, err := connect(t, two.Via(one.id).LogSocket()).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("no host: read %d, %v", n, err)
	}
}

func TestHostsAreReachedBeforeTheStateCanBeAsked(t *testing.T) {
	in := newInstallation(t)
	one := in.run(in.home, "00000001", freeAddr(t), in.store)
	in.register(one.id, one.addr)
	in.register("00000002", "127.0.0.1:1")
	answer(t, one.EtcdSocket(), echo)
	l := newLayout(t)
	if err := SaveHosts(l, []Host{{ID: one.id, Link: one.addr}}); err != nil {
		t.Fatal(err)
	}
	nowhere, err := state.Open(filepath.Join(l.RunDir(), "nowhere.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nowhere.Close() })
	two := in.run(l, "00000002", freeAddr(t), nowhere)
	eventually(t, "speak to etcd", speaks(t, two.Via(one.id).EtcdSocket()))
}

func TestPresenceIsKeptWhileTheLinkRuns(t *testing.T) {
	in := newInstallation(t)
	one, _ := in.pair()
	get := func() error { _, err := state.Presence(in.store).Get(t.Context(), one.id); return err }
	eventually(t, "present", get)
	one.stop()
	if err := get(); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
}
