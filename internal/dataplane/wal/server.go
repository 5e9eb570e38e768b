package wal

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// The node orders by HTTP over a unix socket that only our own user can open.
// Every request names the cluster in full, so that a log that was just started
// knows what to do.

type openRequest struct {
	Cluster Cluster `json:"cluster"`
	Term    int64   `json:"term"`
	Create  bool    `json:"create,omitempty"`
}

type attachRequest struct {
	Cluster Cluster `json:"cluster"`
	Term    int64   `json:"term"`
	Source  Source  `json:"source"`
}

type trimRequest struct {
	Cluster Cluster `json:"cluster"`
	Before  LSN     `json:"before"`
}

type moveRequest struct {
	Cluster Cluster `json:"cluster"`
	To      Cluster `json:"to"` // its zones and hosts
}

type pruneRequest struct {
	Cluster string     `json:"cluster"`
	Copies  []HeldCopy `json:"copies"`
}

type injectRequest struct {
	Cluster    Cluster       `json:"cluster"`
	Copy       int           `json:"copy"`
	Percentage float64       `json:"percentage"`
	Interval   time.Duration `json:"interval"`
}

type answer struct {
	Opened   *Opened                  `json:"opened,omitempty"`
	Status   *Status                  `json:"status,omitempty"`
	Error    string                   `json:"error,omitempty"`
	Stale    bool                     `json:"stale,omitempty"`    // a higher term has begun
	Diverged bool                     `json:"diverged,omitempty"` // the server's WAL is not the log's
	Quorum   bool                     `json:"quorum,omitempty"`   // too few copies answered
	Heard    map[string]time.Duration `json:"heard,omitempty"`
	Held     []HeldCopy               `json:"held,omitempty"`
}

// Status is how a cluster's log is.
type Status struct {
	Term      int64        `json:"term"` // opened here; 0: none since our start
	Promised  int64        `json:"promised"`
	Shipping  bool         `json:"shipping"`
	Problem   string       `json:"problem,omitempty"` // why nothing is shipped any more
	Committed LSN          `json:"committed"`
	Start     LSN          `json:"start"`
	History   History      `json:"history,omitempty"`
	Copies    []CopyStatus `json:"copies"`
	Disks     int          `json:"disks"` // that the copies are on, of all hosts
	Hosts     int          `json:"hosts"`
}

// CopyStatus is how one copy is.
type CopyStatus struct {
	Number  int    `json:"number"`
	Zone    string `json:"zone"`
	Host    string `json:"host,omitempty"`
	End     LSN    `json:"end"`
	Problem string `json:"problem,omitempty"`
}

// Serve answers the node until ctx ends, and then makes everything durable.
func Serve(ctx context.Context, c HostConfig) error {
	host, err := OpenHost(ctx, c)
	if err != nil {
		return err
	}
	path := c.Layout.LogSocket()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: host.handler(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(host.keepJournals(ctx)) }()
	go host.findLosses(ctx)
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := context.Cause(ctx); errors.Is(err, errNoJournal) {
		return err
	}
	return host.Close()
}

