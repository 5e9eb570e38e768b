package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Cluster is whose WAL a log keeps, and where.
type Cluster struct {
	ID string `json:"id"`
	// Zones has the zone of each copy.
	Zones []string `json:"zones"`
	// Hosts has the host of each copy; none: all are on the host that is asked.
	Hosts []string `json:"hosts,omitempty"`
	// SystemIdentifier is PostgreSQL's; empty before initdb.
	SystemIdentifier string `json:"systemIdentifier"`
	// Password is that of the replication role: readers say it to the feed.
	Password string `json:"password"`
}

// HostConfig of the logs of one host.
type HostConfig struct {
	Layout layout.Layout
	// HostID is this host's id among Cluster.Hosts.
	HostID string
	// JournalPerCopy syncs every copy for itself, as if each had its own disk.
	JournalPerCopy bool
}

// maxCopies is how many copies a log can have: an entry of a journal has a bit for each.
const maxCopies = 64

// Host keeps the logs of one host.
type Host struct {
	config HostConfig
	ctx    context.Context
	began  time.Time
	end    context.CancelFunc
	orders *orders

	mu       sync.Mutex
	journals map[string]*journal // by directory
	copies   map[string]*Copy    // all that were opened, by directory: one for each
	served   map[string]*served
	peers    map[string]*peer // by host
	moving   map[string]bool  // clusters whose copies are being moved
}

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

// OpenHost opens what the host's disks hold, and brings copies up to what the
// journals have.
func OpenHost(ctx context.Context, c HostConfig) (*Host, error) {
	h := &Host{config: c, began: time.Now(), journals: map[string]*journal{}, copies: map[string]*Copy{}, served: map[string]*served{}, peers: map[string]*peer{}, moving: map[string]bool{}}
	h.ctx, h.end = context.WithCancel(ctx)
	h.orders = newOrders(h)
	dirs, err := filepath.Glob(c.Layout.LogCopies())
	if err != nil {
		return nil, err
	}
	byJournal := map[string]map[string][]*Copy{} // journal, cluster
	highest := map[string]uint64{}
	for _, dir := range dirs {
		cluster, zone := filepath.Base(filepath.Dir(dir)), filepath.Base(filepath.Dir(filepath.Dir(dir)))
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "wal-"))
		if err != nil || number < 0 || number >= maxCopies {
			continue
		}
		copied, err := openCopy(nil, cluster, number, dir)
		if err != nil {
			slog.Error("wal: a copy cannot be read and will be rebuilt", "dir", dir, "error", err)
			continue
		}
		at, err := h.journalDir(zone, dir)
		if err != nil {
			return nil, err
		}
		if byJournal[at] == nil {
			byJournal[at] = map[string][]*Copy{}
		}
		byJournal[at][cluster] = append(byJournal[at][cluster], copied)
		highest[at] = max(highest[at], copied.seq)
		h.copies[dir] = copied
	}
	for at, copies := range byJournal {
		if err := h.openJournal(at, highest[at], copies); err != nil {
			return nil, err
		}
	}
	return h, h.forgetHalfBases()
}

