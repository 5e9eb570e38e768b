package wal

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// forwarder stands in for the links between two hosts: it is at the socket that one
// host has for the other's log.
type forwarder struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	holed bool // what comes goes nowhere, and nobody is told
	cut   bool // the host is known to be lost: connections are closed at once
	free  chan struct{}
	conns map[net.Conn]bool
}

func forward(t *testing.T, at, to string) *forwarder {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o711); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{listener: listener, to: to, free: make(chan struct{}), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { f.set(false, true); _ = listener.Close() })
	go f.accept()
	return f
}

func (f *forwarder) accept() {
	for {
		in, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.carry(in)
	}
}

func (f *forwarder) carry(in net.Conn) {
	defer in.Close()
	f.mu.Lock()
	cut := f.cut
	f.conns[in] = true
	f.mu.Unlock()
	if cut || !f.pass() {
		return
	}
	out, err := net.Dial("unix", f.to)
	if err != nil {
		return
	}
	defer out.Close()
	f.mu.Lock()
	f.conns[out] = true
	f.mu.Unlock()
	both := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			defer func() { both <- struct{}{} }()
			buf := make([]byte, 64<<10)
			for {
				n, err := way[0].Read(buf)
				if err != nil || !f.pass() {
					return
				}
				if _, err := way[1].Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
	<-both
}

// pass waits while there is a hole, and says whether there is a way.
func (f *forwarder) pass() bool {
	f.mu.Lock()
	holed, free := f.holed, f.free
	f.mu.Unlock()
	if holed {
		<-free
		return false // the tunnel has ended meanwhile
	}
	return true
}

func (f *forwarder) set(holed, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.holed && !holed {
		close(f.free)
		f.free = make(chan struct{})
	}
	f.holed, f.cut = holed, cut
	if cut || !holed {
		for c := range f.conns {
			_ = c.Close()
		}
		clear(f.conns)
	}
}

// member is one of several hosts, with a log process.
type member struct {
	id     string
	layout layout.Layout
	client *Client
	ways   map[string]*forwarder // from other hosts to this one, by host
	stop   func()
}

// hosts is an installation of four hosts around the servers of a stand, which has the
// first one's layout. The first three have a zone and two copies each.
type hosts struct {
	*stand
	all []*member
}

func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{}
	of := Cluster{ID: "cluster-TEST", Password: testPassword}
	for i, id := range []string{"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"} {
		zone := "x" + string("abcc"[i])
		m := &member{id: id, layout: newLayout(t, zone), ways: map[string]*forwarder{}}
		m.client = NewClient(m.layout.LogSocket())
		if i < 3 {
			of.Zones, of.Hosts = append(of.Zones, zone, zone), append(of.Hosts, id, id)
		}
		h.all = append(h.all, m)
	}
	for _, from := range h.all {
		for _, to := range h.all {
			if from != to {
				to.ways[from.id] = forward(t, from.layout.Via(to.id).LogSocket(), to.layout.LogSocket())
			}
		}
	}
	h.stand = &stand{T: t, ctx: t.Context(), layout: h.all[0].layout, of: of}
	h.findPostgres()
	t.Cleanup(func() {
		for _, m := range h.all {
			m.stop()
		}
		if t.Failed() {
			h.showLogs()
		}
	})
	for _, m := range h.all {
		h.serve(m)
	}
	return h
}

// serve begins a host's log process.
func (h *hosts) serve(m *member) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, HostConfig{Layout: m.layout, HostID: m.id}) }()
	m.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			h.Errorf("log of %s: %v", m.id, err)
		}
		m.stop = func() {}
	}
	h.eventually("the log of "+m.id+" answers", func() bool { _, err := m.client.Heard(h.ctx); return err == nil })
}

// lose takes a host away from the others, without a word or known to be gone.
func (m *member) lose(silently bool) {
	for _, f := range m.ways {
		f.set(silently, !silently)
	}
}

func (m *member) comeBack() {
	for _, f := range m.ways {
		f.set(false, false)
	}
}

func (h *hosts) lead(m *member, srv postgres.Server, term int64, create bool) Opened {
	h.Helper()
	o, err := m.client.Open(h.ctx, h.of, term, create)
	if err != nil {
		h.Fatal(err)
	}
	h.follow(m, srv, term)
	return o
}

func (h *hosts) follow(m *member, srv postgres.Server, term int64) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	defer cancel()
	if err := m.client.Attach(ctx, h.of, term, Source{srv.SocketDir, testPassword, standbyName(srv)}); err != nil {
		h.Fatal(err)
	}
}

