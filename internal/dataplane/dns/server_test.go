package dns

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func testServer() *Server {
	records := map[string]Record{
		"demo.rds.example.com": {Addrs: []netip.Addr{netip.MustParseAddr("127.42.0.1")}, TTL: 5 * time.Second},
		"six.rds.example.com":  {Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")}, TTL: 5 * time.Second},
	}
	return &Server{Domain: "rds.example.com", Logger: slog.New(slog.DiscardHandler), Lookup: func(name string) (Record, bool) {
		r, ok := records[name]
		return r, ok
	}}
}

// serve starts a server and returns resolvers that ask it by UDP and by TCP.
func serve(t *testing.T) map[string]*net.Resolver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- testServer().Serve(ctx, addr) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	resolvers := map[string]*net.Resolver{}
	for _, network := range []string{"udp", "tcp"} {
		resolvers[network] = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return resolvers
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestResolversAreAnswered(t *testing.T) {
	for network, resolver := range serve(t) {
		for name, want := range map[string][]string{
			"demo.rds.example.com.": {"127.42.0.1"},
			"DEMO.RDS.example.com.": {"127.42.0.1"},
			"six.rds.example.com.":  {"fd00::1"},
		} {
			if got, err := resolver.LookupHost(t.Context(), name); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s by %s: %v, %v", name, network, got, err)
			}
		}
		_, err := resolver.LookupHost(t.Context(), "gone.rds.example.com.")
		if missing := (*net.DNSError)(nil); !errors.As(err, &missing) || !missing.IsNotFound {
			t.Errorf("a name that is not there, by %s: %v", network, err)
		}
		if got, err := resolver.LookupHost(t.Context(), "www.example.com."); err == nil {
			t.Errorf("a name that is not ours, by %s: %v", network, got)
		}
	}
}

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		name    string
		kind    dnsmessage.Type
		class   dnsmessage.Class
		rcode   dnsmessage.RCode
		answers int
		soa     bool // in the authority section
	}{
		"an address":                   {"demo.rds.example.com.", dnsmessage.TypeA, dnsmessage.ClassINET, dnsmessage.RCodeSuccess, 1, false},
		"no address of the other kind": {"demo.rds.example.com.", dnsmessage.TypeAAAA, dnsmessage.ClassINET, dnsmessage.RCodeSuccess, 0, true},
		"no such name":                 {"no.rds.example.com.", dnsmessage.TypeA, dnsmessage.ClassINET, dnsmessage.RCodeNameError, 0, true},
		"the domain itself":            {"rds.example.com.", dnsmessage.TypeA, dnsmessage.ClassINET, dnsmessage.RCodeSuccess, 0, true},
		"its authority":                {"rds.example.com.", dnsmessage.TypeSOA, dnsmessage.ClassINET, dnsmessage.RCodeSuccess, 1, false},
		"a name that only ends alike":  {"xrds.example.com.", dnsmessage.TypeA, dnsmessage.ClassINET, dnsmessage.RCodeRefused, 0, false},
		"another class":                {"demo.rds.example.com.", dnsmessage.TypeA, dnsmessage.ClassCHAOS, dnsmessage.RCodeRefused, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			query := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{
				{Name: dnsmessage.MustNewName(tc.name), Type: tc.kind, Class: tc.class},
			}}
			packed, err := query.Pack()
			if err != nil {
				t.Fatal(err)
			}
			var reply dnsmessage.Message
			if err := reply.Unpack(testServer().answer(packed, maxMessage)); err != nil {
				t.Fatal(err)
			}
			if reply.ID != 7 || !reply.Response || reply.RecursionAvailable || reply.RCode != tc.rcode || len(reply.Answers) != tc.answers || (len(reply.Authorities) == 1) != tc.soa {
				t.Errorf("%+v", reply)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	query := dnsmessage.Message{Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName("demo.rds.example.com."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
	}}
	packed, err := query.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(packed[:5])
	f.Add(packed[:14])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		answer := testServer().answer(message, maxMessage)
		if answer == nil {
			return
		}
		var reply dnsmessage.Message
		if err := reply.Unpack(answer); err != nil || !reply.Response || len(answer) > maxMessage {
			t.Errorf("%x is answered %x: %v", message, answer, err)
		}
	})
}
