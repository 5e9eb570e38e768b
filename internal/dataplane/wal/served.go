package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// served is one cluster's log with all that belongs to it.
type served struct {
	*Log
	cluster Cluster // as it was asked for last
	feed    *feed
	others  []*hostGroup // copies on other hosts
	stop    context.CancelFunc
	repairs sync.WaitGroup

	shipping sync.Mutex
	shipper  *shipper
	closed   bool
}

// errReplaced says that the log is served with other copies now.
var errReplaced = errors.New("the log is being opened with other copies")

// serve returns the log of a cluster, which is opened if it is not.
func (h *Host) serve(c Cluster) (*served, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(c.Zones) == 0 || c.ID == "":
		return nil, fmt.Errorf("log of %q: no zones for its copies", c.ID)
	case len(c.Zones) > maxCopies || len(c.Hosts) > 0 && len(c.Hosts) != len(c.Zones):
		return nil, fmt.Errorf("log of %s: %d zones and %d hosts of its copies", c.ID, len(c.Zones), len(c.Hosts))
	}
	s := h.served[c.ID]
	if s == nil {
		return h.open(c, nil, nil)
	}
	if c.SystemIdentifier == "" {
		c.SystemIdentifier = s.cluster.SystemIdentifier
	}
	changed := !slices.Equal(c.placesOn(h.config.HostID), s.cluster.placesOn(h.config.HostID))
	s.cluster = c
	if _, leads := s.leads(); changed && !leads {
		s.close()
		return h.open(c, nil, nil)
	}
	return s, h.listen(s)
}

// open begins to serve a log: with these members, or the cluster's, and others that
// do not count yet. The caller holds mu.
func (h *Host) open(c Cluster, m *Members, others []Place) (*served, error) {
	delete(h.served, c.ID)
	s := &served{cluster: c}
	ctx, cancel := context.WithCancel(h.ctx)
	if err := h.assemble(ctx, s, m, others); err != nil {
		cancel()
		return nil, err
	}
	s.stop = cancel
	s.repairs.Go(func() { s.repairLoop(ctx) })
	for _, n := range s.lanes {
		s.repairs.Go(n.run)
	}
	s.watchOthers(ctx)
	h.served[c.ID] = s
	return s, h.listen(s)
}

// renew serves a log with other copies, unless somebody has done so.
func (h *Host) renew(old *served, m *Members, others []Place) (*served, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.served[old.cluster.ID]; s != old {
		return s, errReplaced
	}
	old.close()
	return h.open(old.cluster, m, others)
}

// maxRenewals bounds how often a log is opened again because it has other copies.
const maxRenewals = 5

// with calls f with the log of a cluster: again, if it finds that the log has other
// copies, with these.
func (h *Host) with(c Cluster, f func(*served) error) error {
	s, err := h.serve(c)
	for range maxRenewals {
		if err == nil {
			err = f(s)
		}
		var other *membersError
		var none *QuorumError
		switch {
		case errors.As(err, &other):
			s, err = h.renew(s, other.found, nil)
		case errors.As(err, &none) && s.outdated(h.config.HostID):
			s, err = h.renew(s, nil, nil)
		case err == nil || !errors.Is(err, errReplaced):
			return err
		}
		if errors.Is(err, errReplaced) {
			s, err = h.serve(c)
		}
	}
	return err
}

// outdated says whether the log is served with copies that were found once, and
// the cluster is said to have others now.
func (s *served) outdated(here string) bool {
	m := s.configuration()
	return m != nil && !slices.Equal(join(m.Now, m.Next), s.cluster.placesOn(here))
}

// assemble makes the log of its copies, here and on other hosts.
func (h *Host) assemble(ctx context.Context, s *served, m *Members, more []Place) error {
	counting := [][]Place{s.cluster.placesOn(h.config.HostID)}
	if m != nil {
		counting = [][]Place{m.Now, m.Next}
	}
	places := join(join(nil, slices.Concat(counting...)), more)
	disks := map[*journal]int{} // index in groups
	hosts := map[string]*hostGroup{}
	var groups []group
	var replicas []replica
	for _, p := range places {
		if p.Host != h.config.HostID {
			g := hosts[p.Host]
			if g == nil {
				via, err := h.peer(p.Host)
				if err != nil {
					return err
				}
				g = &hostGroup{via: via, ctx: ctx}
				hosts[p.Host], groups, s.others = g, append(groups, g), append(s.others, g)
			}
			r := newRemote(ctx, g.via, s.cluster.ID, p)
			g.copies, replicas = append(g.copies, r), append(replicas, r)
			continue
		}
		copied, err := h.copy(s.cluster.ID, p.Zone, p.Number)
		if err != nil {
			return err
		}
		replicas = append(replicas, copied)
		i, ok := disks[copied.journal]
		if !ok {
			i = len(groups)
			disks[copied.journal], groups = i, append(groups, diskGroup{})
		}
		groups[i] = append(groups[i].(diskGroup), copied)
	}
	s.Log = newLog(s.cluster.ID, replicas, groups)
	s.configure(m, places, counting...)
	return nil
}