func (h *hosts) whole(m *member) bool {
	st, err := m.client.Status(h.ctx, h.of)
	if err != nil {
		return false
	}
	for _, c := range st.Copies {
		if c.Problem != "" || c.End < st.Committed {
			return false
		}
	}
	return true
}

// writer starts a server and has the first host lead its log.
func (h *hosts) writer() (postgres.Server, *postgres.Process, *pgx.Conn) {
	h.Helper()
	w := h.init("w")
	p := h.start(w, nil)
	h.lead(h.all[0], w, 1, true)
	conn := h.connect(w)
	h.exec(conn, "CREATE TABLE public.t (id int)")
	return w, p, conn
}

func (h *hosts) insert(conn *pgx.Conn, rows int) {
	h.Helper()
	for range rows {
		h.exec(conn, "INSERT INTO public.t VALUES (1)")
	}
}

func TestCopiesOnOtherHostsAreDurableAndReported(t *testing.T) {
	h := newHosts(t)
	_, _, conn := h.writer()
	h.insert(conn, 50)
	h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
	st, err := h.all[0].client.Status(h.ctx, h.of)
	if err != nil || st.Hosts != 3 || st.Disks != 3 || len(st.Copies) != 6 {
		t.Errorf("%+v, %v", st, err)
	}
	for n, c := range st.Copies {
		if c.Host != h.of.Hosts[n] || c.Zone != h.of.Zones[n] {
			t.Errorf("copy %d: %+v", n, c)
		}
	}
	for _, m := range h.all[:3] {
		heard, err := m.client.Heard(h.ctx)
		if ago, ok := heard[h.of.ID]; err != nil || !ok || ago > patience {
			t.Errorf("host %s heard %v, %v", m.id, heard, err)
		}
	}
	// A large transaction goes through lanes in large batches.
	h.exec(conn, "INSERT INTO public.t SELECT generate_series(1, 200000)")
	h.eventually("all copies have all again", func() bool { return h.whole(h.all[0]) })

	// The copies have the same bytes, and Trim reaches them all.
	if err := h.all[0].client.Trim(h.ctx, h.of, st.Committed); err != nil {
		t.Fatal(err)
	}
	for n, zone := range h.of.Zones {
		files, err := filepath.Glob(filepath.Join(h.all[n/2].layout.LogCopy(zone, h.of.ID, n), "0*[0-9A-F]"))
		if err != nil || len(files) == 0 {
			t.Errorf("copy %d: %v, %v", n, files, err)
		}
	}
}

func TestCommitsGoOnWithoutOneHost(t *testing.T) {
	for _, silently := range []bool{false, true} {
		t.Run(map[bool]string{false: "known to be lost", true: "black hole"}[silently], func(t *testing.T) {
			h := newHosts(t)
			_, _, conn := h.writer()
			h.insert(conn, 10)
			lost := h.all[2]
			lost.lose(silently)
			h.insert(conn, 50)
			h.eventually("the log says which host is lost", func() bool {
				st, err := h.all[0].client.Status(h.ctx, h.of)
				return err == nil && st.Copies[0].Problem == "" && st.Copies[2].Problem == "" && strings.Contains(st.Copies[4].Problem, "host cccccccc cannot be reached")
			})
			h.exec(conn, "INSERT INTO public.t SELECT generate_series(1, 100000)")
			lost.comeBack()
			h.eventually("the host has all that it missed", func() bool { return h.whole(h.all[0]) })

			// With another one lost it is needed.
			h.all[1].lose(silently)
			h.insert(conn, 10)
			h.all[1].comeBack()
			h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
		})
	}
}

func TestLogProcessOfAnotherHostBeginsAgain(t *testing.T) {
	h := newHosts(t)
	_, _, conn := h.writer()
	for range 3 {
		h.insert(conn, 10)
		h.all[1].stop()
		h.insert(conn, 10)
		h.serve(h.all[1])
		h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
	}
}

func TestCopyOnAnotherHostIsRebuilt(t *testing.T) {
	h := newHosts(t)
	_, _, conn := h.writer()
	h.insert(conn, 50)
	for _, dir := range []string{h.all[1].layout.LogCopy("xb", h.of.ID, 2), h.all[1].layout.LogCopy("xb", h.of.ID, 3)} {
		h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		h.eventually("the loss is seen and mended", func() bool {
			_, err := os.Stat(filepath.Join(dir, controlName))
			return err == nil
		})
		h.insert(conn, 10)
	}
	h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
}

