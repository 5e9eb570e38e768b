package controller_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/controller"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// patience is how long a test waits for a fact.
const patience = 20 * time.Second

// testPort is a port that nobody listens on at the addresses of testNet.
const testPort = 15999

func testNet() netip.Prefix {
	pid := os.Getpid()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(100 + pid>>8%100), byte(pid), 0}), 29)
}

type region struct {
	*testing.T
	store *state.Store
	stop  func()
}

func start(t *testing.T, change func(*controller.Config)) *region {
	t.Helper()
	r := &region{T: t, store: statetest.Start(t)}
	r.run(change)
	return r
}

func (r *region) run(change func(*controller.Config)) {
	r.Helper()
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		r.Fatal(err)
	}
	config := controller.Config{Store: r.store, Keyring: keys, EndpointNet: testNet(), DefaultPort: testPort, FirstOSUser: 700_000}
	if change != nil {
		change(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx, config) }()
	ended := false
	r.stop = func() {
		cancel()
		if !ended {
			ended = true
			if err := <-done; err != nil {
				r.Error(err)
			}
		}
	}
	r.Cleanup(r.stop)
}

func (r *region) create(name string) string {
	r.Helper()
	id := "cluster-" + name
	c := aurora.DBCluster{Meta: aurora.Meta{ResourceID: id, Account: "1", Region: "us-west-2", Generation: 1}}
	c.Spec.Identifier = name
	claim := state.Name{Kind: state.KindDBCluster, Account: "1", Region: "us-west-2", Name: name}.Claim(id)
	if _, err := state.DBClusters(r.store).Create(r.Context(), id, c, claim); err != nil {
		r.Fatal(err)
	}
	return id
}

// waitFor returns the cluster once it is so.
func (r *region) waitFor(id, fact string, is func(aurora.DBCluster) bool) aurora.DBCluster {
	r.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		item, err := state.DBClusters(r.store).Get(r.Context(), id)
		if err == nil && is(item.Value) {
			return item.Value
		}
		if time.Now().After(deadline) {
			r.Fatalf("not within %v: %s; %v, %+v", patience, fact, err, item.Value.Status)
		}
	}
}

func available(c aurora.DBCluster) bool { return c.Status.Status == aurora.ClusterStatusAvailable }

