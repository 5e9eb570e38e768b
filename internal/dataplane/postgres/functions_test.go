package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// topologyOf is the topology that a server is told; the first one is the writer.
func topologyOf(self Server, servers ...Server) Topology {
	t := Topology{Version: "15.4.0", ServerID: "demo-" + self.Name, Disks: 3, Nodes: 6}
	for i, s := range servers {
		t.Members = append(t.Members, Member{ServerID: "demo-" + s.Name, Name: s.Name, Writer: i == 0})
	}
	return t
}

func tell(t *testing.T, s Server, topology Topology) {
	t.Helper()
	if err := s.WriteTopology(topology); err != nil {
		t.Fatal(err)
	}
}

// refused runs a statement that must be, with the SQLSTATE, and returns what the
// server says.
func refused(t *testing.T, conn *pgx.Conn, code, sql string) string {
	t.Helper()
	_, err := conn.Exec(testContext(t), sql)
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		t.Errorf("%s: %v, want SQLSTATE %s", sql, err, code)
		return ""
	}
	if said.Code != code {
		t.Errorf("%s: %v, want SQLSTATE %s", sql, err, code)
	}
	return said.Message
}

// replicaStatusColumns are those of aurora_replica_status(), with their types.
const replicaStatusColumns = `SELECT string_agg(a || ' ' || format_type(y, NULL), ', ' ORDER BY n) FROM pg_proc,
	unnest(proargnames, proallargtypes) WITH ORDINALITY AS u (a, y, n) WHERE proname = 'aurora_replica_status'`

// writerCount is 1 when the server that is asked calls itself the writer.
const writerCount = `SELECT count(*) FROM (` + driverWriter + `) AS me`

func TestFunctionsHaveAurorasSignatures(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	want := "server_id text, session_id text, durable_lsn bigint, highest_lsn_rcvd bigint, current_read_lsn bigint, " +
		"cur_replay_latency_in_usec bigint, active_txns integer, is_current boolean, last_transport_error integer, " +
		"last_error_timestamp timestamp with time zone, last_update_timestamp timestamp with time zone, feedback_xmin bigint, " +
		"feedback_epoch integer, replica_lag_in_msec double precision, log_stream_speed_in_kib_per_second double precision, " +
		"log_buffer_sequence_number bigint, oldest_read_view_trx_id bigint, oldest_read_view_lsn bigint, pending_read_ios bigint, " +
		"read_ios bigint, iops integer, cpu double precision"
	if got := value[string](t, conn, replicaStatusColumns); got != want {
		t.Errorf("columns are %s", got)
	}
	got := value[[]string](t, conn, `SELECT array_agg(proname || '(' || pg_get_function_identity_arguments(oid) || ') ' || proowner::regrole || ' ' || array_to_string(proconfig, ' ') ORDER BY proname)
		FROM pg_proc WHERE proname ~ '^(aurora|daybreak)_' AND proname <> 'aurora_replica_status'`)
	path := " rdsadmin search_path=pg_catalog, pg_temp"
	if want := []string{
		"aurora_db_instance_identifier()" + path,
		"aurora_inject_crash(crash_type text)" + path,
		"aurora_inject_disk_congestion(percentage_of_failure double precision, index integer, is_disk boolean, time_interval integer, minimum double precision, maximum double precision)" + path,
		"aurora_inject_disk_failure(percentage_of_failure double precision, index integer, is_disk boolean, time_interval integer)" + path,
		"aurora_inject_replica_failure(percentage_of_failure double precision, time_interval integer, replica_name text)" + path,
		"aurora_show_volume_status(OUT disks integer, OUT nodes integer)" + path,
		"aurora_version()" + path,
		"daybreak_check_disk(index integer, is_disk boolean)" + path,
		"daybreak_check_fault(percentage_of_failure double precision, time_interval integer)" + path,
		"daybreak_request_fault(kind text, request jsonb)" + path,
	}; !slices.Equal(got, want) {
		t.Errorf("functions are %s", strings.Join(got, "\n"))
	}
}

