package state

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// chooseInterval is how often the members are looked at; while there is none to
	// ask, chooseSoon.
	chooseInterval = 500 * time.Millisecond
	chooseSoon     = 50 * time.Millisecond
	// probeTimeout is how long a member may take to say how it is. One that is
	// late twice is gone; one late answer can be a busy machine's.
	probeTimeout = time.Second
	missedProbes = 2
	// steadyProbes in a row make a member that comes before the chosen one the
	// chosen one again.
	steadyProbes = 3
)

var (
	// errMemberGone ends the requests to a member that does not answer any more.
	errMemberGone = errors.New("the etcd that was asked is gone")
	// errLeaderGone ends the writes that were begun under another leader.
	errLeaderGone = errors.New("etcd has another leader meanwhile")
)

// chooser says which of several etcd members is asked: one that is a voter with a
// leader, and the one of this host when that can serve. It changes when the chosen
// one fails and another can serve, and back to our own host's later. With one
// socket there is nothing to choose.
type chooser struct {
	sockets []string // our own host's, then those of others or patterns of them
	stop    context.CancelFunc
	done    chan struct{} // closed when run has ended
	probes  sync.WaitGroup

	mu      sync.Mutex
	clients map[string]*clientv3.Client // by socket
	current *member                     // never nil; with an empty socket while none was chosen
	changed chan struct{}               // closed at the next choice
	led     context.Context             // ends with the term of the chosen one's leader; nil: not known
	endTerm context.CancelCauseFunc
	term    uint64 // of led
}

// member is a choice.
type member struct {
	socket string
	client *clientv3.Client
	// left ends when another member is chosen: watches move there. gone ends with
	// it if this one failed: nothing is to be hoped for its requests. nil: never.
	left, gone context.Context
	end        func(failed bool)
}

func newChooser(sockets []string) (*chooser, error) {
	c := &chooser{sockets: sockets, clients: map[string]*clientv3.Client{}, done: make(chan struct{}), changed: make(chan struct{})}
	client, err := c.client(sockets[0])
	if err != nil {
		return nil, err
	}
	c.current = &member{client: client}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if len(sockets) == 1 {
		c.current.socket = sockets[0]
		close(c.done)
		return c, nil
	}
	go c.run(ctx)
	return c, nil
}

func (c *chooser) close() error {
	c.stop()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs error
	for _, client := range c.clients {
		errs = errors.Join(errs, client.Close())
	}
	return errs
}

// await returns the chosen member, as soon as there is one. When ctx ends before
// that, it returns one that was not chosen: a request with that ctx fails.
func (c *chooser) await(ctx context.Context) *member {
	for {
		c.mu.Lock()
		m, changed := c.current, c.changed
		c.mu.Unlock()
		if m.socket != "" {
			return m
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m
		case <-c.done:
			return m
		}
	}
}

func (c *chooser) client(socket string) (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.clients[socket]; client != nil {
		return client, nil
	}
	client, err := dial(socket)
	if err == nil {
		c.clients[socket] = client
	}
	return client, err
}

// run chooses until ctx ends.
func (c *chooser) run(ctx context.Context) {
	defer close(c.done)
	defer c.probes.Wait()
	missed, steady := 0, 0
	for ctx.Err() == nil {
		now := c.chosen()
		if now.socket == "" {
			c.choose(ctx, c.names(), true)
			pause(ctx, chooseSoon)
			continue
		}
		switch err := c.probe(ctx, now.socket); {
		case err == nil:
			missed = 0
		case errors.Is(err, context.DeadlineExceeded):
			missed++
		default:
			missed = missedProbes
		}
		if missed >= missedProbes && c.choose(ctx, without(c.names(), now.socket), true) {
			missed, steady = 0, 0
		}
		// Only our own host's comes before the chosen one: between others there is
		// nothing to gain.
		if own := c.sockets[0]; missed == 0 && now.socket != own {
			if c.probe(ctx, own) != nil {
				steady = 0
			} else if steady++; steady >= steadyProbes {
				c.choose(ctx, []string{own}, false)
				steady = 0
			}
		}
		c.forget()
		if missed > 0 {
			pause(ctx, chooseSoon)
		} else {
			pause(ctx, chooseInterval)
		}
	}
}

