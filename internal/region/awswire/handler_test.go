package awswire_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

// answer is what a client reads out of any protocol's error.
type answer struct {
	status    int
	requestID string
	Code      string `xml:"Error>Code"`
	EC2Code   string `xml:"Errors>Error>Code"`
	Message   string `xml:"Error>Message"`
	Type      string `json:"__type" xml:"-"`
}

// serve serves RDS and EC2 with a few actions and returns the address.
func serve(t *testing.T, registry *prometheus.Registry, log io.Writer) string {
	t.Helper()
	r, e := awswire.RDS(), awswire.EC2()
	awswire.Register(r, func(ctx context.Context, in *rds.DescribeDBClustersInput) (*rds.DescribeDBClustersOutput, error) {
		id := awswire.IdentityFrom(ctx)
		return &rds.DescribeDBClustersOutput{Marker: aws.String(id.Account + " " + id.Region + " " + id.AccessKeyID + " " + id.ARN + " " + id.RequestID)}, nil
	})
	awswire.Register(r, func(context.Context, *rds.DeleteDBClusterInput) (*rds.DeleteDBClusterOutput, error) {
		return nil, awswire.Errorf(404, "DBClusterNotFoundFault", "DBCluster x not found.")
	})
	awswire.Register(r, func(context.Context, *rds.StopDBClusterInput) (*rds.StopDBClusterOutput, error) { panic("a secret") })
	awswire.Register(r, func(context.Context, *rds.StartDBClusterInput) (*rds.StartDBClusterOutput, error) {
		return nil, errors.New("what the disk said")
	})
	awswire.Register(r, func(context.Context, *rds.CreateDBClusterInput) (*rds.CreateDBClusterOutput, error) { return nil, nil })
	awswire.Register(e, func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) { return nil, nil })
	h, err := awswire.NewHandler(awswire.Config{
		Services: []*awswire.Service{r, e}, Credentials: wiretest.Credentials(), Registry: registry,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// signing is how a request of send is signed.
type signing struct {
	key, secret, service, region string
	at                           time.Time
	change                       func(*http.Request) // after it was signed
}

func send(t *testing.T, url, form string, s signing) answer {
	t.Helper()
	if s.key == "" {
		s.key, s.secret = wiretest.AccessKey, wiretest.SecretKey
	}
	if s.service == "" {
		s.service = "rds"
	}
	if s.region == "" {
		s.region = wiretest.Region
	}
	if s.at.IsZero() {
		s.at = time.Now()
	}
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret}, r, awswire.Hash(form), s.service, s.region, s.at)
	if err != nil {
		t.Fatal(err)
	}
	if s.change != nil {
		s.change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, requestID: resp.Header.Get("X-Amzn-RequestId")}
	body, err := io.ReadAll(resp.Body)
	if err == nil && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		err = json.Unmarshal(body, &a)
	} else if err == nil {
		err = xml.Unmarshal(body, &a)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	a.Code += a.EC2Code + a.Type
	return a
}

const describe = "Action=DescribeDBClusters&Version=2014-10-31"