func TestFunctionsAreInEveryDatabaseAndInNoDump(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	tell(t, s, topologyOf(s, s))
	conn := master(t, s, tenantDatabase)
	mustExec(t, conn, `CREATE ROLE app LOGIN PASSWORD 'x'`)
	mustExec(t, conn, `CREATE DATABASE later`)
	mustExec(t, conn, `CREATE DATABASE pristine TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`)
	admin, err := s.Connect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	conns := map[string]*pgx.Conn{AdminDatabase: admin}
	for _, database := range []string{"postgres", tenantDatabase, "later", "pristine"} {
		conns[database] = connect(t, s, "app", "x", database)
	}
	for database, conn := range conns {
		got := value[string](t, conn, `SELECT pg_catalog.concat_ws(' ', pg_catalog.aurora_version(), pg_catalog.aurora_db_instance_identifier(),
			(SELECT session_id FROM pg_catalog.aurora_replica_status()), (SELECT v FROM pg_catalog.aurora_show_volume_status() AS v), (`+driverAurora+`))`)
		if want := "15.4.0 demo-primary MASTER_SESSION_ID (3,6) t"; got != want {
			t.Errorf("%s: %s, want %s", database, got, want)
		}
	}

	mustExec(t, conn, `CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS 'SELECT aurora_version()'`)
	dump := exec.CommandContext(testContext(t), s.path("pg_dump"), "--host="+s.SocketDir, "--username="+masterName, tenantDatabase)
	dump.Env = append(s.environment(), "PGPASSWORD="+masterPassword)
	out, err := dump.CombinedOutput()
	if err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, out)
	}
	contains(t, "the dump", string(out), "CREATE FUNCTION public.mine()")
	for line := range strings.Lines(string(out)) {
		if (strings.Contains(line, "aurora_") && !strings.Contains(line, "SELECT aurora_version()")) || strings.Contains(line, "daybreak_") ||
			strings.Contains(line, "pg_settings") || strings.Contains(line, extensionsSetting) {
			t.Errorf("the dump says %s", line)
		}
	}
}