func (c *chooser) chosen() *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

func without(sockets []string, not string) []string {
	return slices.DeleteFunc(sockets, func(s string) bool { return s == not })
}

// names are the sockets that there are, in the order of preference.
func (c *chooser) names() []string {
	names := []string{c.sockets[0]}
	for _, pattern := range c.sockets[1:] {
		found, err := filepath.Glob(pattern)
		if err == nil {
			names = append(names, found...)
		}
	}
	return names
}

// choose makes a member that can serve the chosen one: our own host's where that is
// among the sockets, else the first to answer. It says whether there was one.
// failed says that the one before can serve no more.
func (c *chooser) choose(ctx context.Context, sockets []string, failed bool) bool {
	if len(sockets) > 0 && sockets[0] == c.sockets[0] {
		if c.probe(ctx, sockets[0]) == nil {
			c.take(sockets[0], failed)
			return true
		}
		sockets = sockets[1:]
	}
	answers := make(chan string, len(sockets))
	for _, socket := range sockets {
		c.probes.Go(func() {
			if c.probe(ctx, socket) != nil {
				socket = ""
			}
			answers <- socket
		})
	}
	for range sockets {
		if socket := <-answers; socket != "" {
			c.take(socket, failed)
			return true
		}
	}
	return false
}

// take makes the member at a socket the chosen one.
func (c *chooser) take(socket string, failed bool) {
	left, leave := context.WithCancel(context.Background())
	gone, fail := context.WithCancelCause(context.Background())
	c.mu.Lock()
	old := c.current
	c.current = &member{socket: socket, client: c.clients[socket], left: left, gone: gone, end: func(failed bool) {
		leave()
		if failed {
			fail(errMemberGone)
		}
	}}
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if old.end != nil {
		old.end(failed)
	}
}

var (
	errLearner  = errors.New("a learner does not serve clients")
	errNoLeader = errors.New("the member has no leader")
)

// probe asks a member whether it can serve.
func (c *chooser) probe(ctx context.Context, socket string) error {
	client, err := c.client(socket)
	if err != nil {
		return err
	}
	s, err := memberStatus(ctx, client)
	switch {
	case err != nil:
		return err
	case s.IsLearner:
		return errLearner
	case s.Leader == 0:
		return errNoLeader
	}
	if socket == c.chosen().socket {
		c.noteTerm(s.RaftTerm)
	}
	return nil
}

// noteTerm notes the term of the leader; all members have the same terms.
func (c *chooser) noteTerm(term uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.led != nil && term <= c.term {
		return
	}
	if c.endTerm != nil {
		c.endTerm(errLeaderGone)
	}
	c.term = term
	c.led, c.endTerm = context.WithCancelCause(context.Background())
}

// leadership ends with the term of the leader there is now.
func (c *chooser) leadership() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.led
}

// memberStatus asks one member how it is; learners answer too.
func memberStatus(ctx context.Context, client *clientv3.Client) (*etcdserverpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s, err := etcdserverpb.NewMaintenanceClient(client.ActiveConnection()).Status(ctx, &etcdserverpb.StatusRequest{})
	if status.Code(err) == codes.DeadlineExceeded {
		return nil, context.DeadlineExceeded
	}
	return s, err
}

// forget closes the clients of sockets that are not there any more.
func (c *chooser) forget() {
	names := c.names()
	var closing []*clientv3.Client
	c.mu.Lock()
	for socket, client := range c.clients {
		if socket != c.current.socket && !slices.Contains(names, socket) {
			closing = append(closing, client)
			delete(c.clients, socket)
		}
	}
	c.mu.Unlock()
	for _, client := range closing {
		_ = client.Close()
	}
}
