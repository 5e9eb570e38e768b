package node_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/controller"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/etcd"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/test/workdir"
)

const (
	testAccount = "111122223333"
	testRegion  = "us-west-2"
	// patience is how long a test waits for a fact.
	patience   = 60 * time.Second
	testMemory = 2 << 30
)

// system is an installation's data plane: etcd, a controller and a node.
type system struct {
	*testing.T
	layout   layout.Layout
	store    *state.Store
	socket   string // of etcd
	keys     *keyring.Keyring
	stopNode func()
	stopLog  func()
	stopEtcd func()
	password string
}

func startSystem(t *testing.T) *system {
	t.Helper()
	l, err := layout.New(workdir.New(t, "dp"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Create(); err != nil {
		t.Fatal(err)
	}
	s := &system{T: t, layout: l, password: "correct horse"}
	s.socket = l.EtcdSocket()
	s.startEtcd()
	t.Cleanup(func() { s.stopEtcd() })
	if s.store, err = state.Open(s.socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	if s.keys, err = keyring.Open(l.Keys()); err != nil {
		t.Fatal(err)
	}
	config := controller.Config{
		Store: s.store, Keyring: s.keys, EndpointNet: testNet(), DefaultPort: 5432, FirstOSUser: controller.FirstOSUser(l.ID()),
	}
	t.Cleanup(s.background(func(ctx context.Context) error { return controller.Run(ctx, config) }))
	s.startLog()
	t.Cleanup(func() { s.stopLog() })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := node.StopAll(ctx, l); err != nil {
			t.Error(err)
		}
	})
	s.startNode()
	t.Cleanup(func() { s.stopNode() })
	return s
}

func (s *system) startLog() {
	s.stopLog = s.background(func(ctx context.Context) error {
		return wal.Serve(ctx, wal.HostConfig{Layout: s.layout, HostID: s.layout.ID()})
	})
}

// testNet keeps tests that run side by side from each other's addresses.
func testNet() netip.Prefix {
	pid := os.Getpid()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(100 + pid>>8%100), byte(pid), 0}), 24)
}

