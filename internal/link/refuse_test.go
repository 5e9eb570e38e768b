package link

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestOnlyTheSocketsOnTheListAreSpokenTo(t *testing.T) {
	for name, ok := range map[string]bool{
		"etcd.sock": true, "wal.sock": true, "pulse": true,
		"pg/db-ABC123/.s.PGSQL.5432": true, "feed/ABC123/.s.PGSQL.5432": true,
		"": false, "etcd.sock.peer": false, "control.pulse": false, "node.metrics": false, "/etc/passwd": false,
		"../keys/root.key": false, "pg/../etcd.sock": false, "pg/db-A/../../etcd.sock": false, "pg/db-ABC/.s.PGSQL.5433": false,
		"pg/db-/.s.PGSQL.5432": false, "feed//.s.PGSQL.5432": false, "hosts/00000001/etcd.sock": false,
		"etcd.sock\n": false, "etcd.sock\x00": false, "ETCD.SOCK": false,
		"pg/db-" + strings.Repeat("A", 41) + "/.s.PGSQL.5432": false,
	} {
		if _, err := parseTarget(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzTargetStaysBelowItsDirectory(f *testing.F) {
	f.Add("pg/db-A/.s.PGSQL.5432")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, name string) {
		if _, err := parseTarget(name); err == nil && (strings.Contains(name, "..") || strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\n\x00")) {
			t.Errorf("%q is taken", name)
		}
	})
}

func TestStrangersAndUnknownTargetsAreRefused(t *testing.T) {
	in := newInstallation(t)
	one, two := in.pair()
	answer(t, one.LogSocket(), echo)
	answer(t, one.EtcdSocket()+".peer", echo)
	eventually(t, "the two know each other", speaks(t, two.Via(one.id).LogSocket()))
	foreign, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	host := func(ca *pki.CA, id string) *pki.Certificate { return ca.HostCertificate(id, "127.0.0.1") }
	for name, c := range map[string]struct {
		cert   *pki.Certificate
		target string
		ok     bool
	}{
		"a host, the log":                   {host(in.ca, two.id), "wal.sock", true},
		"a host, a socket not on the list":  {host(in.ca, two.id), "etcd.sock.peer", false},
		"a host, more than a target":        {host(in.ca, two.id), "wal.sock 127.0.0.1:1", false},
		"a host, a path that leads out":     {host(in.ca, two.id), "../run/wal.sock", false},
		"a host, a name without end":        {host(in.ca, two.id), strings.Repeat("x", 4096), false},
		"a host that is not known":          {host(in.ca, "0000000f"), "wal.sock", false},
		"a host of another installation":    {host(foreign, two.id), "wal.sock", false},
		"an endpoint":                       {in.ca.Certificate([]string{"db.example.org"}, []net.IP{net.ParseIP("127.0.0.1")}), "wal.sock", false},
		"nobody":                            {nil, "wal.sock", false},
		"nobody, who says it wants to join": {nil, "join", false},
	} {
		t.Run(name, func(t *testing.T) {
			settings := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protoLink}}
			if c.cert != nil {
				settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert.Get() }
			}
			if c.target == "join" {
				settings.NextProtos = []string{protoJoin, protoLink}
				c.target = "wal.sock"
			}
			conn, err := tls.Dial("tcp", one.addr, settings)
			if err != nil {
				return // refused already
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = conn.Write([]byte(c.target + "\nhello"))
			heard := make([]byte, 5)
			_, err = io.ReadFull(conn, heard)
			if got := err == nil && string(heard) == "hello"; got != c.ok {
				t.Errorf("spoke to the socket: %v, want %v (%v)", got, c.ok, err)
			}
		})
	}
}

func TestHostJoinsWithATokenThatIsValid(t *testing.T) {
	in := newInstallation(t)
	addr := freeAddr(t)
	one := in.run(in.home, "00000001", addr, in.store)
	in.register(one.id, addr)
	token := func(expires time.Duration) string {
		text, err := NewToken(addr, in.ca, in.keys, time.Now().Add(expires))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	mine := config.Config{HostID: "00000002", Zones: []string{"b"}, LinkAddr: "127.0.0.1:8430", EndpointBind: "127.0.0.9"}
	foreign := newInstallation(t)
	stolen, err := NewToken(addr, in.ca, foreign.keys, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := NewToken(addr, foreign.ca, in.keys, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, want string }{
		"expired":                      {token(-time.Minute), "expired"},
		"not a token":                  {"daybreak.xyz", "not one that"},
		"half a token":                 {token(time.Hour)[:40], "not one that"},
		"made with another root key":   {stolen, "not of this installation"},
		"of an installation elsewhere": {elsewhere, "not of the installation that made the token"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLayout(t)
			_, err := Join(t.Context(), l, c.token, mine)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.token) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if _, err := config.Load(l); !errors.Is(err, config.ErrNone) {
				t.Error("a host that was refused has settings")
			}
		})
	}
	if _, err := state.Hosts(in.store).Get(t.Context(), mine.HostID); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a host that was refused is stored: %v", err)
	}

	l := newLayout(t)
	joined, err := Join(t.Context(), l, token(time.Hour), mine)
	if err != nil {
		t.Fatal(err)
	}
	if joined.HostID != mine.HostID || joined.LinkAddr != mine.LinkAddr || joined.EndpointBind != mine.EndpointBind || joined.FirstHost != addr || !joined.Joined() {
		t.Errorf("settings %+v", joined)
	}
	ca, err := pki.Open(l.PKI())
	if err != nil || ca.Fingerprint() != in.ca.Fingerprint() {
		t.Errorf("another authority, %v", err)
	}
	known, err := LoadHosts(l)
	if err != nil || len(known) != 1 || known[0] != (Host{ID: one.id, Link: addr}) {
		t.Errorf("knows %v, %v", known, err)
	}
	stored, err := state.Hosts(in.store).Get(t.Context(), mine.HostID)
	if err != nil || stored.Value.Link != mine.LinkAddr || len(stored.Value.Zones) != 1 {
		t.Errorf("stored %+v, %v", stored.Value, err)
	}
	if _, err := Join(t.Context(), l, token(time.Hour), mine); err == nil {
		t.Error("joined twice with one data directory")
	}
	// A second attempt of a host that was never there has another id.
	again := mine
	again.HostID = "00000003"
	if _, err := Join(t.Context(), newLayout(t), token(time.Hour), again); err != nil {
		t.Errorf("a second attempt: %v", err)
	}
	if _, err := state.Hosts(in.store).Get(t.Context(), mine.HostID); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the first attempt is still stored: %v", err)
	}
}
