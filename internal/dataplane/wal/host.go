package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
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