// background runs f until the returned function is called.
func (s *system) background(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			s.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func (s *system) startEtcd() {
	config := etcd.Config{Dir: s.layout.Etcd(), Socket: s.socket}
	s.stopEtcd = s.background(func(ctx context.Context) error { return etcd.Run(ctx, config) })
}

func (s *system) startNode() {
	config := node.Config{Store: s.store, Layout: s.layout, Keyring: s.keys, MemoryBytes: testMemory}
	s.stopNode = s.background(func(ctx context.Context) error { return node.Run(ctx, config) })
}

// createCluster is what the region does for CreateDBCluster.
func (s *system) createCluster(name string, edits ...func(*aurora.DBCluster)) string {
	s.Helper()
	c := aurora.DBCluster{Meta: s.meta("cluster-" + name)}
	c.Spec = aurora.DBClusterSpec{
		Identifier: name, DatabaseName: "demo", MasterUsername: "app_owner", MasterPasswordGeneration: 1, EngineVersion: "15.10",
		MasterUserVerifier: verifier(s.password),
		AvailabilityZones:  []string{testRegion + "a", testRegion + "b", testRegion + "c"},
	}
	for _, edit := range edits {
		edit(&c)
	}
	c.Status.Status = aurora.ClusterStatusCreating
	claim := state.Name{Kind: state.KindDBCluster, Account: testAccount, Region: testRegion, Name: name}.Claim(c.ResourceID)
	if _, err := state.DBClusters(s.store).Create(s.Context(), c.ResourceID, c, claim); err != nil {
		s.Fatal(err)
	}
	return c.ResourceID
}

// createInstance is what the region does for CreateDBInstance.
func (s *system) createInstance(cluster, name string) string {
	s.Helper()
	in := aurora.DBInstance{Meta: s.meta("db-" + name)}
	in.Spec = aurora.DBInstanceSpec{Identifier: name, ClusterResourceID: cluster, Class: "db.t3.medium"}
	in.Status.Status = aurora.InstanceStatusCreating
	claim := state.Name{Kind: state.KindDBInstance, Account: testAccount, Region: testRegion, Name: name}.Claim(in.ResourceID)
	if _, err := state.DBInstances(s.store).Create(s.Context(), in.ResourceID, in, claim); err != nil {
		s.Fatal(err)
	}
	return in.ResourceID
}

func (s *system) meta(id string) aurora.Meta {
	return aurora.Meta{ResourceID: id, Account: testAccount, Region: testRegion, Generation: 1, CreateTime: time.Now()}
}

func (s *system) changeCluster(id string, change func(*aurora.DBCluster)) {
	s.Helper()
	_, err := state.DBClusters(s.store).Update(s.Context(), id, func(c *aurora.DBCluster) error {
		c.Generation++
		change(c)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *system) changeInstance(id string, change func(*aurora.DBInstance)) {
	s.Helper()
	_, err := state.DBInstances(s.store).Update(s.Context(), id, func(in *aurora.DBInstance) error {
		in.Generation++
		change(in)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
}

// setParameters is what the region does when a parameter group changes, and waits
// until the server has read them.
func (s *system) setParameters(id string, parameters map[string]string) {
	s.Helper()
	item, err := state.DBInstances(s.store).Update(s.Context(), id, func(in *aurora.DBInstance) error {
		in.Spec.Parameters = parameters
		in.Spec.ParameterGeneration++
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.eventually("the parameters are read", func() bool {
		return s.instance(id).Server.ParameterGeneration == item.Value.Spec.ParameterGeneration
	})
}

func (s *system) deleteInstance(id string) {
	s.Helper()
	s.changeInstance(id, func(in *aurora.DBInstance) { in.DeleteRequested = true })
}

func (s *system) deleteCluster(id string) {
	s.Helper()
	s.changeCluster(id, func(c *aurora.DBCluster) { c.DeleteRequested = true })
}

func (s *system) cluster(id string) aurora.DBCluster {
	s.Helper()
	item, err := state.DBClusters(s.store).Get(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return item.Value
}

func (s *system) instance(id string) aurora.DBInstance {
	s.Helper()
	item, err := state.DBInstances(s.store).Get(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return item.Value
}

// eventually waits for a named fact.
func (s *system) eventually(fact string, is func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			clusters, _, _ := state.DBClusters(s.store).List(context.Background(), "")
			instances, _, _ := state.DBInstances(s.store).List(context.Background(), "")
			for _, c := range clusters {
				s.Logf("%+v", c.Value.Status)
			}
			for _, in := range instances {
				s.Logf("%s %+v %+v", in.Key, in.Value.Status, in.Value.Server)
			}
			s.Fatalf("not within %v: %s", patience, fact)
		}
	}
}

// settled waits until the cluster and these instances, and no others of it, are
// available with all that was asked for.
func (s *system) settled(cluster string, instances ...string) {
	s.Helper()
	s.eventually("all available", func() bool {
		c := s.cluster(cluster)
		if c.Status.Status != aurora.ClusterStatusAvailable || c.Status.ObservedGeneration != c.Generation {
			return false
		}
		all, _, err := state.DBInstances(s.store).List(s.Context(), "")
		if err != nil {
			s.Fatal(err)
		}
		n := 0
		for _, item := range all {
			in := item.Value
			if in.Spec.ClusterResourceID != cluster {
				continue
			}
			if n++; !slices.Contains(instances, item.Key) || in.Status.Status != aurora.InstanceStatusAvailable ||
				in.Status.ObservedGeneration != in.Generation || in.Server.Term != c.Status.Term {
				return false
			}
		}
		return n == len(instances)
	})
}

func (s *system) gone(table string, exists func() error) {
	s.Helper()
	s.eventually(table+" is gone", func() bool { return errors.Is(exists(), state.ErrNotFound) })
}

func (s *system) clusterGone(id string) {
	s.Helper()
	s.gone(id, func() error { _, err := state.DBClusters(s.store).Get(s.Context(), id); return err })
}

// dial connects to an instance's server as the master user.
func (s *system) dial(instance, password string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("sslmode=disable connect_timeout=5")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = s.layout.InstanceSocketDir(instance), 5432
	config.User, config.Password, config.Database = "app_owner", password, "demo"
	return pgx.ConnectConfig(s.Context(), config)
}

func (s *system) exec(instance, sql string) {
	s.Helper()
	conn, err := s.dial(instance, s.password)
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.Context()))
	if _, err := conn.Exec(s.Context(), sql); err != nil {
		s.Fatalf("%s on %s: %v", sql, instance, err)
	}
}

// query returns one value, or the error's text.
func (s *system) query(instance, sql string) string {
	conn, err := s.dial(instance, s.password)
	if err != nil {
		return err.Error()
	}
	defer conn.Close(context.WithoutCancel(s.Context()))
	var value string
	if err := conn.QueryRow(s.Context(), sql).Scan(&value); err != nil {
		return err.Error()
	}
	return value
}

// reads waits until an instance answers a query so.
func (s *system) reads(instance, sql, want string) {
	s.Helper()
	got := ""
	s.eventually(fmt.Sprintf("%s answers %q to %s", instance, want, sql), func() bool {
		got = s.query(instance, sql)
		return got == want
	})
}

// nothingLeft checks that a deleted cluster left no file and no claim.
func (s *system) nothingLeft() {
	s.Helper()
	for _, table := range []string{"addresses", "names"} {
		items, _, err := state.NewTable[string](s.store, table).List(s.Context(), "")
		if err != nil {
			s.Fatal(err)
		}
		for _, item := range items {
			s.Errorf("left in %s: %s = %s", table, item.Key, item.Value)
		}
	}
	s.eventually("no directory is left", func() bool {
		left, err := filepath.Glob(filepath.Join(s.layout.Zones(), "*", "*"))
		sockets, err2 := filepath.Glob(filepath.Join(s.layout.RunDir(), "pg", "*"))
		if err != nil || err2 != nil {
			s.Fatal(err, err2)
		}
		return len(left)+len(sockets) == 0
	})
}

func verifier(password string) string {
	salt := []byte("0123456789abcdef")
	salted, err := pbkdf2.Key(sha256.New, password, salt, 4096, sha256.Size)
	if err != nil {
		panic(err)
	}
	sum := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sum(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$4096:%s$%s:%s", b64(salt), b64(stored[:]), b64(sum(salted, "Server Key")))
}

func contains(text, part string) bool { return strings.Contains(text, part) }

func itoa(n int) string { return strconv.Itoa(n) }