func TestRequestsThatAreNotAuthenticAreRefusedWithAWSsCodes(t *testing.T) {
	url := serve(t, prometheus.NewRegistry(), io.Discard)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	for name, test := range map[string]struct {
		signing
		status int
		code   string
	}{
		"good":                {signing{}, 200, ""},
		"any region":          {signing{region: "local-1"}, 200, ""},
		"no signature":        {signing{change: func(r *http.Request) { r.Header.Del("Authorization") }}, 403, "MissingAuthenticationToken"},
		"another scheme":      {signing{change: header("Authorization", "Basic eDp5")}, 400, "IncompleteSignature"},
		"no credential":       {signing{change: replace("Credential=", "Credentials=")}, 400, "IncompleteSignature"},
		"no equal-sign":       {signing{change: replace("Signature=", "Signature")}, 400, "IncompleteSignature"},
		"scope too short":     {signing{change: replace("/aws4_request", "")}, 400, "IncompleteSignature"},
		"no date":             {signing{change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }}, 400, "IncompleteSignature"},
		"unknown key":         {signing{key: "AKIANOBODY", secret: "x"}, 403, "InvalidClientTokenId"},
		"session token":       {signing{change: header("X-Amz-Security-Token", "x")}, 403, "InvalidClientTokenId"},
		"wrong secret":        {signing{key: wiretest.AccessKey, secret: "x"}, 403, "SignatureDoesNotMatch"},
		"other body":          {signing{change: func(r *http.Request) { setBody(r, describe+"&a=b") }}, 403, "SignatureDoesNotMatch"},
		"other header":        {signing{change: header("Content-Type", "text/plain")}, 403, "SignatureDoesNotMatch"},
		"other scope":         {signing{change: replace("/us-west-2/", "/us-east-1/")}, 403, "SignatureDoesNotMatch"},
		"host not signed":     {signing{change: replace(";host", "")}, 403, "SignatureDoesNotMatch"},
		"no region":           {signing{region: "nowhere"}, 403, "SignatureDoesNotMatch"},
		"clock behind":        {signing{at: time.Now().Add(-6 * time.Minute)}, 403, "SignatureDoesNotMatch"},
		"clock ahead":         {signing{at: time.Now().Add(6 * time.Minute)}, 403, "SignatureDoesNotMatch"},
		"clock a bit off":     {signing{at: time.Now().Add(-4 * time.Minute)}, 200, ""},
		"ec2, unknown key":    {signing{service: "ec2", key: "AKIANOBODY", secret: "x"}, 401, "AuthFailure"},
		"ec2, wrong secret":   {signing{service: "ec2", key: wiretest.AccessKey, secret: "x"}, 401, "AuthFailure"},
		"ec2, clock behind":   {signing{service: "ec2", at: time.Now().Add(-time.Hour)}, 400, "RequestExpired"},
		"a service not there": {signing{service: "s3"}, 400, "InvalidAction"},
		"one that speaks JSON": {signing{service: "kms", change: func(r *http.Request) {
			r.Header.Set("X-Amz-Target", "TrentService.CreateKey")
		}}, 400, "InvalidAction"},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, url, describe, test.signing)
			if got.status != test.status || got.Code != test.code {
				t.Errorf("answer %+v, want %d %s", got, test.status, test.code)
			}
			if len(got.requestID) != 36 {
				t.Errorf("request id %q", got.requestID)
			}
		})
	}
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

func TestPresignedRequestsExpire(t *testing.T) {
	url := serve(t, prometheus.NewRegistry(), io.Discard)
	get := func(at time.Time, change func(string) string) int {
		r, err := http.NewRequest(http.MethodGet, url+"/?"+describe+"&X-Amz-Expires=60", nil)
		if err != nil {
			t.Fatal(err)
		}
		credential := aws.Credentials{AccessKeyID: wiretest.AccessKey, SecretAccessKey: wiretest.SecretKey}
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), credential, r, awswire.Hash(""), "rds", wiretest.Region, at)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(change(signed))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	same := func(s string) string { return s }
	if got := get(time.Now(), same); got != 200 {
		t.Errorf("presigned: %d", got)
	}
	if got := get(time.Now().Add(-2*time.Minute), same); got != 400 {
		t.Errorf("expired: %d", got)
	}
	if got := get(time.Now(), func(s string) string { return strings.Replace(s, "Expires=60", "Expires=600", 1) }); got != 403 {
		t.Errorf("prolonged: %d", got)
	}
}

