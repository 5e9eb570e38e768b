package wal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Client orders from the log of a host.
type Client struct{ http http.Client }

// ErrDiverged says that a server must not write in this log: its WAL differs.
var ErrDiverged = errors.New("the server's WAL is not the log's")

// ErrNoQuorum says that too few copies of the log answered.
var ErrNoQuorum = errors.New("the log has no quorum")

// NewClient returns a client of the log that answers at a socket.
func NewClient(socket string) *Client {
	return &Client{http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 64,
	}}}
}

// Open takes a cluster's log over for a term. It can be repeated.
func (c *Client) Open(ctx context.Context, of Cluster, term int64, create bool) (Opened, error) {
	a, err := c.post(ctx, "open", openRequest{Cluster: of, Term: term, Create: create})
	if err != nil || a.Opened == nil {
		return Opened{}, err
	}
	return *a.Opened, nil
}

// Attach has the log follow the writer of a term that was opened, and returns
// when it does. It can be repeated.
func (c *Client) Attach(ctx context.Context, of Cluster, term int64, src Source) error {
	_, err := c.post(ctx, "attach", attachRequest{Cluster: of, Term: term, Source: src})
	return err
}

// Watch returns when the log follows the writer of a term no longer.
func (c *Client) Watch(ctx context.Context, of Cluster, term int64) error {
	_, err := c.post(ctx, "watch", openRequest{Cluster: of, Term: term})
	return err
}

// Detach ends the connection to the writer, as if it had broken.
func (c *Client) Detach(ctx context.Context, of Cluster) error {
	_, err := c.post(ctx, "detach", of)
	return err
}

// Inject has one copy not answer, for a share of the time until interval is over.
func (c *Client) Inject(ctx context.Context, of Cluster, copy int, percentage float64, interval time.Duration) error {
	_, err := c.post(ctx, "inject", injectRequest{Cluster: of, Copy: copy, Percentage: percentage, Interval: interval})
	return err
}

// Status says how a cluster's log is, and opens the feed for its readers.
func (c *Client) Status(ctx context.Context, of Cluster) (Status, error) {
	a, err := c.post(ctx, "status", of)
	if err != nil || a.Status == nil {
		return Status{}, err
	}
	return *a.Status, nil
}

// Trim lets the log forget what is before a position.
func (c *Client) Trim(ctx context.Context, of Cluster, before LSN) error {
	_, err := c.post(ctx, "trim", trimRequest{Cluster: of, Before: before})
	return err
}

// Heard says, for each cluster of whose log the host has copies, how long ago a
// writer's bytes were last appended to one of them, whichever host leads the log.
// It is the age of the log process where nothing was appended since it began.
func (c *Client) Heard(ctx context.Context) (map[string]time.Duration, error) {
	a, err := c.post(ctx, "heard", struct{}{})
	return a.Heard, err
}

// Move has a log's copies be in other zones and on other hosts, while its writer,
// whose host is asked, goes on. Copy n of the new list is the one that is copy n of
// the present list if it is in the same place; otherwise it is made anew there. At
// no time do fewer copies count than a quorum of those before, and then of both.
// It returns when only the new ones count; the list is the cluster's from then on.
// After an error it may be that both count: it is to be repeated, or undone by a
// Move to the list before; one to another list ends it first. Either needs a quorum of both, so a host that is lost
// can be replaced as long as the log without it can be written.
func (c *Client) Move(ctx context.Context, of Cluster, zones, hosts []string) error {
	_, err := c.post(ctx, "move", moveRequest{Cluster: of, To: Cluster{ID: of.ID, Zones: zones, Hosts: hosts}})
	return err
}

// HeldCopy is a copy that a host has of a cluster's log, as it was when that was
// asked.
type HeldCopy struct {
	Zone   string `json:"zone"`
	Number int    `json:"number"`
	Shape  uint64 `json:"shape"`
}

// Held lists the copies that the host has of a cluster's log, whether they count or
// not.
func (c *Client) Held(ctx context.Context, cluster string) ([]HeldCopy, error) {
	a, err := c.post(ctx, "held", Cluster{ID: cluster})
	return a.Held, err
}

// Prune deletes copies that the host has of a cluster's log and that do not count any
// more. Held is asked for them before it is looked which copies count: one that has
// been given to a log since then stays.
func (c *Client) Prune(ctx context.Context, cluster string, copies []HeldCopy) error {
	_, err := c.post(ctx, "prune", pruneRequest{Cluster: cluster, Copies: copies})
	return err
}

// Drop deletes what the host has of a cluster's log: its copies, the base copies
// and the feed. What other hosts have is theirs.
func (c *Client) Drop(ctx context.Context, of Cluster) error {
	_, err := c.post(ctx, "drop", of)
	return err
}

func (c *Client) post(ctx context.Context, what string, q any) (a answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://log/"+what, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, fmt.Errorf("reach the log: %w", err)
	}
	defer resp.Body.Close()
	return decodeAnswer(resp.Body)
}

func decodeAnswer(body io.Reader) (a answer, err error) {
	if err := json.NewDecoder(body).Decode(&a); err != nil {
		return a, fmt.Errorf("answer of the log: %w", err)
	}
	switch {
	case a.Error == "":
		return a, nil
	case a.Stale:
		return a, fmt.Errorf("%s: %w", a.Error, ErrStale)
	case a.Diverged:
		return a, fmt.Errorf("%s: %w", a.Error, ErrDiverged)
	case a.Quorum:
		return a, fmt.Errorf("%s: %w", a.Error, ErrNoQuorum)
	}
	return a, errors.New(a.Error)
}