// peer returns the log of another host, which is reached through our link.
func (h *Host) peer(host string) (*peer, error) {
	if err := checkNames(host); err != nil {
		return nil, err
	}
	if h.config.HostID == "" {
		return nil, fmt.Errorf("a copy is on host %s, and this host does not know which it is", host)
	}
	if h.peers[host] == nil {
		h.peers[host] = newPeer(h.ctx, host, h.config.Layout.Via(host).LogSocket())
	}
	return h.peers[host], nil
}

// watchOthers keeps what is known of copies on other hosts fresh while their log is
// led here.
func (s *served) watchOthers(ctx context.Context) {
	for _, g := range s.others {
		if p, ok := g.via.(*peer); ok {
			p.onReturn(s, func() { s.poll(g) })
		}
		s.repairs.Go(func() {
			tick := time.NewTicker(pollInterval)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					s.poll(g)
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// listen opens the feed once the database exists.
func (h *Host) listen(s *served) error {
	if s.feed != nil || s.cluster.SystemIdentifier == "" {
		return nil
	}
	dir := h.config.Layout.FeedDir(s.cluster.ID)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	var err error
	s.feed, err = listenFeed(h.ctx, s.Log, dir, s.cluster.SystemIdentifier, s.cluster.Password)
	return err
}

func (s *served) close() {
	s.shipping.Lock()
	defer s.shipping.Unlock()
	s.closed = true
	if s.shipper != nil {
		s.shipper.stop()
		s.shipper = nil
	}
	if s.feed != nil {
		s.feed.close()
	}
	s.stop()
	for _, n := range s.lanes {
		n.close()
	}
	for _, g := range s.others {
		if p, ok := g.via.(*peer); ok {
			p.forget(s)
		}
	}
	s.awaitRepairs()
}

// awaitRepairs waits for what is being done to copies, but not for a disk that
// hangs: what it carries out late is what was ordered before, and checked.
func (s *served) awaitRepairs() {
	done := make(chan struct{})
	go func() {
		s.repairs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(callLimit):
	}
}

// trim deletes what is before a position from every copy.
func (s *served) trim(before LSN) {
	b, _ := s.leads()
	s.mend(func(n int) error {
		if _, err := s.copies[n].State(); err != nil {
			return nil
		}
		return s.copies[n].Trim(b, before)
	})
}

// openTerm stops the shipper of a lower term and opens the log for a new one.
func (s *served) openTerm(ctx context.Context, term int64, create bool) (Opened, error) {
	s.shipping.Lock()
	defer s.shipping.Unlock()
	if s.closed {
		return Opened{}, errReplaced
	}
	if s.ships(term) {
		gate, _ := s.Gate()
		return Opened{End: gate.LSN, Timeline: gate.History.newest(), Begun: true}, nil
	}
	if s.shipper != nil && s.shipper.term < term {
		s.shipper.stop()
		s.shipper = nil
	}
	return s.Open(ctx, term, create)
}

// detach drops the connection to the writer.
func (s *served) detach() {
	s.shipping.Lock()
	defer s.shipping.Unlock()
	if s.shipper != nil {
		_ = s.shipper.conn.Close()
	}
}

// inject takes one copy away for a while.
func (s *served) inject(q injectRequest) {
	s.copies[q.Copy%len(s.copies)].awayFor(q.Interval, q.Percentage)
	s.Repair()
}

// ships says whether the shipper of a term runs.
func (s *served) ships(term int64) bool {
	if s.shipper == nil || s.shipper.term != term {
		return false
	}
	select {
	case <-s.shipper.done:
		return false
	default:
		return true
	}
}

// attach has the shipper of a term ship; it does nothing while that does.
func (s *served) attach(ctx context.Context, term int64, src Source) error {
	s.shipping.Lock()
	defer s.shipping.Unlock()
	if s.closed {
		return errReplaced
	}
	if s.ships(term) {
		return nil
	}
	if s.shipper != nil {
		s.shipper.stop()
		s.shipper = nil
	}
	shipper, err := s.ship(ctx, term, src)
	if err != nil {
		return err
	}
	s.shipper = shipper
	return nil
}
