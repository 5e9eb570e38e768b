package endpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// Login is a client that shows a token of IAM in the place of a password.
type Login struct {
	Cluster aurora.DBCluster
	User    string
	Hosts   []string // host:port of the endpoint, each of its names and addresses
	Client  netip.Addr
	Token   string
}

const (
	authCleartext = 3
	// maxToken bounds a token. One of a session of a role has two thousand bytes.
	maxToken = 64 << 10
)

// trusts says whether a server has let the client in without any proof: it does so
// with members of rds_iam, whose tokens are for us to check.
func (l *link) trusts() bool {
	message, err := firstMessage(l.said)
	return err == nil && len(message) >= headerBytes+4 && message[0] == 'R' && binary.BigEndian.Uint32(message[headerBytes:]) == authOK
}

// admit has a client show its token, unless its server asks for a password itself.
// It does so once, also when another server takes the first one's place.
func (v *visitor) admit(ctx context.Context, s startup, l *link) error {
	if !l.trusts() || v.admitted {
		return nil
	}
	e, p := v.front.current.Load(), v.front.proxy
	if !v.encrypted() {
		return refuseWithoutTLS(v.addr.Addr(), s, "Members of rds_iam log in with a token, which needs TLS: connect with sslmode=require or better.")
	}
	p.mu.Lock()
	c := p.plan.clusters[e.Cluster]
	p.mu.Unlock()
	refused := &refusal{codeInvalidAuthorization, fmt.Sprintf("PAM authentication failed for user %q", s.get("user")), ""}
	token, err := v.askToken(ctx)
	if err != nil {
		return err
	}
	if !c.Spec.IAMDatabaseAuth || p.config.CheckToken == nil {
		refused.hint = "Members of rds_iam log in with a token only, and IAM database authentication is not enabled for this DB cluster (EnableIAMDatabaseAuthentication)."
		return refused
	}
	err = p.config.CheckToken(ctx, Login{Cluster: c, User: s.get("user"), Hosts: v.hosts(), Client: v.client.Addr, Token: token})
	if err != nil {
		p.guard.failed(v.attempt(s), time.Now())
		p.metrics.refused.WithLabelValues(refusedByToken).Inc()
		v.front.warn("login by IAM refused", "client", v.addr, "endpoint", e.ID, "user", s.get("user"), "reason", err)
		return refused
	}
	v.admitted = true
	return nil
}

// askToken asks as PostgreSQL asks for a password that it wants to read itself.
func (v *visitor) askToken(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = v.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := v.conn.SetDeadline(time.Now().Add(authLimit)); err != nil {
		return "", err
	}
	request := binary.BigEndian.AppendUint32([]byte{'R', 0, 0, 0, 8}, authCleartext)
	if _, err := v.peer.Write(request); err != nil {
		return "", err
	}
	var head [headerBytes]byte
	if _, err := io.ReadFull(v.peer, head[:]); err != nil {
		return "", errGone
	}
	length := binary.BigEndian.Uint32(head[1:])
	if head[0] != 'p' || length < 5 || length > maxToken {
		return "", protocolError("expected password response")
	}
	body := make([]byte, length-4)
	if _, err := io.ReadFull(v.peer, body); err != nil {
		return "", errGone
	}
	token, ok := bytes.CutSuffix(body, []byte{0})
	if !ok || bytes.IndexByte(token, 0) >= 0 {
		return "", protocolError("invalid password packet size")
	}
	return string(token), v.conn.SetDeadline(time.Time{})
}

// hosts are all names and addresses, with their ports, by which the client may have
// known the endpoint when it signed its token.
func (v *visitor) hosts() []string {
	e := v.front.current.Load()
	hosts := append([]string{}, e.Addresses...)
	local, ok := v.conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return hosts
	}
	hosts = append(hosts, local.String())
	if e.DNSName != "" {
		hosts = append(hosts, net.JoinHostPort(e.DNSName, strconv.Itoa(local.Port)))
	}
	return hosts
}
