package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// listenInterval is how often it is looked whether writers of other hosts are
	// heard.
	listenInterval = 200 * time.Millisecond
	// silenceLimit is how long nothing may come from one, which writes every
	// beatInterval. Its host answers: a node that was killed and is back in two
	// seconds must not cost a failover.
	silenceLimit = 3 * time.Second
	// lostLimit is the same for one whose host does not answer either: two things
	// that have nothing to do with each other say that the host is away. It is the
	// time after which a writer is suspected by its own node (beatLimit), and longer
	// than a host takes that answers late because it is busy.
	lostLimit = 1500 * time.Millisecond
	// askAfter is the silence after which a host is asked whether it is there; so it
	// has lostLimit-askAfter-listenInterval to answer, at least.
	askAfter = 600 * time.Millisecond
	// tellLimit is how long it may take to say in the state what was not heard.
	tellLimit = 2 * time.Second
)

// ears are what this host hears of the writers of other hosts.
type ears struct {
	node    *node
	told    map[string]int64        // the term of the silence that is stored, by cluster
	askings map[string]*asking      // by host
	ask     func(host string) error // waits for an answer of the host's log
}

// asking is a host being asked whether it is there.
type asking struct {
	since    time.Time // when it was asked first without an answer
	answered chan error
}

// tellSilences tells controllers of clusters whose writers are on other hosts and
// of whom the copies of the log here get nothing.
func (n *node) tellSilences(ctx context.Context) {
	e := &ears{node: n, told: map[string]int64{}, askings: map[string]*asking{}, ask: func(host string) error {
		limited, cancel := context.WithTimeout(ctx, silenceLimit)
		defer cancel()
		_, err := n.logAt(host).Heard(limited)
		return err
	}}
	stored, _, err := state.Silences(n.config.Store).List(ctx, n.config.HostID+"/")
	if err == nil {
		for _, item := range stored {
			e.told[item.Value.Cluster] = item.Value.Term
		}
	}
	for sleep(ctx, listenInterval) == nil {
		if err := e.listen(ctx); err != nil && ctx.Err() == nil {
			slog.Debug("node: silences not told", "error", err)
		}
	}
}

// listen looks once what is heard, and tells what has changed.
func (e *ears) listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tellLimit)
	defer cancel()
	heard, err := e.node.wal.Heard(ctx)
	if err != nil {
		return err
	}
	silent, doubted := map[string]int64{}, map[string]bool{}
	for _, item := range e.node.clusters.All() {
		host, expected := e.node.expectsWriter(item.Value)
		ago, here := heard[item.Key]
		if !expected || !here || ago < askAfter {
			continue
		}
		doubted[host] = true
		if ago >= silenceLimit || ago >= lostLimit && e.unanswered(host) {
			silent[item.Key] = item.Value.Status.Term
		}
	}
	e.askAll(doubted)
	return e.tell(ctx, silent)
}

// askAll asks the hosts whose writers are not heard, each with one question at a
// time, and forgets the others.
func (e *ears) askAll(hosts map[string]bool) {
	for host := range e.askings {
		if !hosts[host] {
			delete(e.askings, host)
		}
	}
	for host := range hosts {
		a := e.askings[host]
		if a == nil {
			a = &asking{since: time.Now()}
			e.askings[host] = a
		}
		if a.answered == nil {
			a.answered = make(chan error, 1)
			answered := a.answered
			e.node.running.Go(func() { answered <- e.ask(host) })
		}
	}
}

// unanswered says whether the host was asked, has had its time, and did not answer.
func (e *ears) unanswered(host string) bool {
	a := e.askings[host]
	if a == nil {
		return false
	}
	select {
	case err := <-a.answered:
		a.answered = nil // it is asked again
		if err == nil {
			a.since = time.Now()
		}
	default:
	}
	return time.Since(a.since) >= lostLimit-askAfter-listenInterval
}

// tell stores which clusters' writers are silent, each in the term in which it is.
func (e *ears) tell(ctx context.Context, silent map[string]int64) error {
	table, own := state.Silences(e.node.config.Store), e.node.config.HostID
	for cluster, term := range e.told {
		if now, still := silent[cluster]; still && now == term {
			continue
		}
		if err := table.Delete(ctx, own+"/"+cluster); err != nil {
			return err
		}
		delete(e.told, cluster)
	}
	for cluster, term := range silent {
		if e.told[cluster] == term {
			continue
		}
		silence := aurora.Silence{Host: own, Cluster: cluster, Term: term, Since: time.Now()}
		if _, err := table.Create(ctx, own+"/"+cluster, silence); err != nil && !errors.Is(err, state.ErrExists) {
			return err
		}
		slog.Warn("node: nothing comes from the writer of a cluster", "cluster", cluster, "term", term)
		e.told[cluster] = term
	}
	return nil
}

// expectsWriter says whether a writer on another host, and on which, sends to
// copies here.
func (n *node) expectsWriter(c aurora.DBCluster) (host string, expected bool) {
	writer, ok := n.instances.Get(c.Status.Writer)
	if !ok {
		return "", false
	}
	host = writer.Value.Status.Host
	return host, !c.DeleteRequested && c.Status.Handover == nil && host != n.config.HostID &&
		writer.Value.Server.Phase == aurora.PhaseRunning && writer.Value.Server.Term == c.Status.Term &&
		slices.Contains(c.Status.LogHosts, n.config.HostID)
}
