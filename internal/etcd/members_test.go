package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

// hosts are members on one machine, each with a directory of its own.
type hosts struct {
	t     *testing.T
	dir   string
	ca    *pki.CA
	addrs map[string]string
	stops map[string]func()
}

func newHosts(t *testing.T) *hosts {
	dir, err := os.MkdirTemp("", "etcd") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ca, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &hosts{t: t, dir: dir, ca: ca, addrs: map[string]string{}, stops: map[string]func(){}}
}

func (h *hosts) socket(name string) string { return filepath.Join(h.dir, name+".sock") }
func (h *hosts) data(name string) string   { return filepath.Join(h.dir, name+".data") }

// start runs a member until stop; alone: without others, as before the first link.
func (h *hosts) start(name string, alone, join bool) {
	h.t.Helper()
	c := Config{Dir: h.data(name), Socket: h.socket(name), Quiet: true}
	if !alone {
		if h.addrs[name] == "" {
			h.addrs[name] = freeAddr(h.t)
		}
		c.Peer = &Peer{
			Name: name, Addr: h.addrs[name], Join: join, Certificate: h.ca.HostCertificate(name, "127.0.0.1"),
			CertFile: filepath.Join(h.dir, name+".pem"), CAFile: filepath.Join(h.dir, pki.CAFile),
			Others: h.socket("*"), SocketOf: h.socket,
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil { // as the supervisor does
			if err := Run(ctx, c); err != nil {
				h.t.Logf("%s: %v", name, err)
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	h.stops[name] = func() { cancel(); <-done }
	h.t.Cleanup(h.stops[name])
}

func (h *hosts) open(name string) *state.Store {
	h.t.Helper()
	store, err := state.Open(h.socket(name), h.socket("*"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = store.Close() })
	return store
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func eventually(t *testing.T, what string, fact func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := fact()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// are is a fact: the names of the voters and of the learners.
func are(t *testing.T, store *state.Store, voters, learners []string) func() error {
	return func() error {
		members, err := store.Members(t.Context())
		if err != nil {
			return err
		}
		var v, l []string
		for _, m := range members {
			if m.Learner {
				l = append(l, m.Name)
			} else {
				v = append(v, m.Name)
			}
		}
		slices.Sort(v)
		slices.Sort(l)
		if !slices.Equal(v, voters) || !slices.Equal(l, learners) {
			return fmt.Errorf("voters %v, learners %v; want %v and %v", v, l, voters, learners)
		}
		return nil
	}
}

// id is that of the member of a host.
func id(t *testing.T, store *state.Store, name string) (id uint64, err error) {
	members, err := store.Members(t.Context())
	for _, m := range members {
		if m.Name == name {
			return m.ID, err
		}
	}
	return 0, fmt.Errorf("no member %s (%v)", name, err)
}

type thing struct{ N int }

func TestMembersJoinVoteAndAreReplaced(t *testing.T) {
	h := newHosts(t)
	ctx := t.Context()
	h.start("one", true, false)
	store := h.open("one")
	table := state.NewTable[thing](store, "test/things")
	eventually(t, "a first write", func() error { _, err := table.Create(ctx, "alone", thing{1}); return err })

	// The host that was alone becomes one that others can join, with its state.
	h.stops["one"]()
	h.start("one", false, false)
	eventually(t, "one is the only voter", are(t, store, []string{"one"}, nil))
	h.start("two", false, true)
	eventually(t, "the second learns", are(t, store, []string{"one"}, []string{"two"}))
	second := h.open("two")
	if item, err := state.NewTable[thing](second, "test/things").Get(ctx, "alone"); err != nil || item.Value.N != 1 {
		t.Fatalf("beside a learner: %v, %v", item, err)
	}
	h.start("three", false, true)
	eventually(t, "three voters", are(t, store, []string{"one", "three", "two"}, nil))

	// Any of them can end, and who watches goes on with another.
	mirror, err := state.NewMirror(ctx, table)
	if err != nil {
		t.Fatal(err)
	}
	h.stops["one"]()
	eventually(t, "a write without the first", func() error {
		_, err := table.Create(ctx, "two of three", thing{2})
		if errors.Is(err, state.ErrExists) {
			return nil
		}
		return err
	})
	eventually(t, "a watch goes on", func() error {
		if _, ok := mirror.Get("two of three"); !ok {
			return errors.New("not seen")
		}
		return nil
	})

	// One that lost its data must not begin a state of its own, nor vote as what it was.
	var before uint64
	eventually(t, "the member that was", func() (err error) { before, err = id(t, second, "one"); return err })
	if err := os.RemoveAll(h.data("one")); err != nil {
		t.Fatal(err)
	}
	h.start("one", false, true)
	eventually(t, "three voters again", func() error {
		if now, err := id(t, second, "one"); err != nil || now == before {
			return fmt.Errorf("member %x is now %x (%v)", before, now, err)
		}
		return are(t, second, []string{"one", "three", "two"}, nil)()
	})
	h.stops["two"]()
	eventually(t, "what was written is there", func() error {
		_, err := table.Get(ctx, "two of three")
		return err
	})
}

func TestLearnersVoteWhenThatMakesTheVotersOdd(t *testing.T) {
	for name, c := range map[string]struct {
		voters, ready, want int
	}{
		"alone":                              {1, 0, 0},
		"a second one":                       {1, 1, 0},
		"two more":                           {1, 2, 2},
		"three more":                         {1, 3, 2},
		"four more":                          {1, 4, 4},
		"one of three was removed":           {2, 1, 1},
		"one of three was removed, two more": {2, 2, 1},
		"two voters":                         {2, 0, 0},
		"a fourth":                           {3, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(promotions(c.voters, make([]uint64, c.ready))); got != c.want {
				t.Errorf("%d are promoted, want %d", got, c.want)
			}
		})
	}
}
