// Package dns is an authoritative DNS server for one domain (RFC 1035): it answers
// what it is told there is, at once, and refuses everything else. It must not know
// what the names are for.
package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"
)

// Record is what a name leads to.
type Record struct {
	Addrs []netip.Addr
	TTL   time.Duration
}

// Server answers for one domain and all names below it.
type Server struct {
	// Domain has no dots at its ends.
	Domain string
	// Lookup returns the record of a name in lower case, without a dot at its end.
	Lookup func(name string) (Record, bool)
	Logger *slog.Logger
}

const (
	// negativeTTL is how long others may remember that there is no such name: a
	// cluster may be made at any moment.
	negativeTTL = time.Second
	// maxMessage is the size of a UDP message that every client takes (RFC 1035, 4.2.1).
	maxMessage = 512
	tcpLimit   = 5 * time.Second
	tcpAtOnce  = 64
)

// Serve answers at an address (host:port), by UDP and TCP, until ctx ends.
func (s *Server) Serve(ctx context.Context, addr string) error {
	var config net.ListenConfig
	udp, err := config.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	tcp, err := config.Listen(ctx, "tcp", udp.LocalAddr().String())
	if err != nil {
		return errors.Join(fmt.Errorf("dns: %w", err), udp.Close())
	}
	stop := context.AfterFunc(ctx, func() { _, _ = udp.Close(), tcp.Close() })
	defer stop()
	s.Logger.Info("names are served", "domain", s.Domain, "address", udp.LocalAddr())
	var group errgroup.Group
	group.Go(func() error { return s.serveUDP(ctx, udp) })
	group.Go(func() error { return s.serveTCP(ctx, tcp) })
	return group.Wait()
}

func (s *Server) serveUDP(ctx context.Context, conn net.PacketConn) error {
	buffer := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("dns: %w", err)
			}
			continue // of an answer that somebody did not take
		}
		if answer := s.answer(buffer[:n], maxMessage); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (s *Server) serveTCP(ctx context.Context, listener net.Listener) error {
	group := errgroup.Group{}
	group.SetLimit(tcpAtOnce)
	defer func() { _ = group.Wait() }()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("dns: %w", err)
			}
			s.Logger.Warn("dns: cannot accept connections now", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		group.Go(func() error {
			s.serveConn(conn)
			return nil
		})
	}
}

// serveConn answers queries that have their length before them.
func (s *Server) serveConn(conn net.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(tcpLimit)) != nil {
		return
	}
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := s.answer(query, 1<<16-1)
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer returns nil for what is no query.
func (s *Server) answer(query []byte, limit int) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	reply := dnsmessage.Message{Header: dnsmessage.Header{
		ID: header.ID, Response: true, OpCode: header.OpCode, RecursionDesired: header.RecursionDesired,
	}}
	question, err := p.Question()
	switch {
	case err != nil:
		reply.RCode = dnsmessage.RCodeFormatError
	case header.OpCode != 0:
		reply.RCode = dnsmessage.RCodeNotImplemented
	default:
		reply.Questions = []dnsmessage.Question{question}
		s.fill(&reply, question)
	}
	packed, err := reply.Pack()
	if err == nil && len(packed) > limit {
		reply.Answers, reply.Truncated = nil, true
		packed, err = reply.Pack()
	}
	if err != nil {
		s.Logger.Error("dns: answer not sent", "error", err)
		return nil
	}
	return packed
}

func (s *Server) fill(reply *dnsmessage.Message, q dnsmessage.Question) {
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	apex := name == s.Domain
	if q.Class != dnsmessage.ClassINET || !apex && !strings.HasSuffix(name, "."+s.Domain) {
		reply.RCode = dnsmessage.RCodeRefused
		return
	}
	reply.Authoritative = true
	record, ok := s.Lookup(name)
	if ok {
		reply.Answers = record.answers(q)
	} else if !apex {
		reply.RCode = dnsmessage.RCodeNameError
	}
	if apex && q.Type == dnsmessage.TypeSOA {
		reply.Answers = append(reply.Answers, s.authority())
	}
	if len(reply.Answers) == 0 {
		reply.Authorities = []dnsmessage.Resource{s.authority()}
	}
}

func (r Record) answers(q dnsmessage.Question) (all []dnsmessage.Resource) {
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: uint32(r.TTL.Seconds())}
	for _, addr := range r.Addrs {
		switch {
		case addr.Is4() && (q.Type == dnsmessage.TypeA || q.Type == dnsmessage.TypeALL):
			header.Type = dnsmessage.TypeA
			all = append(all, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && (q.Type == dnsmessage.TypeAAAA || q.Type == dnsmessage.TypeALL):
			header.Type = dnsmessage.TypeAAAA
			all = append(all, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return all
}

// authority says who answers for the domain, and how long its silences hold.
func (s *Server) authority() dnsmessage.Resource {
	domain := dnsmessage.MustNewName(s.Domain + ".")
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: domain, Type: dnsmessage.TypeSOA, Class: dnsmessage.ClassINET, TTL: uint32(negativeTTL.Seconds())},
		Body: &dnsmessage.SOAResource{
			NS: domain, MBox: domain, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: uint32(negativeTTL.Seconds()),
		},
	}
}