// openJournal opens a journal and replays it into the copies that it is of.
func (h *Host) openJournal(at string, seq uint64, copies map[string][]*Copy) error {
	touched := map[*Copy]bool{}
	j, err := openJournal(at, seq, func(seq uint64, e entry) error {
		for _, c := range copies[e.cluster] {
			if e.copies&(1<<c.number) != 0 && c.replay(seq, e) {
				touched[c] = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, of := range copies {
		for _, c := range of {
			c.journal = j
		}
	}
	j.mu.Lock()
	j.dirty = touched
	j.mu.Unlock()
	h.journals[at] = j
	j.wakeRetire()
	return nil
}

// journalDir is where the journal of a copy is: one for each disk.
func (h *Host) journalDir(zone, copyDir string) (string, error) {
	if h.config.JournalPerCopy {
		return copyDir + ".journal", nil
	}
	own, err := device(filepath.Join(h.config.Layout.Zones(), zone))
	if err != nil {
		return "", err
	}
	all, err := device(h.config.Layout.Root)
	if err != nil || own != all {
		return h.config.Layout.Journal(zone), err
	}
	return h.config.Layout.Journal(""), nil
}

func device(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	return uint64(info.Sys().(*syscall.Stat_t).Dev), nil
}

// journalInterval is how often broken journals are looked for.
const journalInterval = time.Second

// errNoJournal: only a new start, with a replay of what the disks have, can help.
var errNoJournal = errors.New("no journal can be written any more")

// keepJournals replaces journals that a full or broken disk has ended, when the
// disk works again: its copies are then rebuilt from those on other disks. It
// returns when no journal works.
func (h *Host) keepJournals(ctx context.Context) error {
	for {
		select {
		case <-time.After(journalInterval):
		case <-ctx.Done():
			return nil
		}
		h.mu.Lock()
		journals := maps.Clone(h.journals)
		h.mu.Unlock()
		broken := map[string]*journal{}
		for at, j := range journals {
			if err := j.broken(); err != nil {
				slog.Error("wal: journal broken", "journal", at, "error", err)
				broken[at] = j
			}
		}
		if len(broken) > 0 && len(broken) == len(journals) {
			return errNoJournal
		}
		for at, j := range broken {
			if err := h.replace(at, j); err != nil {
				slog.Warn("wal: journal not replaced yet", "journal", at, "error", err)
			}
		}
	}
}

func (h *Host) replace(at string, old *journal) error {
	old.mu.Lock()
	seq := old.seq
	old.mu.Unlock()
	fresh, err := openJournal(at, seq, func(uint64, entry) error { return nil })
	if err != nil {
		return err
	}
	if err := fresh.ready(); err != nil {
		fresh.abandon()
		return err
	}
	h.mu.Lock()
	h.journals[at] = fresh
	var affected []*Copy
	for _, c := range h.copies {
		if c.journal == old {
			affected = append(affected, c)
		}
	}
	h.mu.Unlock()
	for _, c := range affected {
		c.takeJournal(fresh)
	}
	slog.Info("wal: journal replaced", "journal", at, "copies", len(affected))
	return nil
}

// Close makes everything durable, so that the next start is quick.
func (h *Host) Close() error {
	h.orders.close()
	h.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.served {
		s.close()
	}
	for _, p := range h.peers {
		p.close()
	}
	var errs error
	for _, j := range h.journals {
		errs = errors.Join(errs, j.close())
	}
	return errs
}

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

func (h *Host) copy(cluster, zone string, n int) (*Copy, error) {
	dir := h.config.Layout.LogCopy(zone, cluster, n)
	if c := h.copies[dir]; c != nil {
		return c, nil
	}
	for _, c := range h.copies { // entries of a journal tell copies by their numbers
		if _, err := c.State(); c.cluster == cluster && c.number == n && !errors.Is(err, errBlank) {
			return nil, fmt.Errorf("copy %d of %s is in another zone of this host: %s", n, cluster, c.dir)
		}
	}
	if err := os.MkdirAll(filepath.Join(h.config.Layout.Zones(), zone), 0o711); err != nil {
		return nil, err
	}
	at, err := h.journalDir(zone, dir)
	if err != nil {
		return nil, err
	}
	if h.journals[at] == nil {
		if err := h.openJournal(at, 0, nil); err != nil {
			return nil, err
		}
	}
	c, err := openCopy(h.journals[at], cluster, n, dir)
	if err == nil {
		h.copies[dir] = c
	}
	return c, err
}

// makeDir makes the directory of a cluster in a zone. Its servers, which have
// user ids of their own, pass through it.
func (h *Host) makeDir(zone, cluster string) error {
	dir := h.config.Layout.Cluster(zone, cluster)
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes what this host has of a cluster's log: copies, base copies, feed.
func (h *Host) drop(id string) error {
	if err := checkNames(id); err != nil {
		return err
	}
	h.orders.drop(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.served[id]; s != nil {
		s.close()
		delete(h.served, id)
	}
	for dir, c := range h.copies {
		if c.cluster == id {
			c.forget()
			delete(h.copies, dir)
		}
	}
	var all []string
	for _, pattern := range []string{h.config.Layout.LogCopy("*", id, 0), h.config.Layout.Base("*", id)} {
		found, err := filepath.Glob(strings.TrimSuffix(pattern, "0") + "*")
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	for _, path := range all {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("delete the log of %s: %w", id, err)
		}
	}
	return os.RemoveAll(h.config.Layout.FeedDir(id))
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
	s.repairs.Wait()
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
