package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// move changes where a log's copies are. Each step of it can be repeated; what an
// attempt has left undone, the next one finds in the log's configuration.
func (h *Host) move(ctx context.Context, of, to Cluster) error {
	if !h.beginMove(of.ID) {
		return fmt.Errorf("the copies of the log of %s are being moved already", of.ID)
	}
	defer h.endMove(of.ID)
	s, err := h.serve(of)
	if err != nil {
		return err
	}
	m, target := s.configuration(), to.placesOn(h.config.HostID)
	if m == nil {
		m = &Members{Now: s.countingPlaces()}
	}
	if err := checkMove(m, to, target); err != nil {
		return fmt.Errorf("move the copies of the log of %s: %w", of.ID, err)
	}
	if len(m.Next) > 0 && !slices.Equal(m.Next, target) && !slices.Equal(m.Now, target) {
		// What another move has begun is ended first.
		if err := s.awaitSettled(ctx, m.Next); err != nil {
			return fmt.Errorf("end the move of the copies of the log of %s that was begun: %w", of.ID, err)
		}
		if s, err = h.lead(ctx, s, s.configuration(), nil); err != nil {
			return err
		}
		m = s.configuration()
	}
	if len(m.Next) == 0 && slices.Equal(m.Now, target) {
		return nil
	}
	if len(m.Next) == 0 {
		if len(join(s.places, target)) > len(s.places) {
			if s, err = h.lead(ctx, s, s.configuration(), target); err != nil {
				return err
			}
		}
		fresh := slices.DeleteFunc(slices.Clone(target), func(p Place) bool { return slices.Contains(m.Now, p) })
		if err := s.awaitWhole(ctx, fresh); err != nil {
			return fmt.Errorf("move the copies of the log of %s: %w", of.ID, err)
		}
		b, _ := s.leads()
		if err := s.propose(ctx, b, m.Now, target); err != nil {
			return err
		}
	}
	if err := s.awaitSettled(ctx, target); err != nil {
		return fmt.Errorf("move the copies of the log of %s: %w", of.ID, err)
	}
	s.trimOthers(target)
	_, err = h.lead(ctx, s, s.configuration(), nil)
	return err
}

// trimOthers takes the WAL of copies that do not count any more. What they know
// stays, for who asks them because it has an old list, until the host's Drop.
func (s *served) trimOthers(target []Place) {
	b, _ := s.leads()
	gate, _ := s.Gate()
	s.mend(func(n int) error {
		if _, err := s.copies[n].State(); err != nil || slices.Contains(target, s.places[n]) {
			return nil
		}
		return s.copies[n].Trim(b, gate.LSN)
	})
}

func (h *Host) beginMove(cluster string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.moving[cluster] {
		return false
	}
	h.moving[cluster] = true
	return true
}

func (h *Host) endMove(cluster string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.moving, cluster)
}

func checkMove(m *Members, to Cluster, target []Place) error {
	if len(target) == 0 || len(target) > maxCopies || len(to.Hosts) > 0 && len(to.Hosts) != len(target) {
		return fmt.Errorf("%d zones and %d hosts", len(target), len(to.Hosts))
	}
	for _, p := range target {
		if err := checkNames(p.Zone); err != nil {
			return err
		}
		for _, old := range join(m.Now, m.Next) {
			if old.Number == p.Number && old.Host == p.Host && old.Zone != p.Zone {
				return fmt.Errorf("copy %d cannot go from zone %s to zone %s of the same host", p.Number, old.Zone, p.Zone)
			}
		}
	}
	return nil
}

// lead serves a log that has a writer with other copies, and goes on with the
// writer.
func (h *Host) lead(ctx context.Context, old *served, m *Members, others []Place) (*served, error) {
	old.shipping.Lock()
	ships := old.shipper
	running := ships != nil && old.ships(ships.term)
	old.shipping.Unlock()
	if !running {
		return old, fmt.Errorf("the log of %s has no writer at the moment: try again", old.cluster.ID)
	}
	s, err := h.renew(old, m, others)
	if err != nil {
		return old, err
	}
	return s, s.attach(ctx, ships.term, ships.source)
}

// wholeInterval is how often new copies are looked at.
const wholeInterval = 50 * time.Millisecond

// awaitWhole waits until copies have all that is committed.
func (s *served) awaitWhole(ctx context.Context, places []Place) error {
	b, _ := s.leads()
	for {
		missing := s.missing(b, places)
		if missing == nil {
			return nil
		}
		if !s.serves(b) {
			return errors.Join(errNotLed, missing)
		}
		s.Repair()
		select {
		case <-time.After(wholeInterval):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), missing)
		}
	}
}

// awaitSettled has copies count alone, as soon as they have everything.
func (s *served) awaitSettled(ctx context.Context, target []Place) error {
	b, _ := s.leads()
	for {
		err := s.settle(ctx, b, target)
		if !errors.Is(err, errNotWhole) {
			return err
		}
		select {
		case <-time.After(wholeInterval):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// missing says which of the copies does not have what was committed a moment ago.
func (s *served) missing(b Ballot, places []Place) error {
	gate, _ := s.Gate()
	for n, p := range s.places {
		if !slices.Contains(places, p) {
			continue
		}
		if state, err := s.copies[n].State(); err != nil {
			return fmt.Errorf("copy %d in %s: %w", p.Number, p.Zone, err)
		} else if !state.open(b) || state.End < gate.LSN {
			return fmt.Errorf("copy %d in %s is behind", p.Number, p.Zone)
		}
	}
	return nil
}