func TestRequestsThatAreNotWellFormedAreRefused(t *testing.T) {
	registry, log := prometheus.NewRegistry(), &strings.Builder{}
	url := serve(t, registry, log)
	for name, test := range map[string]struct {
		service, form string
		status        int
		code, message string
	}{
		"no action":         {"rds", "Version=2014-10-31", 400, "MissingAction", ""},
		"unknown action":    {"rds", "Action=Nonsense&Version=2014-10-31", 400, "InvalidAction", "Could not find operation Nonsense for version 2014-10-31"},
		"unsupported":       {"rds", "Action=CreateOptionGroup&Version=2014-10-31", 400, "InvalidAction", "The action CreateOptionGroup is not available in this region yet."},
		"no version":        {"rds", "Action=DescribeDBClusters", 400, "InvalidAction", "Could not find operation DescribeDBClusters for version NO_VERSION_SPECIFIED"},
		"bad number":        {"rds", describe + "&MaxRecords=ten", 400, "MalformedInput", ""},
		"number too large":  {"rds", describe + "&MaxRecords=99999999999", 400, "MalformedInput", ""},
		"bad boolean":       {"rds", describe + "&IncludeShared=yes", 400, "MalformedInput", ""},
		"bad escape":        {"rds", describe + "&Marker=%zz", 400, "MalformedQueryString", ""},
		"twice":             {"rds", describe + "&Marker=a&Marker=b", 400, "MalformedQueryString", ""},
		"text for a list":   {"rds", describe + "&Filters=x", 400, "MalformedInput", ""},
		"list without rank": {"rds", describe + "&Filters.Filter.x.Name=a", 400, "MalformedQueryString", ""},
		"required in list":  {"rds", describe + "&Filters.Filter.1.Values.Value.1=a", 400, "InvalidParameterValue", "The parameter Filters.Filter.1.Name must be provided and must not be blank."},
		"too deep":          {"rds", describe + "&a" + strings.Repeat(".a", 30) + "=x", 400, "MalformedQueryString", ""},
		"unknown member":    {"rds", describe + "&Nonsense=x", 200, "", ""},
		"missing":           {"rds", "Action=CreateDBCluster&Version=2014-10-31&Engine=x", 400, "InvalidParameterValue", "The parameter DBClusterIdentifier must be provided and must not be blank."},
		"blank":             {"rds", "Action=CreateDBCluster&Version=2014-10-31&Engine=x&DBClusterIdentifier=", 400, "InvalidParameterValue", ""},
		"too large":         {"rds", describe + "&Marker=" + strings.Repeat("x", 1<<20), 413, "RequestEntityTooLarge", ""},
		"action's error":    {"rds", "Action=DeleteDBCluster&Version=2014-10-31&DBClusterIdentifier=x", 404, "DBClusterNotFoundFault", "DBCluster x not found."},
		"panic":             {"rds", "Action=StopDBCluster&Version=2014-10-31&DBClusterIdentifier=x", 500, "InternalFailure", ""},
		"internal error":    {"rds", "Action=StartDBCluster&Version=2014-10-31&DBClusterIdentifier=x", 500, "InternalFailure", ""},
		"ec2, unknown":      {"ec2", "Action=Nonsense&Version=2016-11-15", 400, "InvalidAction", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, url, test.form, signing{service: test.service})
			if got.status != test.status || got.Code != test.code || test.message != "" && got.Message != test.message {
				t.Errorf("answer %+v, want %d %s %s", got, test.status, test.code, test.message)
			}
			if test.status == 500 && (strings.Contains(got.Message, "secret") || strings.Contains(got.Message, "disk")) {
				t.Errorf("the client was told %s", got.Message)
			}
		})
	}
	if strings.Contains(log.String(), wiretest.SecretKey) {
		t.Error("the log holds a secret key")
	}
	if !strings.Contains(log.String(), "what the disk said") {
		t.Error("an internal error is not in the log")
	}
	if n := requests(t, registry, "CreateOptionGroup", "InvalidAction"); n != 1 {
		t.Errorf("%v requests for an unsupported action were counted, want 1", n)
	}
	if n := requests(t, registry, "unknown", "InvalidAction"); n != 2 {
		t.Errorf("%v requests for unknown actions were counted, want 2", n)
	}
}

// requests are the counted requests of an action with a code.
func requests(t *testing.T, registry *prometheus.Registry, action, code string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		for _, m := range family.Metric {
			labels := map[string]string{}
			for _, l := range m.Label {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["action"] == action && labels["code"] == code {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
}

func TestAnActionKnowsWhoCalledIt(t *testing.T) {
	cfg := wiretest.ClientConfig(serve(t, prometheus.NewRegistry(), io.Discard))
	cfg.Region = "eu-west-3"
	out, err := rds.NewFromConfig(cfg).DescribeDBClusters(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{wiretest.Account, "eu-west-3", wiretest.AccessKey, wiretest.UserARN}, " ")
	if !strings.HasPrefix(*out.Marker, want) || out.DBClusters == nil {
		t.Errorf("identity %q, want %q; empty list %v", *out.Marker, want, out.DBClusters)
	}
}

func TestTheSDKKnowsOurErrorsAsItsOwn(t *testing.T) {
	cfg := wiretest.ClientConfig(serve(t, prometheus.NewRegistry(), io.Discard))
	_, err := rds.NewFromConfig(cfg).DeleteDBCluster(t.Context(), &rds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("x")})
	var notFound *types.DBClusterNotFoundFault
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "DBCluster x not found." {
		t.Errorf("error %v", err)
	}
	_, err = ec2.NewFromConfig(cfg).CreateVpc(t.Context(), nil)
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != "InvalidAction" {
		t.Errorf("error %v", err)
	}
}
