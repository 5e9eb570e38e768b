package system

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/test/harness"
)

// What AWS's drivers ask, in their words.
const (
	isAurora = `SELECT (setting OPERATOR(pg_catalog.~~) '%aurora_stat_utils%') AS aurora_stat_utils ` +
		`FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'rds.extensions'`
	topology = `SELECT server_id, CASE WHEN SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' THEN TRUE ELSE FALSE END AS is_writer, ` +
		`CPU, COALESCE(REPLICA_LAG_IN_MSEC, 0) AS lag, LAST_UPDATE_TIMESTAMP ` +
		`FROM pg_catalog.aurora_replica_status() ` +
		`WHERE EXTRACT(EPOCH FROM(pg_catalog.NOW() OPERATOR(pg_catalog.-) LAST_UPDATE_TIMESTAMP)) OPERATOR(pg_catalog.<=) 300 OR SESSION_ID OPERATOR(pg_catalog.=) ` +
		`'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP IS NULL`
	instance = `SELECT pg_catalog.aurora_db_instance_identifier()`
	amWriter = `SELECT server_id FROM pg_catalog.aurora_replica_status() WHERE SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' AND SERVER_ID OPERATOR(pg_catalog.=)` +
		` pg_catalog.aurora_db_instance_identifier()`
	isReader = `SELECT pg_catalog.pg_is_in_recovery()`
)

// TestDriversFollowTheWriter asks every instance and endpoint what AWS's drivers
// ask, as a user without privileges, before and after FailoverDBCluster.
func TestDriversFollowTheWriter(t *testing.T) {
	in := harness.New(t, harness.Options{})
	secret := in.Write("password", harness.Password)
	var d harness.Deployment
	in.JSON(&d, "up", in.Plan(), "--name", "demo", "--param", "readReplicaCount=2", "--param", "password=@"+secret)
	in.Exec(d.Endpoints.Writer, "CREATE ROLE app LOGIN PASSWORD '"+harness.Password+"'")

	hosts := []string{d.Outputs["writer_instance_endpoint"].(string)}
	for _, host := range d.Outputs["reader_instance_endpoints"].([]any) {
		hosts = append(hosts, host.(string))
	}
	cluster := d.Outputs["cluster_id"].(string)
	ids := []string{}
	for _, host := range hosts {
		at := harness.Endpoint{Host: host, Port: d.Endpoints.Writer.Port}
		harness.Eventually(t, time.Minute, host+" knows the user", func() error { _, err := ask(in, at, isReader); return err })
		id, err := ask(in, at, instance)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	agree := func(writer string) func() error {
		return func() error {
			for i, host := range hosts {
				if err := view(in, harness.Endpoint{Host: host, Port: d.Endpoints.Writer.Port}, ids, ids[i], writer); err != nil {
					return err
				}
			}
			return view(in, d.Endpoints.Writer, ids, writer, writer)
		}
	}
	harness.Eventually(t, time.Minute, "drivers see the cluster", agree(ids[0]))

	target := ids[2]
	if _, err := in.RDS().FailoverDBCluster(t.Context(), &rds.FailoverDBClusterInput{DBClusterIdentifier: &cluster, TargetDBInstanceIdentifier: &target}); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, "drivers see the new writer everywhere", agree(target))
}

// view checks what a driver learns at an endpoint: that it is Aurora, which
// instances there are and which one writes, where it is, and whether it may write.
func view(in *harness.Installation, at harness.Endpoint, ids []string, self, writer string) error {
	var want []string
	for _, id := range ids {
		want = append(want, fmt.Sprintf("%s %v", id, id == writer))
	}
	slices.Sort(want)
	me := ""
	if self == writer {
		me = writer
	}
	for _, q := range []struct{ sql, want string }{
		{isAurora, "true"}, {instance, self}, {amWriter, me}, {isReader, fmt.Sprint(self != writer)},
		{topology, strings.Join(want, ", ")},
	} {
		got, err := ask(in, at, q.sql)
		if err != nil {
			return fmt.Errorf("%s at %s: %w", q.sql, at.Host, err)
		}
		if got != q.want {
			return fmt.Errorf("%s at %s: %q, want %q", q.sql, at.Host, got, q.want)
		}
	}
	return nil
}

// ask gives the first two columns of all rows, in order, as the user app.
func ask(in *harness.Installation, at harness.Endpoint, sql string) (string, error) {
	conn, err := in.Connect(at, "app", "postgres")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return "", err
		}
		all = append(all, strings.TrimSuffix(fmt.Sprintln(values[:min(2, len(values))]...), "\n"))
	}
	slices.Sort(all)
	return strings.Join(all, ", "), rows.Err()
}
