package link

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// target is a socket that other hosts may speak to: its path below the RunDir of
// the host that has it.
type target string

const (
	targetEtcd target = "etcd.sock"
	targetLog  target = "wal.sock"
	targetNode target = "node.sock"
	// targetPulse is no socket: what is said is answered by the link itself. After it
	// stands where the one who asks is reached.
	targetPulse target = "pulse"
)

// targets is the list of what may be spoken to. No part of it can be "..".
var targets = regexp.MustCompile(`\A(etcd\.sock|wal\.sock|node\.sock|pg/db-[A-Za-z0-9]{1,40}/\.s\.PGSQL\.5432|feed/[A-Za-z0-9-]{1,40}/\.s\.PGSQL\.5432|pulse)\z`)

// hostID is what the id of a host looks like.
var hostID = regexp.MustCompile(`\A[0-9a-f]{8}\z`)

// maxTarget is the longest line that names a target, and an address after it.
const maxTarget = 512

func parseTarget(name string) (target, error) {
	if !targets.MatchString(name) {
		return "", fmt.Errorf("%q is not to be spoken to from other hosts", name)
	}
	return target(name), nil
}

// in is where the target is on the host whose layout it is.
func (t target) in(l layout.Layout) string { return filepath.Join(l.RunDir(), string(t)) }

// targetOf is the target that is at a path there.
func targetOf(l layout.Layout, path string) target {
	return target(strings.TrimPrefix(path, l.RunDir()+"/"))
}

// socket is one of another host.
type socket struct {
	host   string
	target target
}

// manner is who may connect to a mirrored socket.
type manner struct {
	mode uint32
	uid  int // owner, where we may give files away; 0: we
}

// wanted are the sockets to mirror: of every other host those of etcd, of the log
// and of the node, of its DB instances' servers, and the feeds of the clusters that it has
// the writer of.
func wanted(v view) map[socket]manner {
	all := map[socket]manner{}
	known := map[string]bool{}
	for _, h := range v.hosts {
		known[h.ID] = true
		all[socket{h.ID, targetEtcd}] = manner{mode: 0o600}
		all[socket{h.ID, targetLog}] = manner{mode: 0o600}
		all[socket{h.ID, targetNode}] = manner{mode: 0o600}
	}
	clusters := map[string]aurora.DBCluster{}
	for _, c := range v.clusters {
		clusters[c.ResourceID] = c
	}
	add := func(host string, path func(layout.Layout) string, m manner) {
		var anywhere layout.Layout
		t := targetOf(anywhere, filepath.Join(path(anywhere), ".s.PGSQL.5432"))
		if known[host] && targets.MatchString(string(t)) {
			all[socket{host, t}] = m
		}
	}
	for _, in := range v.instances {
		c := clusters[in.Spec.ClusterResourceID]
		add(in.Status.Host, func(l layout.Layout) string { return l.InstanceSocketDir(in.ResourceID) }, manner{mode: 0o700, uid: c.Status.OSUser})
		if c.Status.Writer == in.ResourceID {
			add(in.Status.Host, func(l layout.Layout) string { return l.FeedDir(c.ResourceID) }, manner{mode: 0o666})
		}
	}
	return all
}