func (r *region) deleteCluster(id string) {
	r.Helper()
	_, err := state.DBClusters(r.store).Update(r.Context(), id, func(c *aurora.DBCluster) error {
		c.DeleteRequested = true
		c.Generation++
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := state.DBClusters(r.store).Get(r.Context(), id); errors.Is(err, state.ErrNotFound) {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("%s is not gone", id)
		}
	}
}

func (r *region) addresses() map[string]string {
	r.Helper()
	items, _, err := state.Addresses(r.store).List(r.Context(), "")
	if err != nil {
		r.Fatal(err)
	}
	all := map[string]string{}
	for _, item := range items {
		all[item.Key] = item.Value
	}
	return all
}

func TestClustersMadeAtOnceShareNothing(t *testing.T) {
	r := start(t, func(c *controller.Config) {
		c.EndpointBind = "127.0.0.1"
		c.EndpointNet = netip.PrefixFrom(testNet().Addr(), 24)
	})
	const clusters = 8
	for i := range clusters {
		r.create(fmt.Sprint("c", i))
	}
	seen := map[string]string{}
	take := func(what, by string) {
		if other, ok := seen[what]; ok || what == "" {
			t.Errorf("%s has %q, as has %s", by, what, other)
		}
		seen[what] = by
	}
	for i := range clusters {
		c := r.waitFor(fmt.Sprint("cluster-c", i), "available", available)
		st := c.Status
		for _, at := range []aurora.Address{st.WriterEndpoint, st.ReaderEndpoint} {
			take(at.Host, c.ResourceID)
			take(at.Published, c.ResourceID)
			if at.Port != testPort {
				t.Errorf("port %d, want %d", at.Port, testPort)
			}
		}
		take(fmt.Sprint("user ", st.OSUser), c.ResourceID)
		take(string(st.InternalSecret), c.ResourceID)
	}
	if got := len(r.addresses()); got != 4*clusters {
		t.Errorf("%d addresses are taken, want %d", got, 4*clusters)
	}
}

func TestDeletedClusterGivesBackWhatItHad(t *testing.T) {
	r := start(t, nil)
	first := r.waitFor(r.create("one"), "available", available).Status
	r.deleteCluster("cluster-one")
	if left := r.addresses(); len(left) > 0 {
		t.Fatalf("addresses left: %v", left)
	}
	again := r.waitFor(r.create("one"), "available", available).Status
	if again.WriterEndpoint != first.WriterEndpoint || again.OSUser != first.OSUser {
		t.Errorf("%+v was not given again, but %+v", first, again)
	}
}

func TestAddressInUseIsPassedOver(t *testing.T) {
	busy, err := net.Listen("tcp", fmt.Sprintf("%s:%d", testNet().Addr().Next(), testPort))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	st := start(t, nil).createAvailable("one")
	for _, at := range []aurora.Address{st.WriterEndpoint, st.ReaderEndpoint} {
		if strings.HasPrefix(busy.Addr().String(), at.Host+":") {
			t.Errorf("%v is in use by somebody else", at)
		}
	}
}

func (r *region) createAvailable(name string) aurora.DBClusterStatus {
	r.Helper()
	return r.waitFor(r.create(name), "available", available).Status
}

// TestExhaustedAddressesAreSaidAndMended: a /29 has six addresses, three clusters.
func TestExhaustedAddressesAreSaidAndMended(t *testing.T) {
	r := start(t, nil)
	for i := range 3 {
		r.createAvailable(fmt.Sprint("c", i))
	}
	id := r.create("late")
	r.waitFor(id, "the cluster waits and says for what", func(c aurora.DBCluster) bool {
		return c.Status.Status == aurora.ClusterStatusCreating && strings.Contains(c.Status.Reason, "address")
	})
	r.deleteCluster("cluster-c1")
	if st := r.waitFor(id, "available", available).Status; st.Reason != "" {
		t.Errorf("available, but it says %q", st.Reason)
	}
}

func TestControllerGoesOnAfterARestart(t *testing.T) {
	r := start(t, nil)
	before := r.createAvailable("one")
	r.stop()
	id := r.create("two")
	r.run(nil)
	r.waitFor(id, "available", available)
	if after := r.waitFor("cluster-one", "there", func(aurora.DBCluster) bool { return true }).Status; after.WriterEndpoint != before.WriterEndpoint {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestCustomEndpointsGetAddressesAndGiveThemBack(t *testing.T) {
	r := start(t, func(*controller.Config) {})
	id := r.create("c")
	r.waitFor(id, "available", available)
	change := func(endpoints ...string) {
		t.Helper()
		_, err := state.DBClusters(r.store).Update(t.Context(), id, func(c *aurora.DBCluster) error {
			c.Spec.CustomEndpoints = nil
			for _, e := range endpoints {
				c.Spec.CustomEndpoints = append(c.Spec.CustomEndpoints, aurora.CustomEndpoint{ResourceID: e, Identifier: e, Type: "ANY"})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	change("cluster-endpoint-a", "cluster-endpoint-b")
	c := r.waitFor(id, "both have addresses", func(c aurora.DBCluster) bool {
		return c.CustomAddress("cluster-endpoint-a").Host != "" && c.CustomAddress("cluster-endpoint-b").Host != ""
	})
	kept := c.CustomAddress("cluster-endpoint-b")
	if owner := r.addresses()[kept.Host]; owner != id+"/cluster-endpoint-b" || c.CustomAddress("cluster-endpoint-a") == kept {
		t.Errorf("%+v, owner %s", c.Status.CustomEndpoints, owner)
	}
	change("cluster-endpoint-b")
	c = r.waitFor(id, "one is gone", func(c aurora.DBCluster) bool { return len(c.Status.CustomEndpoints) == 1 })
	if c.CustomAddress("cluster-endpoint-b") != kept || len(r.addresses()) != 3 {
		t.Errorf("%+v, %v", c.Status.CustomEndpoints, r.addresses())
	}
	r.deleteCluster(id)
	if left := r.addresses(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
