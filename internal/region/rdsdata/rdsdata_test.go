package rdsdata_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rdsdata"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata/types"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/rdsdata"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

const (
	password = "correct horse"
	secret   = "arn:aws:secretsmanager:us-west-2:111122223333:secret:demo-abcdef"
)

// arnOf is the ARN of a cluster.
func arnOf(name string) *string {
	return aws.String("arn:aws:rds:us-west-2:111122223333:cluster:" + name)
}

var limits = rdsdata.Limits{Statement: 2 * time.Second, Idle: 2 * time.Second, Transaction: 6 * time.Second}

// demo is a cluster with a PostgreSQL server behind it.
type demo struct {
	*api.Client
	t *testing.T
}

func start(t *testing.T) demo {
	t.Helper()
	socket := startPostgres(t)
	store := statetest.Start(t)
	clusters, instances := state.DBClusters(store), state.DBInstances(store)
	for name, cluster := range map[string]aurora.DBCluster{
		"demo":    {Spec: aurora.DBClusterSpec{HTTPEndpoint: true, DatabaseName: "app"}, Status: aurora.DBClusterStatus{Writer: "db-1"}},
		"off":     {Status: aurora.DBClusterStatus{Writer: "db-1"}},
		"stopped": {Spec: aurora.DBClusterSpec{HTTPEndpoint: true, Stopped: aws.Time(time.Now())}},
		"empty":   {Spec: aurora.DBClusterSpec{HTTPEndpoint: true}},
	} {
		cluster.Spec.Identifier, cluster.ResourceID = name, "cluster-"+name
		cluster.Account, cluster.Region = wiretest.Account, wiretest.Region
		cluster.Status.WriterEndpoint = aurora.Address{Host: "127.0.0.1", Port: 5432}
		if _, err := clusters.Create(t.Context(), cluster.ResourceID, cluster); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := instances.Create(t.Context(), "db-1", aurora.DBInstance{Spec: aurora.DBInstanceSpec{ClusterResourceID: "cluster-demo"}}); err != nil {
		t.Fatal(err)
	}
	service, err := rdsdata.New(t.Context(), rdsdata.Config{
		Store: store, Limits: limits,
		Secret: func(context.Context, string) (string, error) {
			return fmt.Sprintf(`{"username":"owner","password":%q,"engine":"postgres"}`, password), nil
		},
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return demo{api.NewFromConfig(wiretest.Serve(t, service)), t}
}

// startPostgres is a server whose master user is owner; it returns its socket.
func startPostgres(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	found, err := postgres.Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(filepath.Join(dir, "run"), 0o711)); err != nil {
		t.Fatal(err)
	}
	s := postgres.Server{
		Installation: found, Name: "a", Dir: filepath.Join(dir, "a"), SocketDir: filepath.Join(dir, "run", "a"),
		AdminPassword: "admin-password-of-the-test-0123456789", ReplicationPassword: "replication-password-of-the-test-0123456789",
	}
	if os.Geteuid() == 0 {
		s.UID = 60418
	}
	t.Cleanup(func() {
		if err := s.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := s.Init(ctx, postgres.InitOptions{Master: postgres.Master{Name: "owner", Verifier: verifier(t)}, Database: "app"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Configure(ctx, postgres.Config{Memory: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	p, err := s.Start(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(s.SocketDir, fmt.Sprintf(".s.PGSQL.%d", postgres.Port))
}

// verifier is PostgreSQL's stored form of the password.
func verifier(t *testing.T) string {
	salt := []byte("0123456789abcdef")
	salted, err := pbkdf2.Key(sha256.New, password, salt, 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored, encode := sha256.Sum256(sum("Client Key")), base64.StdEncoding.EncodeToString
	return "SCRAM-SHA-256$4096:" + encode(salt) + "$" + encode(stored[:]) + ":" + encode(sum("Server Key"))
}

func (d demo) exec(sql string, change ...func(*api.ExecuteStatementInput)) (*api.ExecuteStatementOutput, error) {
	in := &api.ExecuteStatementInput{ResourceArn: arnOf("demo"), SecretArn: aws.String(secret), Sql: &sql}
	for _, c := range change {
		c(in)
	}
	return d.ExecuteStatement(d.t.Context(), in)
}

// value is the one value of a statement that must work.
func (d demo) value(sql string, change ...func(*api.ExecuteStatementInput)) types.Field {
	d.t.Helper()
	out, err := d.exec(sql, change...)
	if err != nil || len(out.Records) != 1 || len(out.Records[0]) != 1 {
		d.t.Fatalf("%s: %+v, %v", sql, out, err)
	}
	return out.Records[0][0]
}

func (d demo) begin() string {
	d.t.Helper()
	out, err := d.BeginTransaction(d.t.Context(), &api.BeginTransactionInput{ResourceArn: arnOf("demo"), SecretArn: aws.String(secret)})
	if err != nil {
		d.t.Fatal(err)
	}
	return *out.TransactionId
}

func within(transaction string) func(*api.ExecuteStatementInput) {
	return func(in *api.ExecuteStatementInput) { in.TransactionId = &transaction }
}

func wantCode(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("%s: %v; want %s with %q", what, err, code, text)
	}
}

func TestValuesTravelBothWays(t *testing.T) {
	d := start(t)
	str := func(s string) types.Field { return &types.FieldMemberStringValue{Value: s} }
	long := func(n int64) types.Field { return &types.FieldMemberLongValue{Value: n} }
	null := &types.FieldMemberIsNull{Value: true}
	for name, c := range map[string]struct {
		sql  string
		in   types.Field
		hint types.TypeHint
		want types.Field
	}{
		"a long":         {"select :p", long(-1 << 62), "", long(-1 << 62)},
		"a small int":    {"select 3::int2 where :p", &types.FieldMemberBooleanValue{Value: true}, "", long(3)},
		"a boolean":      {"select not :p", &types.FieldMemberBooleanValue{Value: true}, "", &types.FieldMemberBooleanValue{}},
		"a double":       {"select :p / 2", &types.FieldMemberDoubleValue{Value: 0.25}, "", &types.FieldMemberDoubleValue{Value: 0.125}},
		"a text":         {"select :p || 'é'", str("a'b\n"), "", str("a'b\né")},
		"a blob":         {"select :p || '\\x00'::bytea", &types.FieldMemberBlobValue{Value: []byte{0, 255}}, "", &types.FieldMemberBlobValue{Value: []byte{0, 255, 0}}},
		"null":           {"select :p::int", null, "", null},
		"null of a type": {"select :p", null, types.TypeHintDate, null},
		"a date":         {"select :p + 1", str("2026-02-28"), types.TypeHintDate, str("2026-03-01")},
		"a time":         {"select :p", str("12:34:56.5"), types.TypeHintTime, str("12:34:56.5")},
		"a timestamp":    {"select :p", str("2026-01-02 03:04:05.678"), types.TypeHintTimestamp, str("2026-01-02 03:04:05.678")},
		"its zone":       {"select :p::timestamptz", str("2026-01-02 03:04:05+01"), "", str("2026-01-02 02:04:05")},
		"a decimal":      {"select :p + 0.001", str("1.10"), types.TypeHintDecimal, str("1.101")},
		"a UUID":         {"select :p", str("6F9619FF-8B86-D011-B42D-00CF4FC964FF"), types.TypeHintUuid, str("6f9619ff-8b86-d011-b42d-00cf4fc964ff")},
		"JSON":           {"select jsonb_set('{}', '{a}', :p)", str(`[1,2]`), types.TypeHintJson, str(`{"a": [1, 2]}`)},
		"an interval":    {"select :p * '1 day'::interval", long(2), "", str("2 days")},
		"longs":          {"select array[:p, null, 3]", long(1), "", &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberLongValues{Value: []*int64{aws.Int64(1), nil, aws.Int64(3)}}}},
		"texts":          {"select array[:p, 'b,c', '', null]", str(`"`), "", &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberStringValues{Value: []*string{aws.String(`"`), aws.String("b,c"), aws.String(""), nil}}}},
		"doubles":        {"select array[:p]", &types.FieldMemberDoubleValue{Value: 1.5}, "", &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberDoubleValues{Value: []*float64{aws.Float64(1.5)}}}},
		"booleans":       {"select array[:p, false]", &types.FieldMemberBooleanValue{Value: true}, "", &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberBooleanValues{Value: []*bool{aws.Bool(true), aws.Bool(false)}}}},
		"an empty array": {"select array_remove(array[:p], :p)", long(1), "", &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberLongValues{Value: []*int64{}}}},
		"UUIDs":          {"select array[:p]", str("6f9619ff-8b86-d011-b42d-00cf4fc964ff"), types.TypeHintUuid, &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberStringValues{Value: []*string{aws.String("6f9619ff-8b86-d011-b42d-00cf4fc964ff")}}}},
		"other bounds":   {"select ('[5:6]={' || :p || ',2}')::int[]", str("1"), "", &types.FieldMemberArrayValue{Value: &types.ArrayValueMemberLongValues{Value: []*int64{aws.Int64(1), aws.Int64(2)}}}},
	} {
		got := d.value(c.sql, func(in *api.ExecuteStatementInput) {
			in.Parameters = []types.SqlParameter{{Name: aws.String("p"), Value: c.in, TypeHint: c.hint}}
		})
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, want %#v", name, got, c.want)
		}
	}
	showAs(t, d)
	refused(t, d)
}

// showAs asks for results in other forms.
func showAs(t *testing.T, d demo) {
	options := func(o types.ResultSetOptions) func(*api.ExecuteStatementInput) {
		return func(in *api.ExecuteStatementInput) { in.ResultSetOptions = &o }
	}
	asNumber := options(types.ResultSetOptions{DecimalReturnType: types.DecimalReturnTypeDoubleOrLong})
	if got := d.value("select 1.50", asNumber); !reflect.DeepEqual(got, &types.FieldMemberDoubleValue{Value: 1.5}) {
		t.Errorf("a decimal is %#v", got)
	}
	if got := d.value("select 2::numeric", asNumber); !reflect.DeepEqual(got, &types.FieldMemberLongValue{Value: 2}) {
		t.Errorf("a whole decimal is %#v", got)
	}
	if got := d.value("select 2::int8", options(types.ResultSetOptions{LongReturnType: types.LongReturnTypeString})); !reflect.DeepEqual(got, &types.FieldMemberStringValue{Value: "2"}) {
		t.Errorf("a long is %#v", got)
	}
	out, err := d.exec(`select 1 as a, 1.50 as b, 'x"' as "c d", null as e, array[1,null] as f, true as g, '\x00'::bytea as h, 'NaN'::numeric as i`, func(in *api.ExecuteStatementInput) {
		in.FormatRecordsAs = types.RecordsFormatTypeJson
	})
	const want = `[{"a":1,"b":1.50,"c d":"x\"","e":null,"f":[1,null],"g":true,"h":"AA==","i":"NaN"}]`
	if err != nil || aws.ToString(out.FormattedRecords) != want || out.Records != nil {
		t.Errorf("JSON %+v, %v", out, err)
	}
}

func refused(t *testing.T, d demo) {
	for name, c := range map[string]struct{ sql, code, text string }{
		"two statements":       {"select 1; select 2", "BadRequestException", "Multistatements aren't supported"},
		"a syntax error":       {"selec 1", "DatabaseErrorException", "ERROR: syntax error at or near \"selec\"\n  Position: 1; SQLState: 42601"},
		"a large result":       {"select repeat('x', 60000) from generate_series(1, 30)", "UnsupportedResultException", "response size limit"},
		"a large row":          {"select repeat('x', 70000)", "UnsupportedResultException", "row"},
		"a matrix":             {"select array[[1,2],[3,4]]", "UnsupportedResultException", "multidimensional"},
		"a copy":               {"copy pg_class to stdout", "BadRequestException", "COPY is not supported"},
		"what takes too long":  {"select pg_sleep(60)", "StatementTimeoutException", "timed out"},
		"nothing":              {"", "BadRequestException", ""},
		"a role without right": {"create role r superuser", "DatabaseErrorException", "42501"},
	} {
		_, err := d.exec(c.sql)
		wantCode(t, name, err, c.code, c.text)
	}
	for name, c := range map[string]struct{ cluster, code string }{
		"a cluster without the endpoint": {"off", "HttpEndpointNotEnabledException"}, "a stopped cluster": {"stopped", "InvalidResourceStateException"},
		"a cluster without instances": {"empty", "DatabaseNotFoundException"}, "no cluster": {"none", "NotFoundException"},
	} {
		_, err := d.exec("select 1", func(in *api.ExecuteStatementInput) { in.ResourceArn = arnOf(c.cluster) })
		wantCode(t, name, err, c.code, "")
	}
	_, err := d.exec("select 1", func(in *api.ExecuteStatementInput) { in.ResourceArn = aws.String("demo") })
	wantCode(t, "no ARN", err, "BadRequestException", "Invalid database resource ARN")
	_, err = d.exec("select 1", func(in *api.ExecuteStatementInput) { in.Database = aws.String("none") })
	wantCode(t, "no database", err, "DatabaseErrorException", "3D000")
	//lint:ignore SA1019 old clients still call it
	_, err = d.ExecuteSql(t.Context(), &api.ExecuteSqlInput{DbClusterOrInstanceArn: arnOf("demo"), AwsSecretStoreArn: aws.String(secret), SqlStatements: aws.String("select 1")})
	wantCode(t, "ExecuteSql", err, "UnsupportedOperation", "deprecated")
}

func TestMetadataIsThatOfJDBC(t *testing.T) {
	d := start(t)
	if _, err := d.exec("create table t (id int generated always as identity primary key, name varchar(20), price numeric(8,2), tags text[])"); err != nil {
		t.Fatal(err)
	}
	out, err := d.exec("select id, name as label, price, tags, now() as now, '{}'::jsonb as doc from t", func(in *api.ExecuteStatementInput) { in.IncludeResultMetadata = true })
	if err != nil || out.Records == nil || len(out.Records) != 0 || len(out.ColumnMetadata) != 6 {
		t.Fatalf("%+v, %v", out, err)
	}
	str := aws.String
	want := []types.ColumnMetadata{
		{Name: str("id"), Label: str("id"), TableName: str("t"), SchemaName: str(""), TypeName: str("int4"), Type: 4, Precision: 10, IsSigned: true, IsAutoIncrement: true},
		{Name: str("label"), Label: str("label"), TableName: str("t"), SchemaName: str(""), TypeName: str("varchar"), Type: 12, Precision: 20, IsCaseSensitive: true, Nullable: 1},
		{Name: str("price"), Label: str("price"), TableName: str("t"), SchemaName: str(""), TypeName: str("numeric"), Type: 2, Precision: 8, Scale: 2, IsSigned: true, Nullable: 1},
		{Name: str("tags"), Label: str("tags"), TableName: str("t"), SchemaName: str(""), TypeName: str("_text"), Type: 2003, Precision: 1<<31 - 1, ArrayBaseColumnType: 12, Nullable: 1},
		{Name: str("now"), Label: str("now"), TableName: str(""), SchemaName: str(""), TypeName: str("timestamptz"), Type: 93, Precision: 35, Scale: 6, Nullable: 2},
		{Name: str("doc"), Label: str("doc"), TableName: str(""), SchemaName: str(""), TypeName: str("jsonb"), Type: 1111, Precision: 1<<31 - 1, IsCaseSensitive: true, Nullable: 2},
	}
	for i := range want {
		if !reflect.DeepEqual(out.ColumnMetadata[i], want[i]) {
			t.Errorf("column %s: %+v, want %+v", *want[i].Name, out.ColumnMetadata[i], want[i])
		}
	}
}

func TestTransactionsAreKeptOrTakenBack(t *testing.T) {
	d := start(t)
	if _, err := d.exec("create table t (id int primary key)"); err != nil {
		t.Fatal(err)
	}
	commit := func(id string) error {
		_, err := d.CommitTransaction(t.Context(), &api.CommitTransactionInput{ResourceArn: arnOf("demo"), SecretArn: aws.String(secret), TransactionId: &id})
		return err
	}
	kept, failed := d.begin(), d.begin()
	if out, err := d.exec("insert into t values (1), (2)", within(kept)); err != nil || out.NumberOfRecordsUpdated != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	if got := d.value("select count(*) from t"); !reflect.DeepEqual(got, &types.FieldMemberLongValue{Value: 0}) {
		t.Errorf("others see %+v", got)
	}
	if err := commit(kept); err != nil {
		t.Fatal(err)
	}
	_, err := d.exec("insert into t values (1)", within(failed))
	wantCode(t, "a duplicate", err, "DatabaseErrorException", "23505")
	wantCode(t, "the commit of a failed transaction", commit(failed), "DatabaseErrorException", "cannot be committed")
	wantCode(t, "a second commit", commit(failed), "TransactionNotFoundException", "is not found")
	_, err = d.BatchExecuteStatement(t.Context(), &api.BatchExecuteStatementInput{
		ResourceArn: arnOf("demo"), SecretArn: aws.String(secret), Sql: aws.String("insert into t values (:id)"),
		ParameterSets: [][]types.SqlParameter{
			{{Name: aws.String("id"), Value: &types.FieldMemberLongValue{Value: 3}}}, {{Name: aws.String("id"), Value: &types.FieldMemberLongValue{Value: 2}}},
		},
	})
	wantCode(t, "a batch with a duplicate", err, "DatabaseErrorException", "23505")
	if got := d.value("select array_agg(id order by id)::text from t"); !reflect.DeepEqual(got, &types.FieldMemberStringValue{Value: "{1,2}"}) {
		t.Errorf("the table has %+v", got)
	}
	other := d.begin()
	_, err = d.exec("select 1", within(other), func(in *api.ExecuteStatementInput) { in.SecretArn = aws.String(secret + "x") })
	wantCode(t, "another secret", err, "BadRequestException", "secret ARN")
	_, err = d.exec("select 1", within(other), func(in *api.ExecuteStatementInput) { in.Database = aws.String("postgres") })
	wantCode(t, "another database", err, "BadRequestException", "Database name is not the same")
}

// TestWhatTakesTooLongEnds waits for each of the limits.
func TestWhatTakesTooLongEnds(t *testing.T) {
	d := start(t)
	if _, err := d.exec("create table t (id int primary key)"); err != nil {
		t.Fatal(err)
	}
	_, err := d.exec("insert into t select 1 from pg_sleep(4)", func(in *api.ExecuteStatementInput) { in.ContinueAfterTimeout = true })
	wantCode(t, "a statement that goes on", err, "StatementTimeoutException", "")
	_, err = d.exec("insert into t select 2 from pg_sleep(4)")
	wantCode(t, "a statement that does not", err, "StatementTimeoutException", "")
	idle, busy := d.begin(), d.begin()
	started := time.Now()
	until(t, "an idle transaction ends", func() bool {
		if _, err := d.exec("select 1", within(busy)); err != nil { // or it is idle too
			return time.Since(started) > limits.Transaction
		}
		n := d.value("select count(*) from pg_stat_activity where state = 'idle in transaction'")
		return reflect.DeepEqual(n, &types.FieldMemberLongValue{Value: 1})
	})
	_, err = d.exec("select 1", within(idle))
	wantCode(t, "an idle transaction", err, "TransactionNotFoundException", "")
	until(t, "a transaction ends that is old", func() bool {
		_, err := d.exec("select 1", within(busy))
		return err != nil && time.Since(started) >= limits.Transaction
	})
	until(t, "the statement that went on is done", func() bool {
		return reflect.DeepEqual(d.value("select array_agg(id)::text from t"), &types.FieldMemberStringValue{Value: "{1}"})
	})
}

func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !fact(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