func (h *Host) handler() http.Handler {
	mux := http.NewServeMux()
	handle(mux, "POST /open", func(ctx context.Context, q openRequest) (a answer, err error) {
		var o Opened
		err = h.with(q.Cluster, func(s *served) (err error) {
			o, err = s.openTerm(ctx, q.Term, q.Create)
			return err
		})
		return answer{Opened: &o}, err
	})
	handle(mux, "POST /attach", func(ctx context.Context, q attachRequest) (a answer, err error) {
		return a, h.with(q.Cluster, func(s *served) error { return s.attach(ctx, q.Term, q.Source) })
	})
	handle(mux, "POST /status", func(_ context.Context, q Cluster) (a answer, err error) {
		s, err := h.serve(q)
		if err != nil {
			return a, err
		}
		return answer{Status: s.status()}, nil
	})
	// watch answers when the shipper of the term has ended.
	handle(mux, "POST /watch", func(ctx context.Context, q openRequest) (a answer, err error) {
		s, err := h.serve(q.Cluster)
		if err != nil {
			return a, err
		}
		s.shipping.Lock()
		shipper := s.shipper
		s.shipping.Unlock()
		if shipper == nil || shipper.term != q.Term {
			return a, nil
		}
		select {
		case <-shipper.done:
			return a, shipper.err
		case <-ctx.Done():
			return a, ctx.Err()
		}
	})
	handle(mux, "POST /move", func(ctx context.Context, q moveRequest) (answer, error) {
		return answer{}, h.move(ctx, q.Cluster, q.To)
	})
	handle(mux, "POST /trim", func(_ context.Context, q trimRequest) (a answer, err error) {
		s, err := h.serve(q.Cluster)
		if err != nil {
			return a, err
		}
		s.trim(q.Before)
		return a, nil
	})
	handle(mux, "POST /detach", func(_ context.Context, q Cluster) (answer, error) {
		s, err := h.serve(q)
		if err == nil {
			s.detach()
		}
		return answer{}, err
	})
	handle(mux, "POST /inject", func(_ context.Context, q injectRequest) (a answer, err error) {
		s, err := h.serve(q.Cluster)
		if err == nil {
			s.inject(q)
		}
		return a, err
	})
	handle(mux, "POST /drop", func(_ context.Context, q Cluster) (answer, error) { return answer{}, h.drop(q.ID) })
	handle(mux, "POST /held", func(_ context.Context, q Cluster) (answer, error) { return answer{Held: h.held(q.ID)}, nil })
	handle(mux, "POST /prune", func(_ context.Context, q pruneRequest) (answer, error) {
		return answer{}, h.prune(q.Cluster, q.Copies)
	})
	handle(mux, "POST /heard", func(context.Context, struct{}) (answer, error) { return answer{Heard: h.heard()}, nil })
	mux.HandleFunc("GET /copies", h.orders.handle)
	mux.HandleFunc("POST /read", h.readCommitted)
	h.handleBases(mux)
	return mux
}

func handle[Q any](mux *http.ServeMux, pattern string, f func(context.Context, Q) (answer, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		var a answer
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q)
		if err == nil {
			a, err = f(r.Context(), q)
		}
		if err != nil {
			var diverged *DivergedError
			var quorum *QuorumError
			a.Error, a.Stale = err.Error(), errors.Is(err, ErrStale)
			a.Diverged, a.Quorum = errors.As(err, &diverged), errors.As(err, &quorum)
		}
		_ = json.NewEncoder(w).Encode(a)
	})
}

func (s *served) status() *Status {
	st := &Status{}
	s.mu.Lock()
	b, begun := s.ballot, s.begun
	st.Term, st.Committed, st.History = b.Term, s.gate.LSN, s.gate.History
	s.mu.Unlock()
	hosts, disks := map[string]bool{}, map[[2]string]bool{}
	for n, c := range s.copies {
		state, err := c.State()
		host, disk := c.place()
		hosts[host], disks[[2]string{host, disk}] = true, true
		one := CopyStatus{Number: s.places[n].Number, Zone: s.places[n].Zone, Host: s.places[n].Host, End: state.End}
		switch {
		case err != nil:
			one.Problem = err.Error()
		case begun && !state.open(b):
			one.Problem = "the copy is behind"
		}
		st.Promised = max(st.Promised, state.Promised.Term)
		st.Copies = append(st.Copies, one)
	}
	st.Hosts, st.Disks = len(hosts), len(disks)
	st.Start = s.Start()
	s.shipping.Lock()
	defer s.shipping.Unlock()
	if s.shipper != nil {
		select {
		case <-s.shipper.done:
			st.Problem = "the shipper has ended"
			if s.shipper.err != nil {
				st.Problem = s.shipper.err.Error()
			}
		default:
			st.Shipping = true
		}
	}
	return st
}