func TestAnotherHostLeadsAfterTheFirstWasLost(t *testing.T) {
	for _, silently := range []bool{false, true} {
		t.Run(map[bool]string{false: "known to be lost", true: "black hole"}[silently], func(t *testing.T) {
			h := newHosts(t)
			w, p, conn := h.writer()
			h.insert(conn, 50)
			r := h.server("r")
			if err := r.Copy(h.ctx, postgres.Upstream{SocketDir: w.SocketDir}); err != nil {
				t.Fatal(err)
			}
			// The reader's host is the second; it reads the first one's feed.
			h.start(r, h.upstream())
			reader := h.connect(r)
			h.insert(conn, 10)
			h.eventually("the reader has all rows", func() bool { return h.count(reader) == 60 })

			first, second := h.all[0], h.all[1]
			first.lose(silently)
			began := time.Now()
			o, err := second.client.Open(h.ctx, h.of, 2, false)
			if err != nil {
				t.Fatal(err)
			}
			opened := time.Since(began)
			if opened > callLimit {
				t.Errorf("the dead host held the new leader up for %v", opened)
			}
			h.eventually("the heir has the durable end", func() bool {
				st, err := r.Status(h.ctx)
				return err == nil && LSN(st.ReplayLSN) >= o.RecordEnd
			})
			if err := r.Promote(h.ctx, 0); err != nil {
				t.Fatal(err)
			}
			h.follow(second, r, 2)
			h.insert(reader, 10)
			t.Logf("opened after %v, first commits after %v", opened, time.Since(began))

			// The first one is back and still believes that it leads: it gets nothing
			// acknowledged, and gives up.
			first.comeBack()
			ctx, cancel := context.WithTimeout(h.ctx, patience)
			defer cancel()
			if err := first.client.Watch(ctx, h.of, 1); ctx.Err() != nil {
				t.Errorf("the former leader goes on: %v", err)
			}
			if _, err := first.client.Open(h.ctx, h.of, 1, false); !errors.Is(err, ErrStale) {
				t.Errorf("the former term was opened again: %v", err)
			}
			h.eventually("all copies are the new leader's", func() bool { return h.whole(second) })
			h.insert(reader, 10)
			if n := h.count(reader); n != 80 {
				t.Errorf("%d rows, want 80", n)
			}
			_ = p.Stop(h.ctx, postgres.StopImmediate, time.Second)
		})
	}
}

func TestHungHostHoldsNobodyUp(t *testing.T) {
	h := newHosts(t)
	w, _, conn := h.writer()
	h.insert(conn, 10)
	h.all[1].lose(true)
	// Nobody knows yet that it hangs.
	began := time.Now()
	if st, err := h.all[0].client.Status(h.ctx, h.of); err != nil || len(st.Copies) != 6 {
		t.Errorf("%+v, %v", st, err)
	}
	h.insert(conn, 1)
	if took := time.Since(began); took > callLimit {
		t.Errorf("it took %v", took)
	}
	// The writer is attached anew.
	if err := h.all[0].client.Detach(h.ctx, h.of); err != nil {
		t.Fatal(err)
	}
	if err := h.all[0].client.Watch(h.ctx, h.of, 1); err == nil {
		t.Error("the shipper goes on without its connection")
	}
	began = time.Now()
	h.follow(h.all[0], w, 1)
	h.insert(conn, 1)
	if took := time.Since(began); took > 2*callLimit {
		t.Errorf("it took %v until the first commit", took)
	}
	h.all[1].comeBack()
	h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
}

func TestDropOnOneHostIsOfThatHostOnly(t *testing.T) {
	h := newHosts(t)
	_, p, conn := h.writer()
	h.insert(conn, 5)
	h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
	_ = p.Stop(h.ctx, postgres.StopImmediate, time.Second)
	for i, m := range h.all[:3] {
		if err := m.client.Drop(h.ctx, h.of); err != nil {
			t.Fatal(err)
		}
		for n, zone := range h.of.Zones {
			_, err := os.Stat(h.all[n/2].layout.LogCopy(zone, h.of.ID, n))
			if gone := errors.Is(err, os.ErrNotExist); gone != (n/2 <= i) {
				t.Errorf("after the drop on host %d, copy %d: %v", i, n, err)
			}
		}
	}
}