func TestReplicaStatusFollowsThePromotion(t *testing.T) {
	dir := workDir(t)
	writer, process := newPrimary(t, dir)
	reader, _ := newStandby(t, dir, "reader", writer)
	away := newServer(t, dir, "away")
	tell(t, writer, topologyOf(writer, writer, reader, away))
	onWriter := master(t, writer, tenantDatabase)
	mustExec(t, onWriter, `CREATE TABLE t (n int)`)
	replayed(t, reader, current(t, writer))

	// What is known of others comes from the file: fresh, old, or nothing.
	told := topologyOf(reader, writer, reader, away)
	told.Members[0].Seen = Sight{At: time.Now(), DurableLSN: 0x1_0000_0002, CPU: 12.5}
	told.Members[2].Seen = Sight{At: time.Now().Add(-time.Hour), ReplayLSN: 7, Lag: 1500 * time.Microsecond}
	tell(t, reader, told)
	onReader := master(t, reader, tenantDatabase)
	for name, test := range map[string]struct {
		conn *pgx.Conn
		sql  string
		want string
	}{
		"topology on the reader":  {onReader, topologyLine, "demo-primary=true demo-reader=false"},
		"topology on the writer":  {onWriter, topologyLine, "demo-away=false demo-primary=true demo-reader=false"},
		"identity of the reader":  {onReader, `SELECT aurora_db_instance_identifier()`, "demo-reader"},
		"the reader is no writer": {onReader, `SELECT n::text FROM (` + writerCount + `) AS w (n)`, "0"},
		"the writer is one":       {onWriter, `SELECT n::text FROM (` + writerCount + `) AS w (n)`, "1"},
		"the writer as told to the reader": {onReader, `SELECT concat_ws(' ', durable_lsn, cpu, current_read_lsn, highest_lsn_rcvd, replica_lag_in_msec)
			FROM aurora_replica_status() WHERE server_id = 'demo-primary'`, "4294967298 12.5"},
		"another reader as told to the reader": {onReader, `SELECT concat_ws(' ', session_id <> 'MASTER_SESSION_ID', current_read_lsn, replica_lag_in_msec, now() - last_update_timestamp > '59 min')
			FROM aurora_replica_status() WHERE server_id = 'demo-away'`, "t 7 1.5 t"},
		"a reader that is away": {onWriter, `SELECT concat_ws(' ', durable_lsn, current_read_lsn, replica_lag_in_msec, last_update_timestamp, is_current)
			FROM aurora_replica_status() WHERE server_id = 'demo-away'`, "t"},
		"the reader itself": {onReader, `SELECT concat_ws(' ', current_read_lsn = pg_last_wal_replay_lsn() - '0/0', highest_lsn_rcvd = pg_last_wal_receive_lsn() - '0/0',
			active_txns, abs(extract(epoch FROM now() - last_update_timestamp)) < 60, read_ios > 0) FROM aurora_replica_status() WHERE server_id = aurora_db_instance_identifier()`, "t t 1 t t"},
		"the writer itself": {onWriter, `SELECT concat_ws(' ', durable_lsn <= pg_current_wal_flush_lsn() - '0/0', active_txns, current_read_lsn, highest_lsn_rcvd, replica_lag_in_msec)
			FROM aurora_replica_status() WHERE server_id = aurora_db_instance_identifier()`, "t 1"},
		"one session id each": {onReader, `SELECT count(DISTINCT session_id)::text FROM aurora_replica_status()`, "3"},
	} {
		if got := value[string](t, test.conn, test.sql); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	eventually(t, "the writer knows what its standby has replayed", func() bool {
		return value[bool](t, onWriter, `SELECT current_read_lsn = pg_current_wal_lsn() - '0/0' AND replica_lag_in_msec = 0 AND last_update_timestamp > now() - interval '1 min'
			FROM aurora_replica_status() WHERE server_id = 'demo-reader'`)
	})

	// The promotion shows at once, before anybody writes the file again.
	if err := process.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if value[bool](t, onReader, `SELECT EXISTS (SELECT FROM aurora_replica_status() WHERE server_id = 'demo-reader' AND replica_lag_in_msec = 0)`) {
		// The end of the stream is seen a moment later.
		eventually(t, "a reader without its writer says that its lag is not known to be none", func() bool {
			return value[bool](t, onReader, `SELECT replica_lag_in_msec IS DISTINCT FROM 0 FROM aurora_replica_status() WHERE server_id = 'demo-reader'`)
		})
	}
	if err := reader.Promote(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, onReader, topologyLine); got != "demo-primary=false demo-reader=true" {
		t.Errorf("after the promotion the topology is %s", got)
	}
	if n := value[int](t, onReader, writerCount); n != 1 {
		t.Errorf("the promoted server is not the writer: %d", n)
	}
}

// A file that the node did not write so is an error of the statement.
func TestBrokenTopologyIsAnErrorAndNothingElse(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	refused(t, conn, "58P01", `SELECT aurora_version()`) // nothing was written yet
	for name, test := range map[string]struct{ content, code string }{
		"empty":              {"", "22P02"},
		"cut off":            {`{"version": "15.4.0", "members": [{"server_id"`, "22P02"},
		"not an object":      {`[1]`, invalid},
		"members no list":    {`{"server_id": "a", "members": {"a": 1}}`, invalid},
		"a position is none": {`{"server_id": "a", "members": [{"server_id": "b", "durable_lsn": "x"}]}`, "22P02"},
		"bytes":              {"{\"version\": \"\xff\"}", "22021"},
		"zero byte":          {"{\"version\": \"\x00\"}", "22021"},
	} {
		if err := s.replaceOwn(s.topologyFile(), []byte(test.content)); err != nil {
			t.Fatal(err)
		}
		if said := refused(t, conn, test.code, `SELECT * FROM aurora_replica_status()`); said == "" {
			t.Errorf("%s: no message", name)
		}
	}
	tell(t, s, topologyOf(s, s))
	mustExec(t, conn, `SELECT * FROM aurora_replica_status()`)
	select {
	case <-p.Exited():
		t.Error("the server ended")
	default:
	}
}

func TestTopologyIsCheckedPrivateAndWrittenOnce(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	good := topologyOf(s, s)
	if err := s.WriteTopology(good); !errors.Is(err, ErrNoData) {
		t.Errorf("a server without data was told of its cluster: %v", err)
	}
	if err := s.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	tell(t, s, good)
	before, err := os.Stat(s.topologyFile())
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode() != 0o600 {
		t.Errorf("mode is %v", before.Mode())
	}
	tell(t, s, good)
	if after, err := os.Stat(s.topologyFile()); err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged topology was written: %v", err)
	}
	for name, change := range map[string]func(*Topology){
		"no version":      func(o *Topology) { o.Version = "" },
		"not a member":    func(o *Topology) { o.ServerID = "other" },
		"the same twice":  func(o *Topology) { o.Members = append(o.Members, o.Members[0]) },
		"a strange name":  func(o *Topology) { o.Members = append(o.Members, Member{ServerID: "ü", Name: "u"}) },
		"no server name":  func(o *Topology) { o.Members = append(o.Members, Member{ServerID: "u"}) },
		"less than none":  func(o *Topology) { o.Disks = -1 },
		"no members":      func(o *Topology) { o.Members = nil },
		"a quoted number": func(o *Topology) { o.Version = `15"` },
	} {
		bad := topologyOf(s, s)
		change(&bad)
		if err := s.WriteTopology(bad); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if after, err := os.Stat(s.topologyFile()); err != nil || !os.SameFile(before, after) {
		t.Errorf("a refused topology was written: %v", err)
	}
}