// TestCopiesMoveWhileTheWriterGoesOn: a host that is gone for good is replaced, and
// whoever knows the old list only finds the new one.
func TestCopiesMoveWhileTheWriterGoesOn(t *testing.T) {
	h := newHosts(t)
	w, p, conn := h.writer()
	h.insert(conn, 20)
	before, first, second, third, fourth := h.of, h.all[0], h.all[1], h.all[2], h.all[3]
	replaced := append(slices.Clone(before.Hosts[:4]), fourth.id, fourth.id)
	if err := first.client.Move(h.ctx, before, before.Zones, replaced[:5]); err == nil {
		t.Error("5 hosts were taken for 6 zones")
	}
	third.lose(false)

	// Rows are written all the while.
	ctx, stop := context.WithCancel(h.ctx)
	defer stop()
	wrote := make(chan int, 1)
	go func() {
		rows := 0
		defer func() { wrote <- rows }()
		for ctx.Err() == nil {
			if _, err := conn.Exec(h.ctx, "INSERT INTO public.t VALUES (1)"); err != nil {
				t.Errorf("while the copies moved: %v", err)
				return
			}
			rows++
		}
	}()
	if err := first.client.Move(h.ctx, before, before.Zones, replaced); err != nil {
		t.Fatal(err)
	}
	h.eventually("all new copies have all", func() bool { return h.whole(first) })
	stop()
	rows := 20 + <-wrote
	st, err := first.client.Status(h.ctx, before)
	if err != nil || len(st.Copies) != 6 || st.Copies[4].Host != fourth.id || st.Copies[5].Host != fourth.id {
		t.Errorf("%+v, %v", st, err)
	}
	for range 2 { // it can be repeated, also with the new list
		if err := first.client.Move(h.ctx, h.of, h.of.Zones, replaced); err != nil {
			t.Error(err)
		}
		h.of.Hosts = replaced
	}

	// The second host takes over, and knows of the first list only. The lost one is
	// back, with copies of before.
	third.comeBack()
	second.lose(false)
	h.insert(conn, 5) // on the first and the fourth host
	second.comeBack()
	rows += 5
	h.eventually("all new copies have all", func() bool { return h.whole(first) })
	if err := p.Stop(h.ctx, postgres.StopImmediate, time.Second); err != nil {
		t.Fatal(err)
	}
	first.lose(false)
	h.start(w, nil) // as if its disk were on the second host
	h.of.Hosts = before.Hosts
	h.lead(second, w, 2, false)
	conn = h.connect(w)
	h.insert(conn, 5)
	if n := h.count(conn); n != rows+5 {
		t.Errorf("%d rows, want %d", n, rows+5)
	}
	st, err = second.client.Status(h.ctx, before)
	if err != nil || len(st.Copies) != 6 || st.Copies[5].Host != fourth.id || st.Copies[5].Problem != "" {
		t.Errorf("%+v, %v", st, err)
	}
	if problem := st.Copies[0].Problem; !strings.Contains(problem, "cannot be reached") {
		t.Errorf("the lost host: %q", problem)
	}
}

// TestCopiesGoToAnotherHostWhenTheOneThatWasToGetThemIsLost too.
func TestCopiesGoToAnotherHostWhenTheOneThatWasToGetThemIsLost(t *testing.T) {
	h := newHosts(t)
	_, _, conn := h.writer()
	h.insert(conn, 20)
	before, first, fourth := h.of, h.all[0], h.all[3]
	h.all[2].lose(false)
	fourth.lose(false)
	there := append(slices.Clone(before.Hosts[:4]), fourth.id, fourth.id)
	ctx, cancel := context.WithTimeout(h.ctx, time.Second)
	defer cancel()
	if err := first.client.Move(ctx, before, before.Zones, there); err == nil {
		t.Fatal("copies were moved to a host that is lost")
	}
	elsewhere := append(slices.Clone(before.Hosts[:4]), first.id, h.all[1].id)
	zones := append(slices.Clone(before.Zones[:4]), before.Zones[0], before.Zones[2])
	h.eventually("the copies are moved", func() bool { return first.client.Move(h.ctx, h.of, zones, elsewhere) == nil })
	h.of.Zones, h.of.Hosts = zones, elsewhere
	h.eventually("all copies have all", func() bool { return h.whole(first) })
	h.insert(conn, 5)
	h.all[2].comeBack()
	fourth.comeBack()
}

func TestCopiesOfASmallLogMoveToMore(t *testing.T) {
	h := newHosts(t)
	h.of.Zones, h.of.Hosts = []string{"xa"}, nil
	_, _, conn := h.writer()
	h.insert(conn, 20)
	zones, hosts := []string{"xa", "xb", "xc"}, []string{h.all[0].id, h.all[1].id, h.all[2].id}
	if err := h.all[0].client.Move(h.ctx, h.of, zones, hosts); err != nil {
		t.Fatal(err)
	}
	h.of.Zones, h.of.Hosts = zones, hosts
	h.insert(conn, 10)
	h.all[2].lose(true)
	h.insert(conn, 10)
	h.all[2].comeBack()
	h.eventually("all copies have all", func() bool { return h.whole(h.all[0]) })
	if st, err := h.all[0].client.Status(h.ctx, h.of); err != nil || len(st.Copies) != 3 || st.Hosts != 3 || !st.Shipping {
		t.Errorf("%+v, %v", st, err)
	}
}
